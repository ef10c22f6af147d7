import Testing

@testable import Model

@Suite("Arithmetic on numbers from outside")
struct SaturatingNumbersTests {
    @Test("What does not fit is the nearest number that does")
    func ends() {
        #expect(UInt64.max.addingSaturated(1) == .max && (5 as UInt64).addingSaturated(2) == 7)
        #expect(Int64.max.addingSaturated(1) == .max && Int64.min.addingSaturated(-1) == .min)
        #expect(Int64.min.subtractingSaturated(1) == .min && Int64.max.subtractingSaturated(-1) == .max)
        #expect((3 as Int64).subtractingSaturated(5) == -2)
        #expect((0 as Int64).subtractingSaturated(.min) == .max)
    }

    @Test(
        "A number of seconds or tasks becomes the nearest whole one",
        arguments: [
            (0.5, 1), (-2.4, -2), (9.3e18, Int.max), (-9.3e18, Int.min), (.infinity, Int.max), (-.infinity, Int.min),
            (.nan, 0), (Double(Int.max), Int.max),
        ])
    func whole(value: Double, expected: Int) {
        #expect(Int(saturating: value) == expected)
    }
}
