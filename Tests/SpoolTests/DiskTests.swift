import Glibc
import Platform
import Synchronization
import Testing

@testable import Spool

/// A directory of its own, removed at the end.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/spool-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        Files.removeTree(path)
    }

    func names() -> [String] {
        do {
            return try DiskFileSystem(directory: path).names().filter { $0 != "." && $0 != ".." }.sorted()
        } catch {
            return []
        }
    }
}

@Suite("On a real disk")
struct DiskTests {
    @Test("Append, read, settle, kill and reopen work on files as they do in memory")
    func lifecycle() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/made/on/demand"
        let options = SpoolOptions.small(segmentBytes: 3000)
        let spool = try Spool(DiskFileSystem(directory: path), options)
        let payloads = (0..<50).map { [UInt8](repeating: UInt8($0), count: 37 * $0) }
        for payload in payloads { try spool.append(payload, spans: 2) }
        #expect(spool.syncOnce())
        let batch = try spool.readBatch(maxBytes: 5000, maxSpans: 1000)
        spool.settle(batch.frames)
        let reopened = try Spool(DiskFileSystem(directory: path), options)
        let rest = try reopened.readWhole()
        #expect(batch.payloads + rest.payloads == payloads)
        reopened.settle(rest.frames)
        #expect(reopened.statistics.spans == 0)
        #expect(reopened.isBalanced)
        #expect(try Spool(DiskFileSystem(directory: path), options).statistics.recoveredSpans == 0)
    }

    @Test("A file is renamed over another one; one that is not there can't be renamed, and is deleted already")
    func names() throws {
        let directory = try TemporaryDirectory()
        let disk = try DiskFileSystem(directory: directory.path)
        try Files.replace(directory.path + "/a", with: [1])
        try Files.replace(directory.path + "/b", with: [2])
        try disk.rename("a", to: "b")
        #expect(directory.names() == ["b"])
        #expect(try Files.read(directory.path + "/b") == [1])
        #expect(throws: SystemError.self) { try disk.rename("a", to: "c") }
        try disk.delete("a")
        try disk.delete("b")
        #expect(directory.names() == [])
        mkdir(directory.path + "/d", 0o700)
        #expect(throws: SystemError.self) { try disk.delete("d") }
    }

    @Test("The size that is reported is no less than what the files take, and the bound holds on disk")
    func size() throws {
        let directory = try TemporaryDirectory()
        let lock = try SpoolDirectoryLock(directory: directory.path)
        let spool = try Spool(
            DiskFileSystem(directory: directory.path),
            .small(maxBytes: 200_000, segmentBytes: 20_000, whenFull: .dropOldest))
        for index in 0..<200 {
            try spool.append([UInt8](repeating: 1, count: 100 * (index % 37)))
            let total = try directory.names().reduce(0) { try $0 + Files.read(directory.path + "/" + $1).count }
            #expect(total <= spool.statistics.bytes && spool.statistics.bytes <= 200_000)
        }
        withExtendedLifetime(lock) {}
    }

    @Test("Empty parts and large ones are written whole")
    func vectors() throws {
        let directory = try TemporaryDirectory()
        let file = try DiskFileSystem(directory: directory.path).open("x")
        let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try large.withUnsafeBytes { bytes in
            let empty = UnsafeRawBufferPointer(start: nil, count: 0)
            try file.append(empty, bytes, at: 0)
            try file.append(empty, empty, at: bytes.count)
            let half = bytes.count / 2
            try file.append(
                UnsafeRawBufferPointer(rebasing: bytes[..<half]), UnsafeRawBufferPointer(rebasing: bytes[half...]),
                at: bytes.count)
        }
        #expect(try file.count == 2 * large.count)
        #expect(try file.read(2 * large.count + 10, at: 0) == large + large)
        #expect(try file.read(10, at: 2 * large.count) == [])
        try file.truncate(to: 10)
        #expect(try file.read(100, at: 4) == Array(large[4..<10]))
    }

    @Test("A directory that can't be made is an error that names it")
    func unmakeable() throws {
        #expect(throws: SystemError.self) { try DiskFileSystem(directory: "/proc/nothing/here") }
    }

    @Test("With sync always, the thread tells each append that it is durable; close tells the rest")
    func durable() throws {
        let directory = try TemporaryDirectory()
        let told = Mutex(0)
        let options = SpoolOptions(maxBytes: 1 << 20, sync: .always)
        let spool = try Spool(fileSystem: DiskFileSystem(directory: directory.path), options: options, clock: .system)
        try spool.start()
        for index in 0..<20 {
            try [UInt8](repeating: UInt8(index), count: 10).withUnsafeBytes { bytes in
                try spool.append(bytes, spanCount: 1) { isDurable in
                    if isDurable { told.withLock { $0 += 1 } }
                }
            }
        }
        spool.close()
        #expect(told.withLock { $0 } == 20)
    }

    @Test("Appends of many threads and settlements beside them keep the books and every payload")
    func threads() async throws {
        let directory = try TemporaryDirectory()
        let options = SpoolOptions(maxBytes: 64 << 20, sync: .interval(.milliseconds(1)), segmentBytes: 10_000)
        let spool = try Spool(fileSystem: DiskFileSystem(directory: directory.path), options: options, clock: .system)
        try spool.start()
        let seen = try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for index in 0..<250 { try spool.append("\(writer)-\(index)", spans: 3) }
                }
            }
            var seen: Set<String> = []
            while seen.count < 1000 {
                let batch = try spool.readBatch(maxBytes: 300, maxSpans: 100)
                seen.formUnion(batch.texts)
                spool.settle(batch.frames)
                if batch.isEmpty { await Task.yield() }
            }
            try await group.waitForAll()
            return seen
        }
        spool.close()
        #expect(seen.count == 1000)
        #expect(spool.statistics.deliveredSpans == 3000)
        #expect(spool.isBalanced)
    }
}

