import Metrics
import Model
import Testing

private func openMetrics(_ families: MetricFamily...) -> String {
    String(decoding: PageFormat.openMetrics.encode(families), as: UTF8.self)
}

@Suite("OpenMetrics 1.0")
struct OpenMetricsTests {
    @Test("no family is a page that ends")
    func empty() {
        #expect(openMetrics() == "# EOF\n")
    }

    @Test("a counter's family lacks _total, its samples have it")
    func counter() {
        #expect(
            openMetrics(MetricFamily("x_total", .counter, "h", value: 3)) == """
                # HELP x h
                # TYPE x counter
                x_total 3
                # EOF

                """)
    }

    @Test("a unit that a name ends in is told, before the _total of a counter")
    func units() {
        let cpu = openMetrics(MetricFamily("cpu_seconds_total", .counter, "h", value: 3))
        #expect(cpu.contains("# UNIT cpu_seconds seconds\n"))
        #expect(openMetrics(MetricFamily("a_bytes", .gauge, "h", value: 3)).contains("# UNIT a_bytes bytes\n"))
        #expect(openMetrics(MetricFamily("fill_ratio", .gauge, "h", value: 3)).contains("# UNIT fill_ratio ratio\n"))
        #expect(!openMetrics(MetricFamily("seconds", .gauge, "h", value: 3)).contains("UNIT"))
        #expect(!openMetrics(MetricFamily("open_fds", .gauge, "h", value: 3)).contains("UNIT"))
    }

    @Test("an info has a type of its own, which is a gauge in the text format 0.0.4")
    func info() {
        var family = MetricFamily("build_info", .info, "h")
        family.add(1, LabelSet(["version": "1"]))
        #expect(openMetrics(family) == "# HELP build h\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n")
        #expect(page(family) == "# HELP build_info h\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n")
    }

    @Test("a gauge by quantile is one, except where linters say that it must be a summary")
    func quantiles() {
        var family = MetricFamily("wait", .gauge, "h")
        family.add(0.5, LabelSet(["queue": "q", "quantile": "0.5"]))
        #expect(openMetrics(family).contains("# TYPE wait gauge\n"))
        #expect(page(family).contains("# TYPE wait summary\n"))
    }

    @Test("a family with a name that OpenMetrics has no space for is on the other text page only")
    func textOnly() {
        var family = MetricFamily("paused_total", .gauge, "h", value: 1)
        family.isTextOnly = true
        #expect(openMetrics(family) == "# EOF\n")
        #expect(PageFormat.protobuf.encode([family]) == [])
        #expect(page(family).hasSuffix("paused_total 1\n"))
    }

    @Test("help escapes quotes as well")
    func help() {
        let page = openMetrics(MetricFamily("x", .gauge, "a \\ b\nc \"d\"", value: 1))
        #expect(page.hasPrefix("# HELP x a \\\\ b\\nc \\\"d\\\"\n"))
    }

    @Test(
        "bounds are written canonically",
        arguments: [
            (1.0, "1.0"), (10, "10.0"), (0.005, "0.005"), (0.0001, "0.0001"), (0.00001, "1e-05"), (0.000012, "1.2e-05"),
            (999_999, "999999.0"), (123_456.5, "123456.5"), (1_000_000, "1e+06"), (2_592_000, "2.592e+06"),
            (10_000_000, "1e+07"), (12_345_678.5, "1.23456785e+07"), (1e10, "1e+10"), (1e16, "1e+16"), (1e17, "1e+17"),
            (-5, "-5.0"), (-2_000_000, "-2e+06"),
        ])
    func canonicalNumbers(bound: Double, text: String) throws {
        var family = MetricFamily("x", .histogram, "h")
        family.add(Histogram(try #require(HistogramBounds([bound]))))
        #expect(openMetrics(family).contains("x_bucket{le=\"\(text)\"} 0\n"))
    }

    @Test("exemplars stand behind their buckets: ids, value, time in milliseconds")
    func exemplars() {
        var histogram = Histogram(HistogramBounds(ascending: 1, 10))
        histogram.observe(0.5, of: origin(1))
        histogram.observe(5)
        histogram.observe(20, of: origin(0x1F, seconds: 0))
        var family = MetricFamily("d_seconds", .histogram, "h")
        family.add(histogram, LabelSet(["queue": "q"]))
        let first = "{trace_id=\"00000000000000ab0000000000000001\",span_id=\"0000000000000001\"} 0.5 1795197881.065"
        let last = "{trace_id=\"00000000000000ab000000000000001f\",span_id=\"000000000000001f\"} 20 0.065"
        #expect(
            openMetrics(family) == """
                # HELP d_seconds h
                # TYPE d_seconds histogram
                # UNIT d_seconds seconds
                d_seconds_bucket{queue="q",le="1.0"} 1 # \(first)
                d_seconds_bucket{queue="q",le="10.0"} 2
                d_seconds_bucket{queue="q",le="+Inf"} 3 # \(last)
                d_seconds_sum{queue="q"} 25.5
                d_seconds_count{queue="q"} 3
                # EOF

                """)
        #expect(!page(family).contains("trace_id"))
    }

    @Test("an exemplar whose value is exactly a bound stands in that bound's bucket, one just above it in the next")
    func exemplarsOnBounds() {
        for (values, lines) in [
            ([1.0], ["1.0\"} 1 #", "10.0\"} 1\n", "+Inf\"} 1\n"]),
            ([(1.0).nextUp], ["1.0\"} 0\n", "10.0\"} 1 #", "+Inf\"} 1\n"]),
            ([10.0], ["1.0\"} 0\n", "10.0\"} 1 #", "+Inf\"} 1\n"]),
            ([(10.0).nextUp], ["1.0\"} 0\n", "10.0\"} 0\n", "+Inf\"} 1 #"]),
            ([1.0, 10.0], ["1.0\"} 1 #", "10.0\"} 2 #", "+Inf\"} 2\n"]),
            ([1.0, (1.0).nextUp, (10.0).nextUp], ["1.0\"} 1 #", "10.0\"} 2 #", "+Inf\"} 3 #"]),
        ] {
            var histogram = Histogram(HistogramBounds(ascending: 1, 10))
            for value in values { histogram.observe(value, of: origin(1)) }
            var family = MetricFamily("d", .histogram, "h")
            family.add(histogram)
            let page = openMetrics(family)
            for line in lines { #expect(page.contains("d_bucket{le=\"" + line), "\(values): \(line)") }
        }
    }

    @Test("ids have all their digits")
    func hexDigits() {
        for (high, low, hex) in [
            (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, "0123456789abcdeffedcba9876543210"),
            (0, 1, "00000000000000000000000000000001"),
            (.max, 0x9A9A_A9A9_0F0F_F0F0, "ffffffffffffffff9a9aa9a90f0ff0f0"),
        ] as [(UInt64, UInt64, String)] {
            var histogram = Histogram(HistogramBounds(ascending: 1))
            let span = SpanReference(trace: TraceID(high: high, low: low), span: SpanID(low))
            histogram.observe(0.5, of: Exemplar.Origin(span: span, time: WallTime(nanoseconds: 0)))
            var family = MetricFamily("d", .histogram, "h")
            family.add(histogram)
            #expect(openMetrics(family).contains("trace_id=\"\(hex)\",span_id=\"\(hex.suffix(16))\"} 0.5 0.000\n"))
        }
    }

    @Test("a page that is much longer than was thought is whole")
    func longPage() {
        var family = MetricFamily("x", .gauge, "h")
        for number in 0..<2000 { family.add(Double(number) + 0.123456789, LabelSet(["n": String(number)])) }
        #expect(openMetrics(family).split(separator: "\n").count == 2003)
        // Every quote becomes two characters in the help.
        let quotes = String(repeating: "\"", count: 10_000)
        #expect(openMetrics(MetricFamily("x", .gauge, quotes, value: 1)).utf8.count > 20_000)
    }
}
