import AsynqRedis
import Forwarder
import HTTPService
import Logging
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
            ("8000000000s", 8_000_000_000_000_000_000),
        ] as [(String, UInt64)])
    func durations(text: String, nanoseconds: UInt64) {
        #expect(ValueParsing.duration(text) == nanoseconds)
    }

    @Test(
        "What is no duration",
        arguments: [
            "", "5", "s", "-1s", "+1s", "1 s", " 1s", "1s ", "1S", "1min", "1.2.3s", ".s", "1e3s", "0x1s", "nans",
            "infs", "9e18s",
            "99999999999999999999s", "١s", "1h30m",
        ])
    func badDurations(text: String) {
        #expect(ValueParsing.duration(text) == nil)
    }

    @Test(
        "Sizes",
        arguments: [
            ("0", 0), ("1024", 1024), ("10B", 10), ("1KiB", 1024), ("64MiB", 64 << 20), ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("1KB", 1000), ("1MB", 1_000_000), ("1GB", 1_000_000_000), ("1.5KiB", 1536),
        ])
    func sizes(text: String, bytes: Int) {
        #expect(ValueParsing.size(text) == bytes)
    }

    @Test(
        "What is no size",
        arguments: [
            "", "-1", "1kb", "1K", "1 KiB", "KiB", "1.5.5MiB", "99999999999TiB", "9223372036854775808", "1e3", "0x10",
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
        #expect(found.redis?.intervalNanoseconds == 1_500_000_000)
        #expect(found.forwarder?.endpoint.url == "http://t:4318/v1/traces")
        #expect(found.forwarder?.maxBatchBytes == 2 << 20)
        #expect(
            found.forwarder?.retryMaxNanoseconds == 40_000_000_000, "the longest pause is no shorter than the first")
        #expect(found.spool.maxBytes == 8 << 20 && found.spool.segmentBytes == 1 << 20)
        #expect(found.spool.maxAgeNanoseconds == 3_600_000_000_000)
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