@Suite("SpoolDirectoryLock")
struct DirectoryLockTests {
    @Test("A second lock is refused with the pid of the owner; after the first is gone it is granted")
    func sameProcess() throws {
        let directory = try TemporaryDirectory()
        do {
            let first = try SpoolDirectoryLock(directory: directory.path)
            do {
                _ = try SpoolDirectoryLock(directory: directory.path)
                Issue.record("granted twice")
            } catch {
                guard case SpoolError.locked(let path, let pid) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(path == directory.path)
                #expect(pid == "\(getpid())")
            }
            withExtendedLifetime(first) {}
        }
        _ = try SpoolDirectoryLock(directory: directory.path)
    }

    @Test("A lock file left by a process that died is no obstacle")
    func leftBehind() throws {
        let directory = try TemporaryDirectory()
        let file = try DiskFileSystem(directory: directory.path).open("lock")
        try file.write(Array("99999999 and more text\n".utf8), at: 0)
        let lock = try SpoolDirectoryLock(directory: directory.path)
        #expect(try Files.read(directory.path + "/lock") == Array("\(getpid())\n".utf8))
        withExtendedLifetime(lock) {}
    }

    @Test("A lock of another process is refused too")
    func otherProcess() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/lock"
        // flock(1) of util-linux holds the file while its command runs; the command says when it does.
        let held = directory.path + "/held"
        let command = "echo 4711 > \(path); touch \(held); exec sleep 600"
        let process = try ChildProcess("flock", ["--no-fork", path, "sh", "-c", command])
        defer { process.terminate() }
        for _ in 0..<1000 where access(held, F_OK) != 0 { usleep(10_000) }
        do {
            _ = try SpoolDirectoryLock(directory: directory.path)
            Issue.record("granted")
        } catch {
            guard case SpoolError.locked(_, let pid) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(pid == "4711")
        }
    }

    @Test("A directory that is missing is an error of the system, not a lock")
    func missing() {
        do {
            _ = try SpoolDirectoryLock(directory: "/tmp/no-such-directory-here")
            Issue.record("granted")
        } catch {
            guard case SpoolError.io = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
