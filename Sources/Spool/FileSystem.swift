import Glibc
package import Platform

/// One file of the spool. The spool touches the disk through this protocol only, so that tests tear writes, lose what
/// was not synced and run out of space.
package protocol SpoolFile: AnyObject, Sendable {
    /// - Throws: also where the file was deleted while it is open.
    var count: Int { get throws(SystemError) }
    /// What it takes on the disk, which of a file with holes is less than `count`.
    var allocatedBytes: Int { get throws(SystemError) }
    /// Writes two parts at the end, which is at `end`, or throws; then the file may have grown by some of their bytes.
    func append(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int) throws(SystemError)
    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError)
    /// At most `count` bytes from `offset`; fewer at the end of the file, or before bytes that can't be read. Throws if
    /// there is none for such a reason.
    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8]
    func truncate(to count: Int) throws(SystemError)
    /// fdatasync: what was written is on the disk when this returns.
    func sync() throws(SystemError)
}

extension SpoolFile {
    package var allocatedBytes: Int {
        get throws(SystemError) { try count }
    }
}

/// The spool's directory.
package protocol SpoolFileSystem: Sendable {
    func open(_ name: String) throws(SystemError) -> any SpoolFile
    func names() throws(SystemError) -> [String]
    func delete(_ name: String) throws(SystemError)
    /// Replaces what had the new name, in one step.
    func rename(_ name: String, to newName: String) throws(SystemError)
    /// Makes created and deleted names durable.
    func syncDirectory() throws(SystemError)
}

/// A directory of the operating system.
package struct DiskFileSystem: SpoolFileSystem {
    private let directory: String

    /// Makes the directory where it is missing, so that a power cut does not take it with all that is in it.
    package init(directory: String) throws(SystemError) {
        for made in try Files.makeDirectories(directory) {
            do throws(SystemError) {
                try Files.syncDirectory(Files.parent(of: made))
            } catch {
                // One may have the right to make something in a directory and none to read it.
                if error.code != EACCES { throw error }
            }
        }
        // Files may be in it that can be written, and yet no new one be made.
        if faccessat(AT_FDCWD, directory, R_OK | W_OK | X_OK, AT_EACCESS) != 0 {
            throw SystemError("writing to directory", path: directory)
        }
        self.directory = directory
    }

    /// Why others than this process's user may change what is in the directory; nil where they may not.
    package var weakness: String? {
        var status = stat()
        if stat(directory, &status) != 0 { return nil }
        let mode = "0" + String(status.st_mode & 0o7777, radix: 8)
        if status.st_mode & S_IWOTH != 0 { return "mode \(mode): every user may write to it" }
        if status.st_uid != geteuid() && status.st_uid != 0 { return "it belongs to user \(status.st_uid)" }
        return nil
    }

    package func open(_ name: String) throws(SystemError) -> any SpoolFile {
        try DiskFile(path: directory + "/" + name)
    }

    package func names() throws(SystemError) -> [String] {
        // A name that was not read would be given to a new segment: the directory is read to its end, or not at all.
        var names: [String] = []
        try Files.forEachEntry(of: directory) { _, name in names.append(String(cString: name)) }
        return names
    }

    package func delete(_ name: String) throws(SystemError) {
        if unlink(directory + "/" + name) != 0 && errno != ENOENT {
            throw SystemError("deleting", path: directory + "/" + name)
        }
    }

    package func rename(_ name: String, to newName: String) throws(SystemError) {
        if Glibc.rename(directory + "/" + name, directory + "/" + newName) != 0 {
            throw SystemError("renaming", path: directory + "/" + name)
        }
    }

    package func syncDirectory() throws(SystemError) {
        try Files.syncDirectory(directory)
    }
}

/// Guard of the implied sendability: the descriptor never changes, and the kernel synchronizes what happens to it.
final class DiskFile: SpoolFile {
    private let descriptor: Int32
    private let path: String

    init(path: String) throws(SystemError) {
        descriptor = try Files.openUnlinked(path, mode: 0o640)
        self.path = path
    }

    deinit {
        close(descriptor)
    }

    var count: Int {
        get throws(SystemError) { Int(try status.st_size) }
    }

    var allocatedBytes: Int {
        get throws(SystemError) { Int(try status.st_blocks) * 512 }
    }

    private var status: stat {
        get throws(SystemError) {
            var status = stat()
            if fstat(descriptor, &status) != 0 { throw SystemError("fstat", path: path) }
            // Deleted, or another file has got its name.
            if status.st_nlink == 0 { throw SystemError("finding", path: path, code: ENOENT) }
            return status
        }
    }

    func append(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int) throws(SystemError) {
        var (head, payload) = (head, payload)
        var end = end
        while !head.isEmpty || !payload.isEmpty {
            let written = withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { vectors in
                vectors[0] = Self.vector(head)
                vectors[1] = Self.vector(payload)
                return pwritev(descriptor, vectors.baseAddress, 2, off_t(end))
            }
            if written < 0 && errno == EINTR { continue }
            if written < 0 { throw SystemError("writing", path: path) }
            end += written
            let ofHead = min(written, head.count)
            head = UnsafeRawBufferPointer(rebasing: head[ofHead...])
            payload = UnsafeRawBufferPointer(rebasing: payload[(written - ofHead)...])
        }
    }

    private static func vector(_ bytes: UnsafeRawBufferPointer) -> iovec {
        iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let written = bytes.withUnsafeBytes { buffer in
                pwrite(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset + done))
            }
            if written < 0 && errno == EINTR { continue }
            if written < 0 { throw SystemError("writing", path: path) }
            done += written
        }
    }

    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count {
                let start = buffer.baseAddress.map { $0 + initialized }
                let got = pread(descriptor, start, count - initialized, off_t(offset + initialized))
                if got < 0 && errno == EINTR { continue }
                if got < 0 && initialized == 0 { code = errno }
                if got <= 0 { return }
                initialized += got
            }
        }
        if code != 0 { throw SystemError("reading", path: path, code: code) }
        return bytes
    }

    func truncate(to count: Int) throws(SystemError) {
        if ftruncate(descriptor, off_t(count)) != 0 { throw SystemError("truncating", path: path) }
    }

    func sync() throws(SystemError) {
        if fdatasync(descriptor) != 0 { throw SystemError("syncing", path: path) }
    }
}
