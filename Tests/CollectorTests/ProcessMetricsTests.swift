import Glibc
import Metrics
import Model
import Platform
import TestSupport
import Testing

@testable import Collector

@Suite("What every exporter says of its process")
struct ProcessMetricsTests {
    private func value(_ name: String, at clock: Clock = .system) throws -> Double {
        let line = try #require(series(ProcessMetrics(clock: clock).metricFamilies(), named: name + " ").first)
        return try #require(Double(line.dropFirst(name.count + 1)))
    }

    /// A line of /proc/self/status, in bytes.
    private func status(_ name: String) throws -> Double {
        let lines = String(decoding: try Files.read("/proc/self/status"), as: UTF8.self).split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix(name + ":") })
        return try #require(line.split { !("0"..."9").contains($0) }.first.flatMap { Double($0) }) * 1024
    }

    @Test("Memory is what is resident, not what is mapped or shared")
    func memory() throws {
        let resident = try value("process_resident_memory_bytes")
        // Other tests take and free memory meanwhile; what is mapped is several times as much.
        let (actual, mapped) = (try status("VmRSS"), try status("VmSize"))
        #expect(abs(resident - actual) < abs(resident - mapped))
        #expect(abs(resident - actual) < abs(resident - (try status("RssFile"))))
    }

    private func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
    }

    @Test("CPU time is that of user and system together")
    func cpu() throws {
        let before = cpuSeconds()
        let seconds = try value("process_cpu_seconds_total")
        // A microsecond for each sum of two decimal fractions.
        #expect(seconds >= before - 1e-6 && seconds <= cpuSeconds() + 1e-6)
    }

    @Test("The start is when the families were made, however late they are asked for")
    func start() {
        let clock = TestClock(WallTime(nanoseconds: 1_800_000_000_500_000_000))
        let metrics = ProcessMetrics(clock: clock.clock)
        clock.advance(seconds: 100)
        #expect(
            series(metrics.metricFamilies(), named: "process_start") == ["process_start_time_seconds 1800000000.5"])
    }

    @Test("Descriptors that are opened are counted, and the most are those that the system allows now")
    func descriptors() throws {
        let opened = (0..<300).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
        defer { for descriptor in opened { close(descriptor) } }
        #expect(try value("process_open_fds") >= Double(opened.count { $0 >= 0 }))
        var limit = rlimit()
        #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        #expect(try value("process_max_fds") == Double(limit.rlim_cur))
    }
}
