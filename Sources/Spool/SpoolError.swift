import Glibc
package import Platform

/// The reason why the spool can't take or give frames.
package enum SpoolError: Error, CustomStringConvertible, Sendable {
    /// The bound on bytes is reached and `when-full` is `refuse`. The request may be tried again.
    case full(capacity: Int)
    /// One frame is larger than the whole spool may be. The request must not be tried again.
    case frameTooLarge(bytes: Int, capacity: Int)
    /// The disk refused: the action, its place, and errno. The request may be tried again, because disks get space
    /// again.
    case io(SystemError)
    /// Another process that lives owns the directory.
    case locked(directory: String, pid: String)
    /// The spool was closed.
    case closed
    /// The next frame would have a sequence that the next start does not read. Only a forged file leads there.
    case sequencesUsedUp

    package var description: String {
        switch self {
        case .full(let capacity): "the spool holds its \(capacity) bytes"
        case .frameTooLarge(let bytes, let capacity): "a frame of \(bytes) bytes, the whole spool has \(capacity)"
        case .io(let error): error.description
        case .locked(let directory, let pid):
            "the spool directory \(directory) is in use by process \(pid); one directory serves one process"
        case .closed: "the spool is closed"
        case .sequencesUsedUp:
            "the spool's sequences are used up, which takes a forged file; once all spans are sent, restart the collector"
        }
    }
}

extension SystemError {
    /// True if the disk does not give back its bytes, as opposed to a passing lack of descriptors or memory, or of a
    /// right to read.
    var isOfTheMedium: Bool {
        switch code {
        case EIO, ENODATA, EUCLEAN, EBADMSG, EREMOTEIO: true
        default: false
        }
    }
}
