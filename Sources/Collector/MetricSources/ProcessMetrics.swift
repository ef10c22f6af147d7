import Glibc
import Metrics
import Model
import Platform

/// The `process_*` families that every exporter has, from /proc/self.
struct ProcessMetrics: MetricSource {
    private let startSeconds: Double

    init(clock: Clock) {
        startSeconds = clock.wall().seconds
    }

    func metricFamilies() -> [MetricFamily] {
        var families: [MetricFamily] = []
        func add(_ name: String, _ kind: MetricKind, _ help: String, _ value: Double?) {
            if let value { families.append(MetricFamily(name, kind, help, value: value)) }
        }
        add(
            "process_start_time_seconds", .gauge, "When the process started, Unix seconds; changes with each restart.",
            startSeconds)
        add(
            "process_cpu_seconds_total", .counter, "User and system CPU time spent; its rate is the share of a core.",
            cpuSeconds())
        add(
            "process_resident_memory_bytes", .gauge,
            "Resident memory size; what waits for the backend is on disk, so an outage does not raise it.",
            residentPages().map { Double($0) * Double(sysconf(Int32(_SC_PAGESIZE))) })
        add(
            "process_open_fds", .gauge, "Open file descriptors; near the most allowed, connections are refused.",
            openDescriptors().map { Double($0) })
        var limit = rlimit()
        let isLimited = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        add(
            "process_max_fds", .gauge,
            "Most file descriptors allowed; where process_open_fds comes near, raise ulimit -n.",
            isLimited ? Double(limit.rlim_cur) : nil)
        return families
    }

    private func cpuSeconds() -> Double? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return Double(seconds) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    /// The second number of /proc/self/statm.
    private func residentPages() -> Int? {
        do {
            let fields = String(decoding: try Files.read("/proc/self/statm"), as: UTF8.self).split(separator: " ")
            return fields.count > 1 ? Int(fields[1]) : nil
        } catch {
            return nil  // No /proc: the family is absent.
        }
    }

    private func openDescriptors() -> Int? {
        do {
            var count = 0
            try Files.forEachEntry(of: "/proc/self/fd") { _, _ in count += 1 }
            // Without the directory's own.
            return count - 1
        } catch {
            return nil  // No /proc: the family is absent.
        }
    }
}
