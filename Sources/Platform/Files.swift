import Glibc

/// Small calls on paths that several targets need.
package enum Files {
    /// Makes `path` and its missing parents, each with `mode` (as restricted by the umask).
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o750) throws(SystemError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/" + part
            if mkdir(made, mode) != 0 {
                // A directory that exists is fine, also where it may not be written (EROFS, EACCES). Anything else of
                // that name (EEXIST) is not.
                let code = errno
                var status = stat()
                if stat(made, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR {
                    throw SystemError("creating directory", path: made, code: code)
                }
            }
        }
    }

    /// The parent of `path`: everything before its last slash; "." for a bare name.
    package static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The whole content of a small file. Fails with EFBIG above `limit` bytes.
    package static func read(_ path: String, limit: Int = 1 << 20) throws(SystemError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw SystemError("opening", path: path) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw SystemError("reading", path: path) }
            if count == 0 { return content }
            content += chunk[..<count]
            if content.count > limit { throw SystemError("reading", path: path, code: EFBIG) }
        }
    }

    /// Removes a directory and all that is in it, following no link. Missing is no error.
    package static func removeTree(_ path: String) {
        let descriptor = open(path, directoryFlags)
        guard descriptor >= 0 else {
            unlink(path)
            return
        }
        removeEntries(of: descriptor)
        rmdir(path)
    }

    /// O_NOFOLLOW: a link fails to open, and is then removed as the file that it is.
    private static let directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC

    /// Closes the descriptor. Names go to the kernel as they came from it: they need not be UTF-8.
    private static func removeEntries(of descriptor: Int32) {
        guard let directory = fdopendir(descriptor) else {
            close(descriptor)
            return
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { return }
                    let child = openat(descriptor, name, directoryFlags)
                    if child >= 0 { removeEntries(of: child) }
                    unlinkat(descriptor, name, child >= 0 ? AT_REMOVEDIR : 0)
                }
            }
        }
    }
}
