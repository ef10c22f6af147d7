import Glibc
import Metrics
import Model
import TestSupport
import Testing

func page(_ families: MetricFamily...) -> String {
    String(decoding: PageFormat.text.encode(families), as: UTF8.self)
}

@Suite("The text format 0.0.4")
struct TextEncoderTests {
    @Test("a family is its help, its type and its series")
    func family() {
        var family = MetricFamily("asynq_queue_size", .gauge, "Tasks, by state.")
        family.add(3, LabelSet(["queue": "a", "state": "pending"]))
        family.add(0, LabelSet(["queue": "a", "state": "active"]))
        family.add(1.5)
        #expect(
            page(family) == """
                # HELP asynq_queue_size Tasks, by state.
                # TYPE asynq_queue_size gauge
                asynq_queue_size{queue="a",state="pending"} 3
                asynq_queue_size{queue="a",state="active"} 0
                asynq_queue_size 1.5

                """)
    }

    @Test("no family is an empty page")
    func empty() {
        #expect(page() == "")
    }

    @Test("help escapes backslash and newline, and leaves quotes alone")
    func help() {
        let family = MetricFamily("x", .counter, "a \\ b\nc \"d\"", value: 1)
        #expect(page(family).hasPrefix("# HELP x a \\\\ b\\nc \"d\"\n# TYPE x counter\n"))
    }

    @Test(
        "numbers are written so that they read back as the same number",
        arguments: [
            (0.0, "0"), (-0.0, "0"), (1, "1"), (9, "9"), (10, "10"), (-1, "-1"), (-17.25, "-17.25"), (0.1, "0.1"),
            (0.005, "0.005"), (1e-7, "1e-07"), (1e21, "1e+21"), (-1e21, "-1e+21"), (123_456_789, "123456789"),
            (999_999_999_999_999, "999999999999999"), (1e15, "1000000000000000.0"),
            (9_007_199_254_740_992, "9007199254740992.0"),
            (1_763_661_881.065251, "1763661881.065251"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
            (-.nan, "NaN"), (.leastNonzeroMagnitude, "5e-324"), (.greatestFiniteMagnitude, "1.7976931348623157e+308"),
        ])
    func numbers(value: Double, text: String) {
        let line = page(MetricFamily("x", .gauge, "h", value: value)).split(separator: "\n").last
        #expect(line == "x \(text)")
    }

    @Test("random numbers read back exactly")
    func randomNumbers() {
        var random = SeededGenerator.fresh(for: "text numbers")
        for _ in 0..<5000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            let line = page(MetricFamily("x", .gauge, "h", value: value)).split(separator: "\n").last ?? ""
            #expect(Double(String(line.dropFirst(2))) == value)
        }
    }

    @Test(
        "the shortest digits are those that Swift finds, for numbers as they come and at the limits of what is computed here"
    )
    func shortestNumbers() {
        var random = SeededGenerator.fresh(for: "shortest numbers")
        var values: [Double] = [1e-4, 0.1, 1, 10, 1e14, 1e15].flatMap { [$0.nextDown, $0, $0.nextUp] }
        for _ in 0..<3000 {
            // Nanoseconds as seconds, and what is next to them.
            let seconds = Double(random.next() >> UInt64.random(in: 5...50, using: &random)) / 1e9
            values += [seconds, seconds.nextUp, seconds.nextDown, -seconds]
            // Any digits.
            values.append(exp2(Double.random(in: -15...51, using: &random)))
            // Few digits, few binary places, and the middle between two candidates.
            values.append(Double(Int.random(in: 0...99_999, using: &random)) / 1e5)
            let significand = Double(UInt64.random(in: 1 << 52...1 << 53, using: &random))
            values.append(significand / exp2(Double(Int.random(in: 1...60, using: &random))))
        }
        for value in values {
            let line = page(MetricFamily("x", .gauge, "h", value: value)).split(separator: "\n").last ?? ""
            let whole = value == value.rounded() && abs(value) < 1e15
            #expect(line == "x " + (whole ? String(Int64(value)) : value.description))
        }
    }

    @Test("a histogram's buckets are cumulative, and +Inf equals _count")
    func histogram() throws {
        let bounds = try #require(HistogramBounds([0.005, 1, 60]))
        var histogram = Histogram(bounds)
        for value in [0.001, 0.005, 0.5, 60, 61, 1000] { histogram.observe(value) }
        var family = MetricFamily("d_seconds", .histogram, "h")
        family.add(histogram, LabelSet(["queue": "q"]))
        #expect(
            page(family) == """
                # HELP d_seconds h
                # TYPE d_seconds histogram
                d_seconds_bucket{queue="q",le="0.005"} 2
                d_seconds_bucket{queue="q",le="1"} 3
                d_seconds_bucket{queue="q",le="60"} 4
                d_seconds_bucket{queue="q",le="+Inf"} 6
                d_seconds_sum{queue="q"} 1121.506
                d_seconds_count{queue="q"} 6

                """)
    }

    @Test("a histogram without labels has le alone, and one without values has zeros")
    func emptyHistogram() throws {
        let bounds = try #require(HistogramBounds([1]))
        var family = MetricFamily("d", .histogram, "h")
        family.add(Histogram(bounds))
        #expect(
            page(family).hasSuffix(
                """
                d_bucket{le="1"} 0
                d_bucket{le="+Inf"} 0
                d_sum 0
                d_count 0

                """))
    }
}
