import Glibc
import Platform
import Synchronization
import Testing

@testable import Spool

/// Records the directories that are synced, and refuses as a test says.
private final class Syncs: Sendable {
    private let paths = Mutex<[String]>([])
    private let code: Int32

    init(refusing code: Int32 = 0) {
        self.code = code
    }

    var all: [String] { paths.withLock { $0 } }

    func sync(_ path: String) throws(SystemError) {
        paths.withLock { $0.append(path) }
        if code != 0 { throw SystemError("syncing directory", path: path, code: code) }
    }

    func fileSystem(_ path: String) throws(SystemError) -> DiskFileSystem {
        try DiskFileSystem(directory: path) { [self] path throws(SystemError) in try sync(path) }
    }
}

@Suite("The names of directories, made durable")
struct DirectorySyncTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test("The parent of each directory that was made is synced, from the top down; then the spool's own when it asks")
    func parents() throws {
        let (syncs, root) = (Syncs(), directory.path)
        let fileSystem = try syncs.fileSystem(root + "/a/b/c")
        #expect(syncs.all == [root, root + "/a", root + "/a/b"])
        try fileSystem.syncDirectory()
        #expect(syncs.all.last == root + "/a/b/c" && syncs.all.count == 4)
    }

    @Test("Where nothing was made nothing is synced")
    func existing() throws {
        let syncs = Syncs()
        _ = try syncs.fileSystem(directory.path)
        #expect(syncs.all.isEmpty)
    }

    @Test(
        "A parent that may not be read is passed over; any other refusal is an error", arguments: [EACCES, EIO, ENOSPC])
    func refused(code: Int32) throws {
        let path = directory.path + "/new"
        guard code != EACCES else {
            _ = try Syncs(refusing: code).fileSystem(path)
            return
        }
        #expect(throws: SystemError("syncing directory", path: directory.path, code: code)) {
            try Syncs(refusing: code).fileSystem(path)
        }
    }
}
