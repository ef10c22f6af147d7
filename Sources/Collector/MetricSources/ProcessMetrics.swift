import Glibc
import Metrics
import Model
import Platform

/// The `process_*` families that every exporter has, from /proc/self.
struct ProcessMetrics: MetricSource {
    static let families = ProcessFamilies()

    private let startSeconds: Double

    init(clock: Clock) {
        startSeconds = clock.wall().seconds
    }

    func metricFamilies() -> [MetricFamily] {
        var families: [MetricFamily] = []
        func add(_ declaration: FamilyDeclaration, _ value: Double?) {
            if let value { families.append(MetricFamily(declaration, value: value)) }
        }
        add(Self.families.startTimeSeconds, startSeconds)
        add(Self.families.cpuSecondsTotal, cpuSeconds())
        add(Self.families.residentMemoryBytes, Self.residentBytes.map { Double($0) })
        add(Self.families.openFds, openDescriptors().map { Double($0) })
        add(Self.families.maxFds, Descriptors.limit.map { Double($0) })
        return families
    }

    private func cpuSeconds() -> Double? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return Double(seconds) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    /// The resident memory, from the second number of /proc/self/statm.
    static var residentBytes: Int? {
        do {
            let fields = String(decoding: try Files.read("/proc/self/statm"), as: UTF8.self).split(separator: " ")
            return fields.count > 1 ? Int(fields[1]).map { $0 * sysconf(Int32(_SC_PAGESIZE)) } : nil
        } catch {
            return nil  // No /proc: the family is absent.
        }
    }

    private func openDescriptors() -> Int? {
        do {
            var count = 0
            try Files.forEachEntry(of: "/proc/self/fd") { _, _ in count += 1 }
            // The directory's own descriptor does not count.
            return count - 1
        } catch {
            return nil  // No /proc: the family is absent.
        }
    }
}

/// The names that Prometheus' client libraries give to them.
struct ProcessFamilies: Sendable {
    let startTimeSeconds = FamilyDeclaration(
        "process_start_time_seconds", .gauge,
        "When the process started, Unix seconds. It changes with each restart.")
    let cpuSecondsTotal = FamilyDeclaration(
        "process_cpu_seconds_total", .counter,
        "User and system CPU time. Its rate is the share of a core.")
    let residentMemoryBytes = FamilyDeclaration(
        "process_resident_memory_bytes", .gauge,
        "Resident memory. An outage of the backend does not raise it, because waiting spans are on disk.")
    let openFds = FamilyDeclaration(
        "process_open_fds", .gauge,
        "Open file descriptors. Near process_max_fds, connections are refused.")
    let maxFds = FamilyDeclaration(
        "process_max_fds", .gauge,
        "The most file descriptors allowed. If process_open_fds comes near, raise ulimit -n.")
}
