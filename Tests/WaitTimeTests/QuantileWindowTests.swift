import Glibc
import Model
import TestSupport
import Testing

@testable import WaitTime

extension QuantileWindow {
    /// The quantiles, without a mark on the window.
    fileprivate func reading(_ shares: [Double], at now: MonotonicTime) -> [Double]? {
        var copy = self
        return copy.quantiles(shares, at: now)
    }
}

@Suite("Quantiles over a window")
struct QuantileWindowTests {
    private let shares = [0.5, 0.95, 0.99]

    private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: UInt64(seconds * 1e9)) }

    @Test("quantiles of log-normal waits are at most 5 % off the exact ones")
    func accuracy() throws {
        var random = SeededGenerator.fresh(for: "quantiles")
        for _ in 0..<20 {
            let median = Double.random(in: -11...6, using: &random)
            let spread = Double.random(in: 0.1...2, using: &random)
            var window = QuantileWindow(window: .seconds(300))
            var values: [Double] = []
            for index in 0..<2000 {
                let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &random))).squareRoot()
                let normal = radius * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
                let value = exp(median + spread * normal)
                if value < 1e-6 || value > 900_000 { continue }
                values.append(value)
                window.observe(value, at: at(1000 + Double(index) / 10))
            }
            values.sort()
            let found = try #require(window.reading(shares, at: at(1200)))
            for (share, value) in zip(shares, found) {
                let exact = values[Int((share * Double(values.count)).rounded(.up)) - 1]
                #expect(abs(value / exact - 1) <= 0.05, "p\(share) is \(value), exactly \(exact)")
            }
        }
    }

    @Test("at both ends of the range, too, they are at most 5 % off; below a microsecond they are 0")
    func range() throws {
        for value in [1e-6, 1.08e-6, 1e-5, 0.000_09, 1e-4, 86_400, 864_000] as [Double] {
            var window = QuantileWindow(window: .seconds(60))
            window.observe(value, at: at(1))
            let found = try #require(window.reading([0.5], at: at(1)))[0]
            #expect(abs(found / value - 1) <= 0.05, "\(value) is \(found)")
        }
        var window = QuantileWindow(window: .seconds(60))
        window.observe(0.9e-6, at: at(1))
        #expect(try #require(window.reading([0.5], at: at(1))) == [0])
    }

    @Test("an empty window has no quantiles")
    func empty() {
        let window = QuantileWindow(window: .seconds(60))
        #expect(window.reading(shares, at: at(0)) == nil)
        #expect(window.reading(shares, at: at(1e6)) == nil)
    }

    @Test("values leave with the window, the younger ones stay")
    func slides() throws {
        var window = QuantileWindow(window: .seconds(60))
        window.observe(1000, at: at(100))
        window.observe(1, at: at(130))
        #expect(try #require(window.reading([1], at: at(149)))[0] > 900)
        #expect(try #require(window.reading([1], at: at(161)))[0] < 1.1)
        #expect(window.reading([1], at: at(191)) == nil)
    }

    @Test("a value is there for at least five sixths of the window, and gone after all of it")
    func retention() {
        for start in stride(from: 600.0, to: 660, by: 3.7) {
            var window = QuantileWindow(window: .seconds(60))
            window.observe(1, at: at(start))
            #expect(window.reading([0.5], at: at(start + 49.9)) != nil)
            #expect(window.reading([0.5], at: at(start + 60)) == nil)
        }
    }

    @Test("a pause longer than the window forgets everything, and time that stands still nothing")
    func pause() throws {
        var window = QuantileWindow(window: .seconds(60))
        for _ in 0..<10 { window.observe(5, at: at(10)) }
        window.observe(7, at: at(1_000_000))
        #expect(try #require(window.reading([0.01], at: at(1_000_000)))[0] > 6)
        window.observe(7, at: at(5))  // A clock that was read before another thread's.
        #expect(window.reading([0.5], at: at(1_000_000)) != nil)
    }

    @Test("slices in which nothing comes leave the others as they are, however many there are of them")
    func idleSlices() throws {
        // One value in each slice of the minute, then a pause: what is left are the slices that the pause has not reached.
        for idle in 1...7 {
            var window = QuantileWindow(window: .seconds(60))
            for slice in 0..<6 { window.observe(Double(1 << slice), at: at(600 + 10 * Double(slice))) }
            let now = at(650 + 10 * Double(idle))
            guard idle < 6 else {
                #expect(window.reading([0.5], at: now) == nil)
                continue
            }
            let found = try #require(window.reading([0, 1], at: now))
            #expect(abs(found[0] / Double(1 << idle) - 1) <= 0.05, "\(idle) idle slices, lowest \(found[0])")
            #expect(abs(found[1] / 32 - 1) <= 0.05, "\(idle) idle slices, highest \(found[1])")
            // The first value after the pause has a slice to itself.
            window.observe(1000, at: now)
            let later = try #require(window.reading([0, 1], at: now))
            #expect(abs(later[0] / Double(1 << idle) - 1) <= 0.05 && abs(later[1] / 1000 - 1) <= 0.05)
        }
    }

    @Test("a window that is idle now and then holds what a list of the last six slices holds")
    func againstList() throws {
        var random = SeededGenerator.fresh(for: "idle windows")
        var window = QuantileWindow(window: .seconds(60))
        var values: [(slice: Int, value: Double)] = []
        var seconds = 0.0
        for _ in 0..<2000 {
            seconds += Double.random(in: 0...1, using: &random) < 0.2 ? Double.random(in: 0...80, using: &random) : 1
            let slice = Int(seconds / 10)
            values.removeAll { $0.slice <= slice - 6 }
            if Bool.random(using: &random) {
                values.append((slice, Double(Int.random(in: 1...1000, using: &random))))
                window.observe(values[values.count - 1].value, at: at(seconds))
            }
            let exact = values.map(\.value).sorted()
            let found = window.reading([0, 0.5, 1], at: at(seconds))
            guard let lowest = exact.first, let highest = exact.last else {
                #expect(found == nil)
                continue
            }
            let expected = [lowest, exact[(exact.count + 1) / 2 - 1], highest]
            for (value, exact) in zip(try #require(found), expected) { #expect(abs(value / exact - 1) <= 0.05) }
        }
    }

    @Test("0 is 0, and what is beyond every bucket is in the last one")
    func extremes() throws {
        var window = QuantileWindow(window: .seconds(60))
        window.observe(0, at: at(1))
        #expect(try #require(window.reading([0.5], at: at(1))) == [0])
        for value in [1e9, 1e300, .infinity] { window.observe(value, at: at(1)) }
        let last = try #require(window.reading([1], at: at(1)))[0]
        #expect(last > 900_000 && last < 1_000_000)
    }
}
