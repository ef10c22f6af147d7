import Glibc

/// Small calls on paths that several targets need.
package enum Files {
    /// Makes `path` and its missing parents, each with `mode` (as restricted by the umask).
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o750) throws(SystemError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/" + part
            if mkdir(made, mode) != 0 && errno != EEXIST && errno != EISDIR {
                // A parent that exists but may not be written (EROFS, EACCES) is no obstacle.
                let code = errno
                var status = stat()
                if stat(made, &status) != 0 { throw SystemError("creating directory", path: made, code: code) }
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
        guard let directory = opendir(path) else {
            unlink(path)
            return
        }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        closedir(directory)
        for name in names {
            let child = path + "/" + name
            var status = stat()
            if lstat(child, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR {
                removeTree(child)
            } else {
                unlink(child)
            }
        }
        rmdir(path)
    }
}
