import Platform

/// The memory that the control group of this process may take: v2's `memory.max` and v1's `memory.limit_in_bytes`, of its own
/// group and of those around it.
///
/// In a container the path in /proc/self/cgroup may be that of the host, while /sys/fs/cgroup is the container's own group:
/// files that are not there are passed over, and the root is asked as well.
enum CgroupMemory {
    /// Returns the limit; nil where no group has one.
    static func limit() -> Int? {
        limit { path in
            do throws(SystemError) {
                return String(decoding: try Files.read(path), as: UTF8.self)
            } catch {
                return nil  // The file is missing or can't be read, so no limit is known.
            }
        }
    }

    /// - Parameter read: Returns the text of a file, nil where it can't be read.
    static func limit(_ read: (String) -> String?) -> Int? {
        var limits: [Int] = []
        for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
            // A line is hierarchy:controllers:path; v2 has no controllers.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let controllers = fields[1].split(separator: ",")
            if fields[1].isEmpty {
                for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
                    limits += Self.limits(root, fields[2], "memory.max", read)
                }
            } else if controllers.contains("memory") {
                limits += Self.limits("/sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes", read)
            }
        }
        return limits.min()
    }

    /// Returns the limits of the group at a path, and of all those around it.
    private static func limits(
        _ root: String, _ path: Substring, _ file: String, _ read: (String) -> String?
    ) -> [Int] {
        var parts = path.split(separator: "/")
        var found: [Int] = []
        while true {
            let directory = ([Substring(root)] + parts).joined(separator: "/")
            if let text = read("\(directory)/\(file)"), let bytes = Int(text.prefix { $0.isNumber }), bytes < 1 << 60 {
                found.append(bytes)
            }
            if parts.isEmpty { return found }
            parts.removeLast()
        }
    }
}
