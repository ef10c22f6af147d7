import Glibc

/// Small calls on paths that several targets need.
package enum Files {
    /// Makes `path` and its missing parents, each with `mode` (as restricted by the umask). Returns those that it made.
    /// - Throws: `SystemError` where one can't be made; those above it stay.
    @discardableResult
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o750) throws(SystemError) -> [String] {
        var new: [String] = []
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/" + part
            if mkdir(made, mode) == 0 {
                new.append(made)
            } else {
                // A directory that exists is fine, also where it may not be written (EROFS, EACCES). Anything else of
                // that name fails.
                let code = errno
                var status = stat()
                let exists = stat(made, &status) == 0
                if !exists || status.st_mode & S_IFMT != S_IFDIR {
                    throw SystemError("creating directory", path: made, code: exists ? ENOTDIR : code)
                }
            }
        }
        return new
    }

    /// - Throws: `SystemError` where the path does not lead to a directory, or only by a link at its end.
    package static func requireDirectory(_ path: String) throws(SystemError) {
        let descriptor = open(path, directoryFlags)
        if descriptor < 0 { throw SystemError("opening directory", path: path) }
        close(descriptor)
    }

    /// Makes the names in a directory durable.
    /// - Throws: `SystemError` where the directory can't be opened or synced; then a power cut may lose the names.
    package static func syncDirectory(_ path: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { throw SystemError("opening directory", path: path) }
        defer { close(descriptor) }
        if fsync(descriptor) != 0 { throw SystemError("syncing directory", path: path) }
    }

    /// Returns the parent of `path`: everything before its last slash; "." for a bare name.
    package static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Returns the whole content of a small file.
    /// - Throws: `SystemError` where the file can't be read, with EFBIG above `limit` bytes.
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

    /// Puts a file in its place whole, or not at all: a reader sees the old content or the new. The file survives a
    /// kill of the process from the moment that this returns. It is not synced, so it may not survive a power cut.
    /// - Throws: `SystemError` where the file can't be written; the old content stays.
    package static func replace(_ path: String, with content: [UInt8], mode: UInt32 = 0o640) throws(SystemError) {
        let temporary = path + temporarySuffix
        do throws(SystemError) {
            try write(temporary, content, mode: mode)
            if rename(temporary, path) != 0 { throw SystemError("renaming", path: temporary) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// The end of the name of a file that `replace` has not finished.
    package static let temporarySuffix = ".tmp"

    /// Opens a file for reading and writing, and makes it where it is missing. It follows neither symbolic nor hard
    /// links: in a directory that others may write to, they could lead to any file.
    ///
    /// - Throws: `SystemError`: `ELOOP` for a symbolic link, `EMLINK` for a file that has other names too, `ENOTSUP`
    ///   for anything but a regular file.
    package static func openUnlinked(_ path: String, mode: UInt32) throws(SystemError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode)
        if descriptor < 0 { throw SystemError("opening", path: path) }
        var status = stat()
        var code: Int32 = 0
        if fstat(descriptor, &status) != 0 {
            code = errno
        } else if status.st_mode & S_IFMT != S_IFREG {
            code = ENOTSUP
        } else if status.st_nlink > 1 {
            code = EMLINK
        }
        if code == 0 { return descriptor }
        close(descriptor)
        throw SystemError("opening", path: path, code: code)
    }

    /// Writes to a file of its own: what had the name before is removed, and a link is not followed.
    private static func write(_ path: String, _ content: [UInt8], mode: UInt32) throws(SystemError) {
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        if descriptor < 0 { throw SystemError("opening", path: path) }
        var done = 0
        while done < content.count {
            let count = content.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if count < 0 && errno == EINTR { continue }
            if count < 0 {
                let code = errno
                close(descriptor)
                throw SystemError("writing", path: path, code: code)
            }
            done += count
        }
        // Some file systems report only here that the disk is full.
        if close(descriptor) != 0 { throw SystemError("closing", path: path) }
    }

    /// Returns the names of the regular files in a directory, and their sizes. Names that are not UTF-8 are left out.
    /// - Throws: `SystemError` where the directory can't be opened, or not be read to its end.
    package static func list(_ directory: String) throws(SystemError) -> [(name: String, bytes: Int)] {
        var found: [(name: String, bytes: Int)] = []
        try forEachEntry(of: directory) { parent, entry in
            var status = stat()
            guard let name = String(validatingCString: entry),
                fstatat(parent, entry, &status, AT_SYMLINK_NOFOLLOW) == 0
            else { return }
            if status.st_mode & S_IFMT == S_IFREG { found.append((name, Int(status.st_size))) }
        }
        return found
    }

    /// Calls `body` with a descriptor of the directory and each name in it but `.` and `..`, as the kernel has it.
    ///
    /// - Throws: `SystemError` where the directory can't be opened, or not be read to its end.
    package static func forEachEntry(
        of directory: String, _ body: (_ parent: Int32, _ name: UnsafePointer<CChar>) -> Void
    ) throws(SystemError) {
        guard let stream = opendir(directory) else { throw SystemError("reading directory", path: directory) }
        defer { closedir(stream) }
        if !readEntries(of: stream, body) { throw SystemError("reading directory", path: directory) }
    }

    /// Returns false where the directory was not read to its end; errno says why.
    private static func readEntries(
        of stream: OpaquePointer, _ body: (_ parent: Int32, _ name: UnsafePointer<CChar>) -> Void
    ) -> Bool {
        while true {
            errno = 0
            guard let entry = readdir(stream) else { return errno == 0 }
            withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if strcmp(name, ".") != 0 && strcmp(name, "..") != 0 { body(dirfd(stream), name) }
                }
            }
        }
    }

    /// Removes a directory and all that is in it, following no link. A directory that is missing is fine.
    package static func removeTree(_ path: String) {
        let descriptor = open(path, directoryFlags)
        guard descriptor >= 0 else {
            unlink(path)
            return
        }
        removeEntries(of: descriptor)
        rmdir(path)
    }

    /// The flags by which a directory is opened. O_NOFOLLOW has a link fail to open; it is then removed as the file
    /// that it is.
    private static let directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC

    /// Closes the descriptor. Names go to the kernel as they came from it: they need not be UTF-8.
    private static func removeEntries(of descriptor: Int32) {
        guard let directory = fdopendir(descriptor) else {
            close(descriptor)
            return
        }
        defer { closedir(directory) }
        // What can't be read stays; the caller's rmdir then leaves the directory.
        _ = readEntries(of: directory) { descriptor, name in
            let child = openat(descriptor, name, directoryFlags)
            if child >= 0 { removeEntries(of: child) }
            unlinkat(descriptor, name, child >= 0 ? AT_REMOVEDIR : 0)
        }
    }
}
