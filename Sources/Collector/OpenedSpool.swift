import Glibc
import Logging
import Model
import Platform
import Spool

/// The spool of `spool.directory`, and the lock that keeps other processes off it.
struct OpenedSpool {
    let lock: SpoolDirectoryLock
    let spool: Spool
    /// The reason why other users may change what is in the directory; nil where they may not.
    let weakness: String?

    /// Opens the directory, takes its lock and recovers its content.
    /// - Throws: `SpoolStartError`, in words that say what to change.
    init(directory: String, options: SpoolOptions, clock: Clock) throws(SpoolStartError) {
        do throws(SpoolError) {
            let fileSystem = try Self.fileSystem(directory)
            weakness = fileSystem.weakness
            lock = try SpoolDirectoryLock(directory: directory)
            spool = try Spool(fileSystem: fileSystem, options: options, clock: clock)
        } catch {
            throw SpoolStartError(error)
        }
    }

    private static func fileSystem(_ directory: String) throws(SpoolError) -> DiskFileSystem {
        do throws(SystemError) {
            return try DiskFileSystem(directory: directory)
        } catch {
            throw .io(error)
        }
    }
}

extension Logger {
    func log(_ report: SpoolReport) {
        switch report {
        case .failing(let text, let more):
            error("the spool's disk fails", metadata: ["error": "\(text)", "more_since_last_line": "\(more)"])
        case .works: notice("the spool's disk takes spans again")
        case .expired(let spans):
            warning("spans waited longer than spool.max-age and were dropped", metadata: ["spans": "\(spans)"])
        case .clockSet(let step):
            warning(
                "the wall clock was set; the age of spans that came since the start goes by the monotonic clock",
                metadata: ["seconds": "\(step.inSeconds)"])
        }
    }
}

/// The reason why the program does not start, in words that say what to change.
struct SpoolStartError: Error, CustomStringConvertible {
    let description: String

    init(_ error: SpoolError) {
        var text = "spool.directory can't be used: \(error)"
        if case .io(let cause) = error, let path = cause.path, [EACCES, EPERM].contains(cause.code) {
            text += Self.owner(of: path) ?? Self.owner(of: Files.parent(of: path)) ?? ""
        }
        if case .io(let cause) = error, [ELOOP, EMLINK].contains(cause.code) {
            text +=
                " (it is a link; none is followed within spool.directory, because it could lead to any file: remove it)"
        }
        description = text
    }

    /// Returns what can still be said of a path after a denied permission; nil if the path can't be looked at either.
    private static func owner(of path: String) -> String? {
        var status = stat()
        if stat(path, &status) != 0 { return nil }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        return
            " (\(path) belongs to user \(status.st_uid), group \(status.st_gid), and has mode \(mode); this process is "
            + "user \(geteuid()), group \(getegid()))"
    }
}
