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
        var families = [
            MetricFamily("process_start_time_seconds", .gauge, "When the process started, Unix seconds.", value: startSeconds)
        ]
        if let cpu = cpuSeconds() {
            families.append(
                MetricFamily("process_cpu_seconds_total", .counter, "User and system CPU time spent.", value: cpu))
        }
        if let pages = residentPages() {
            let bytes = Double(pages) * Double(sysconf(Int32(_SC_PAGESIZE)))
            families.append(
                MetricFamily("process_resident_memory_bytes", .gauge, "Resident memory size.", value: bytes))
        }
        if let open = openDescriptors() {
            families.append(MetricFamily("process_open_fds", .gauge, "Open file descriptors.", value: Double(open)))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            families.append(
                MetricFamily("process_max_fds", .gauge, "Most file descriptors allowed.", value: Double(limit.rlim_cur)))
        }
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
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without `.`, `..` and the directory's own.
        return count - 3
    }
}
