import Glibc

/// A system call that failed: the action, its object, and errno.
package struct SystemError: Error, CustomStringConvertible, Equatable {
    package let operation: String
    package let path: String?
    package let code: Int32

    package init(_ operation: String, path: String? = nil, code: Int32 = errno) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    package var description: String {
        let subject = path.map { " \($0)" } ?? ""
        return "\(operation)\(subject): \(reason)"
    }

    /// The C library's words for `code`, such as "Permission denied".
    package var reason: String { String(cString: strerror(code)) }
}
