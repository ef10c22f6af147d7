import Glibc
package import Platform

/// One file of the spool. The spool touches the disk through this protocol only, so that tests tear writes, lose
/// unsynced bytes and run out of space.
package protocol SpoolFile: AnyObject, Sendable {
    /// - Throws: `SystemError`, also where the file was deleted while it is open.
    var count: Int { get throws(SystemError) }
    /// The bytes that it takes on the disk: less than `count` in a file with holes.
    var allocatedBytes: Int { get throws(SystemError) }
    /// Writes two parts at the end, which is at `end`.
    /// - Throws: `SystemError`; then the file may have grown by some of the bytes.
    func append(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int) throws(SystemError)
    /// Writes over bytes of the file.
    /// - Throws: `SystemError`; then some of the bytes may be written.
    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError)
    /// Returns `count` bytes from `offset`, or fewer at the end of the file and before bytes that can't be read.
    /// - Throws: `SystemError` where the first byte can't be read.
    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8]
    /// Cuts the file off.
    /// - Throws: `SystemError` where the system refuses.
    func truncate(to count: Int) throws(SystemError)
    /// Forces what was written to the disk (fdatasync).
    /// - Throws: `SystemError`; the file must not be synced again then, see SegmentRepair.swift.
    func sync() throws(SystemError)
}

extension SpoolFile {
    package var allocatedBytes: Int {
        get throws(SystemError) { try count }
    }
}

/// The spool's directory.
package protocol SpoolFileSystem: Sendable {
    /// Opens a file, and makes it where it is missing.
    /// - Throws: `SystemError` where the system refuses.
    func open(_ name: String) throws(SystemError) -> any SpoolFile
    /// Returns the names in the directory.
    /// - Throws: `SystemError` where it can't be read to its end.
    func names() throws(SystemError) -> [String]
    /// Deletes a file.
    /// - Throws: `SystemError` where the system refuses.
    func delete(_ name: String) throws(SystemError)
    /// Gives a file a new name, in one step; the file that had that name is gone.
    /// - Throws: `SystemError` where the system refuses; both files stay then.
    func rename(_ name: String, to newName: String) throws(SystemError)
    /// Makes created and deleted names durable.
    /// - Throws: `SystemError`; a power cut may undo them then.
    func syncDirectory() throws(SystemError)
}

/// A directory of the operating system.
package struct DiskFileSystem: SpoolFileSystem {
    /// Makes the names in a directory durable.
    package typealias DirectorySync = @Sendable (_ path: String) throws(SystemError) -> Void

    private let directory: String
    private let sync: DirectorySync

    /// Makes the directory where it is missing, and syncs its parent. A power cut then does not take the directory with
    /// all that is in it.
    /// - Throws: `SystemError` where it can't be made, or must not be used.
    package init(
        directory: String, sync: @escaping DirectorySync = { path throws(SystemError) in try Files.syncDirectory(path) }
    ) throws(SystemError) {
        self.sync = sync
        for made in try Files.makeDirectories(directory) {
            do throws(SystemError) {
                try sync(Files.parent(of: made))
            } catch {
                // A user may have the right to make something in a directory, without one to read it.
                if error.code != EACCES { throw error }
            }
        }
        // Files in it may be writable where new ones can't be made.
        if faccessat(AT_FDCWD, directory, R_OK | W_OK | X_OK, AT_EACCESS) != 0 {
            throw SystemError("writing to directory", path: directory)
        }
        self.directory = directory
    }

    /// The reason why other users may change what is in the directory; nil where only this process's user may.
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
        // A name that was overlooked would be given to a new segment, so the directory is read to its end, or not at
        // all.
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
        try sync(directory)
    }
}

/// Guard of the implied sendability: the descriptor never changes, and the kernel synchronizes its use.
final class DiskFile: SpoolFile {
    private let descriptor: Int32
    private let path: String

    /// Opens the file, and makes it where it is missing.
    /// - Throws: `SystemError` where the system refuses.
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
            // The file was deleted, or another one has got its name.
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
        // ext4 writes a file to the disk when it is closed, deleted or not, if it was ever truncated to nothing.
        var status = stat()
        if count == 0 && fstat(descriptor, &status) == 0 && status.st_size == 0 { return }
        if ftruncate(descriptor, off_t(count)) != 0 { throw SystemError("truncating", path: path) }
    }

    func sync() throws(SystemError) {
        if fdatasync(descriptor) != 0 { throw SystemError("syncing", path: path) }
    }
}
