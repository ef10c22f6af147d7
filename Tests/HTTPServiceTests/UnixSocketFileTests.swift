import Glibc
import Platform
import Testing

@testable import HTTPService

@Suite("The file of a unix socket")
final class UnixSocketFileTests {
    private let folder: String
    private var descriptors: [Int32] = []

    init() throws {
        var template = Array("/tmp/http-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
        Files.removeTree(folder)
    }

    private func bind(_ path: String, mode: UInt32 = 0o660, group: String? = nil) throws -> UnixSocketFile? {
        let (file, descriptor) = try UnixSocketFile.bind(path, mode: mode, group: group, patienceMilliseconds: 0)
        descriptors.append(descriptor)
        return file
    }

    private func closeAll() {
        for descriptor in descriptors { close(descriptor) }
        descriptors = []
    }

    private func mode(_ path: String) -> UInt32? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    private func problem(_ path: String, group: String? = nil) -> String? {
        do {
            _ = try bind(path, group: group)
            return nil
        } catch {
            return (error as? ListenError)?.problem
        }
    }

    @Test("It is made with its mode, below directories that are made as well, and is removed while it is ours")
    func lifecycle() throws {
        let path = folder + "/a/b/s.sock"
        let file = try #require(try bind(path, mode: 0o620))
        #expect(mode(path) == 0o620 && file.isOurs && file.path == path)
        file.removeIfOurs()
        #expect(mode(path) == nil && !file.isOurs)
        let next = try #require(try bind(path, mode: 0o600))
        #expect(mode(path) == 0o600)
        unlink(path)
        try Files.replace(path, with: [1])
        #expect(!next.isOurs)
        next.removeIfOurs()
        #expect(mode(path) != nil, "the file of another one")
    }

    @Test("A socket that is left behind is taken; one with a listener, and a file that is no socket, are not")
    func taken() throws {
        let path = folder + "/s.sock"
        _ = try bind(path)
        #expect(problem(path) == "another process listens on this socket")
        closeAll()
        #expect(problem(path) == nil)
        let other = folder + "/file"
        try Files.replace(other, with: [1])
        #expect(problem(other) == "the path exists and is not a socket; remove it or choose another one")
    }

    @Test("A path has as many bytes as the system takes; a directory that can't be made is named")
    func paths() throws {
        func path(_ bytes: Int) -> String {
            folder + "/" + String(repeating: "x", count: bytes - folder.utf8.count - 1)
        }
        #expect(problem(path(UnixSocketFile.maxPathBytes)) == nil)
        #expect(
            problem(path(UnixSocketFile.maxPathBytes + 1))
                == "the path of a unix socket has at most 107 bytes, this one 108")
        try Files.replace(folder + "/file", with: [1])
        #expect(problem(folder + "/file/s.sock") == "creating directory \(folder)/file: Not a directory")
    }

    @Test("A group that does not exist is named, and nothing is left behind; one that exists has the file")
    func groups() throws {
        let path = folder + "/s.sock"
        #expect(problem(path, group: "no-such-group") == "there is no group no-such-group")
        #expect(mode(path) == nil)
        let own = try #require(getgrgid(getegid())).pointee
        _ = try bind(path, group: String(cString: own.gr_name))
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_gid == own.gr_gid)
    }

    @Test("An abstract socket has no file; its name is bounded, and taken while it is listened on")
    func abstractNames() throws {
        let name = "@asynq-collector-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let (file, descriptor) = try UnixSocketFile.bind(name, mode: 0o600, group: nil)
        descriptors.append(descriptor)
        #expect(file == nil && problem(name) == "another process listens on this socket")
        #expect(
            problem("@" + String(repeating: "x", count: 107)) == "the name of an abstract socket has at most 106 bytes")
    }

    @Test("The directory is locked meanwhile, and free afterwards; a lock that is held prevents nothing")
    func lock() throws {
        func isFree() -> Bool {
            let descriptor = open(folder, O_RDONLY | O_DIRECTORY)
            defer { close(descriptor) }
            return flock(descriptor, LOCK_EX | LOCK_NB) == 0
        }
        #expect(isFree())
        let wasFree = SocketDirectoryLock.held(on: folder) { isFree() }
        #expect(!wasFree && isFree())
        SocketDirectoryLock.held(on: folder) {
            #expect(SocketDirectoryLock.held(on: folder, patienceMilliseconds: 0) { true })
        }
        #expect(SocketDirectoryLock.held(on: folder + "/none") { true })
    }
}
