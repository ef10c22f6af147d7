import AsynqRedis
import Forwarder
import HTTPService
import Logging
import OTLPClient
import Spool
import Testing

@testable import Collector

@Suite("Durations, sizes and lists")
struct ValueParsingTests {
    @Test(
        "Durations",
        arguments: [
            ("0", 0), ("1ns", 1), ("250ms", 250_000_000), ("5s", 5_000_000_000), ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1d", 86_400_000_000_000), ("1.5s", 1_500_000_000), (".5s", 500_000_000), ("7us", 7000), ("7µs", 7000),
            ("0s", 0),
            ("8000000000s", 8_000_000_000_000_000_000), ("9000000000s", 9_000_000_000_000_000_000),
            ("1h30m", 5_400_000_000_000), ("1d2h3m4s5ms6us7ns", 93_784_005_006_007), ("1.5h0.5s", 5_400_500_000_000),
            ("8999999999999999999ns", 8_999_999_999_999_999_999), ("0.57s", 570_000_000), ("1.s", 1_000_000_000),
        ] as [(String, Int64)])
    func durations(text: String, nanoseconds: Int64) {
        #expect(ValueParsing.duration(text) == .nanoseconds(nanoseconds))
    }

    @Test(
        "What is no duration",
        arguments: [
            "", "5", "s", "-1s", "+1s", "1 s", " 1s", "1s ", "1S", "1min", "1.2.3s", ".s", "1e3s", "0x1s", "nans",
            "infs", "9e18s",
            "99999999999999999999s", "١s", "30m1h", "1h1h", "1h30", "h30m", "1h 30m", "9000000000s1ns", "9000000001s",
        ])
    func badDurations(text: String) {
        #expect(ValueParsing.duration(text) == nil)
    }

    private static let goodSizes: [(text: String, bytes: Int)] = [
        ("0", 0), ("1024", 1024), ("10B", 10), ("1KiB", 1024), ("64MiB", 64 << 20), ("1GiB", 1 << 30),
        ("2TiB", 2 << 40),
        ("1KB", 1000), ("1MB", 1_000_000), ("1GB", 1_000_000_000), ("1.5KiB", 1536),
        ("64Ki", 64 << 10), ("64Mi", 64 << 20), ("2Gi", 2 << 30), ("1Ti", 1 << 40),
        ("9223372036854775807", Int.max), ("1125899906842623", (1 << 50) - 1),
    ]

    @Test("Sizes", arguments: goodSizes)
    func sizes(text: String, bytes: Int) {
        #expect(ValueParsing.size(text) == bytes)
    }

    @Test(
        "What is no size",
        arguments: [
            "", "-1", "1kb", "1K", "1 KiB", "KiB", "Mi", "1mi", "1M", "1iB", "1.5.5MiB", "99999999999TiB",
            "9223372036854775808", "1e3", "0x10",
            "inf",
        ])
    func badSizes(text: String) {
        #expect(ValueParsing.size(text) == nil)
    }

    @Test("Lists lose blanks around their parts, and empty parts")
    func lists() {
        #expect(ValueParsing.list(" a, b c ,,\t d ,") == ["a", "b c", "d"])
        #expect(ValueParsing.list("") == [] && ValueParsing.list(" , ") == [])
        #expect(ValueParsing.trimmed("  ") == "" && ValueParsing.trimmed("\ta b\t") == "a b")
    }

    @Test("Typed options carry what the texts say")
    func typed() throws {
        let found = try #require(
            try options([
                "--redis-interval=1.5s", "--tempo-endpoint=http://t:4318/", "--tempo-batch-max-bytes=2MiB",
                "--tempo-retry-initial=40s", "--tempo-retry-max=30s", "--spool-max-bytes=8MiB", "--spool-max-age=1h",
                "--spool-when-full=drop-oldest", "--spool-sync=always", "--otlp-socket-mode=0600",
                "--log-level=warning",
            ]))
        #expect(found.redis?.interval == .milliseconds(1500))
        #expect(found.forwarder?.backend.endpoint.url == "http://t:4318/v1/traces")
        #expect(found.forwarder?.maxBatchBytes == 2 << 20)
        #expect(
            found.forwarder?.retryMax == .seconds(40), "the longest pause is no shorter than the first")
        #expect(found.spool.maxBytes == 8 << 20 && found.spool.segmentBytes == 1 << 20)
        #expect(found.spool.maxAge == .seconds(3600))
        #expect(found.spool.whenFull == .dropOldest && found.spool.sync == .always)
        #expect(found.otlpSocket.mode == 0o600)
        #expect(found.logLevel == .warning)
        #expect(try options(["--redis-url=none"])?.redis == nil)
        #expect(try options()?.forwarder == nil)
    }

    @Test("the target utilization is a number above 0, at most 1")
    func utilization() throws {
        #expect(try options()?.targetUtilization == 0.8)
        #expect(try options(["--scale-target-utilization=0.5"])?.targetUtilization == 0.5)
        for bad in ["0", "1.01", "-0.5", "nan", "x", "80%"] {
            #expect(try problems(["--scale-target-utilization=\(bad)"]).count == 1, "\(bad)")
        }
    }
}
