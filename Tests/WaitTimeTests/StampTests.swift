import Model
import TestSupport
import Testing

@testable import WaitTime

@Suite("Stamps")
struct StampTests {
    private func parse(_ text: String) -> Int64? {
        let maker = SpanMaker()
        let value = maker.text(text)
        return maker.parse(value)?.nanoseconds
    }

    private func parse(_ value: AttributeValue) -> Int64? { SpanMaker().parse(value)?.nanoseconds }

    @Test(
        "Unix seconds, ms, µs and ns are told apart by size, as integer, double and text",
        arguments: [
            (1_795_197_881, 1_795_197_881_000_000_000), (1_795_197_881_065, 1_795_197_881_065_000_000),
            (1_795_197_881_065_251, 1_795_197_881_065_251_000), (1_795_197_881_065_251_733, 1_795_197_881_065_251_733),
            (946_684_800, 946_684_800_000_000_000), (946_684_800_000, 946_684_800_000_000_000),
            (946_684_800_000_000, 946_684_800_000_000_000), (946_684_800_000_000_000, 946_684_800_000_000_000),
            (7_258_118_399, 7_258_118_399_000_000_000), (7_258_118_399_999, 7_258_118_399_999_000_000),
            (7_258_118_399_999_999, 7_258_118_399_999_999_000), (7_258_118_399_999_999_999, 7_258_118_399_999_999_999),
        ] as [(Int64, Int64)])
    func units(number: Int64, nanoseconds: Int64) throws {
        #expect(parse(.integer(number)) == nanoseconds)
        #expect(parse(String(number)) == nanoseconds)
        if number < 1 << 53 {
            let fromDouble = try #require(parse(.double(Double(number))))
            #expect(abs(fromDouble - nanoseconds) < 1000)
        }
    }

    @Test("seconds and milliseconds with a fraction keep it to the microsecond")
    func fractions() throws {
        #expect(abs(try #require(parse(.double(1_795_197_881.25))) - 1_795_197_881_250_000_000) < 1000)
        for text in ["1795197881.25", "1795197881250.0", "1.79519788125e9"] {
            #expect(abs(try #require(parse(text)) - 1_795_197_881_250_000_000) < 1000)
        }
    }

    @Test(
        "what is no time between 2000 and 2200 is none",
        arguments: [
            0, 1, -1, 946_684_799, 7_258_118_400, 99_999_999_999, 100_000_000_000, 7_258_118_400_000,
            7_258_118_400_000_000_000,
            .max, .min, -1_795_197_881,
        ] as [Int64])
    func implausible(number: Int64) {
        #expect(parse(.integer(number)) == nil)
        #expect(parse(.double(Double(number))) == nil)
        #expect(parse(String(number)) == nil)
    }

    @Test("no number at all is no stamp")
    func noNumber() {
        for value: Double in [.nan, .infinity, -.infinity, 1e300, -0.0] { #expect(parse(.double(value)) == nil) }
        #expect(parse(.other) == nil)
        #expect(parse(.absent) == nil)
        for text in ["", " ", "nan", "inf", "1e400", "tomorrow", "-", "0x", "1795197881 ", "1_795_197_881"] {
            #expect(parse(text) == nil, "\(text)")
        }
        #expect(parse(String(repeating: "1", count: 100_000)) == nil)
    }

    @Test(
        "RFC 3339 is read with its offset and fraction",
        arguments: [
            ("2026-11-20T18:04:41Z", 1_795_197_881_000_000_000), ("2026-11-20t18:04:41z", 1_795_197_881_000_000_000),
            ("2026-11-20 18:04:41Z", 1_795_197_881_000_000_000),
            ("2026-11-20T19:04:41+01:00", 1_795_197_881_000_000_000),
            ("2026-11-20T12:34:41-05:30", 1_795_197_881_000_000_000),
            ("2026-11-20T18:04:41-00:00", 1_795_197_881_000_000_000),
            ("2026-11-21T17:04:41+23:00", 1_795_197_881_000_000_000),
            ("2026-11-20T18:04:41.5Z", 1_795_197_881_500_000_000),
            ("2026-11-20T18:04:41.065251733Z", 1_795_197_881_065_251_733),
            ("2026-11-20T18:04:41.0652517339999Z", 1_795_197_881_065_251_733),
            ("2026-11-20T19:04:41.000000001+01:00", 1_795_197_881_000_000_001),
            ("2000-01-01T00:00:00Z", 946_684_800_000_000_000), ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("2024-02-29T12:00:00Z", 1_709_208_000_000_000_000), ("2100-03-01T00:00:00Z", 4_107_542_400_000_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000), ("2199-12-31T23:59:59Z", 7_258_118_399_000_000_000),
        ] as [(String, Int64)])
    func rfc3339(text: String, nanoseconds: Int64) {
        #expect(parse(text) == nanoseconds)
    }

    @Test(
        "text that only resembles RFC 3339 is refused",
        arguments: [
            "2026-11-20", "2026-11-20T18:04:41", "2026-11-20T18:04Z", "2026-11-20T18:04:41.Z", "2026-11-20T18:04:61Z",
            "2026-11-20T24:00:00Z", "2026-11-20T18:60:00Z", "2026-00-20T18:04:41Z", "2026-13-20T18:04:41Z",
            "2026-11-00T18:04:41Z", "2026-11-31T18:04:41Z", "2026-02-29T18:04:41Z", "2100-02-29T00:00:00Z",
            "2026-11-20T18:04:41+1:00", "2026-11-20T18:04:41+0100", "2026-11-20T18:04:41+24:00",
            "2026-11-20T18:04:41+01:60",
            "2026-11-20T18:04:41Zx", "2026-11-20T18:04:41Z ", "x2026-11-20T18:04:41Z", "26-11-20T18:04:41Z",
            "1999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-11-20T18:04:4١Z",
        ])
    func notRFC3339(text: String) {
        #expect(parse(text) == nil)
    }

    @Test("every day from 2000 to 2199 is a day after the one before")
    func everyDay() {
        var expected: Int64 = 946_684_800
        func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        for year in 2000..<2200 {
            let isLeap = year % 4 == 0 && year != 2100
            for (month, days) in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].enumerated() {
                for day in 1...days {
                    let text = "\(year)-\(digits(month + 1))-\(digits(day))T00:00:00Z"
                    let seconds = RFC3339.parse(Array(text.utf8))?.wholeSeconds
                    if seconds != expected { Issue.record("\(text) is \(seconds ?? -1), not \(expected)") }
                    expected += 86_400
                }
            }
        }
    }

    @Test("random bytes are a time or none, never a crash")
    func noise() {
        var random = SeededGenerator.fresh(for: "stamps")
        let valid = Array("2026-11-20T18:04:41.065251733+01:00".utf8)
        for _ in 0..<5000 {
            var bytes = Array(valid[..<Int.random(in: 0...valid.count, using: &random)])
            for _ in 0..<2 where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let maker = SpanMaker()
            let value = AttributeValue.string(maker.range(bytes))
            if let time = maker.parse(value) { #expect(time.wholeSeconds >= 946_684_800) }
        }
    }
}
