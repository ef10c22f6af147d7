import Glibc
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Spool

/// A disk whose appends wait for a word.
private final class HangingFileSystem: SpoolFileSystem {
    final class File: SpoolFile {
        let system: HangingFileSystem
        let file: any SpoolFile

        init(_ system: HangingFileSystem, _ file: any SpoolFile) {
            self.system = system
            self.file = file
        }

        var count: Int { get throws(SystemError) { try file.count } }
        func append(
            _ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int
        ) throws(SystemError) {
            system.hasBegun.store(true, ordering: .sequentiallyConsistent)
            while !system.goesOn.load(ordering: .sequentiallyConsistent) { usleep(100) }
            try file.append(head, payload, at: end)
        }
        func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) { try file.write(bytes, at: offset) }
        func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] { try file.read(count, at: offset) }
        func truncate(to count: Int) throws(SystemError) { try file.truncate(to: count) }
        func sync() throws(SystemError) { try file.sync() }
    }

    let memory = MemoryFileSystem()
    let hasBegun = Atomic<Bool>(false)
    let goesOn = Atomic<Bool>(false)

    func open(_ name: String) throws(SystemError) -> any SpoolFile { File(self, try memory.open(name)) }
    func names() throws(SystemError) -> [String] { try memory.names() }
    func delete(_ name: String) throws(SystemError) { try memory.delete(name) }
    func rename(_ name: String, to newName: String) throws(SystemError) { try memory.rename(name, to: newName) }
    func syncDirectory() throws(SystemError) { try memory.syncDirectory() }
}

@Suite("A disk that hangs")
struct HangingDiskTests {
    @Test("A frame that comes too late for its sender is taken back, and its place is the next one's")
    func late() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(fileSystem: disk, options: .small(), clock: TestClock().clock)
        func append(_ text: String, isAwaited: Bool) throws(SpoolError) {
            try Array(text.utf8).withUnsafeBufferPointer { payload throws(SpoolError) in
                try spool.append(UnsafeRawBufferPointer(payload), spanCount: 3, confirm: { isAwaited })
            }
        }
        try append("a", isAwaited: true)
        let before = spool.statistics
        #expect(throws: SpoolError.self) { try append("late", isAwaited: false) }
        #expect(spool.statistics.bytes == before.bytes && spool.statistics.spans == 3)
        #expect(spool.statistics.appendedSpans == 3 && spool.statistics.lastFailure != nil)
        try append("b", isAwaited: true)
        #expect(spool.statistics.lastFailure == nil)
        let batch = try spool.readBatch(maxBytes: 1000, maxSpans: 1000)
        #expect(batch.bytes == Array("ab".utf8) && batch.spanCount == 6)
    }

    @Test("Who asks for statistics hears that there are none now, and is not held up")
    func statistics() throws {
        let disk = HangingFileSystem()
        let spool = try Spool(fileSystem: disk, options: .small(), clock: TestClock().clock)
        #expect(spool.statistics(patience: .zero)?.spans == 0)
        let appender = try OSThread(name: "appender") {
            try? "x".utf8.withContiguousStorageIfAvailable {
                try spool.append(UnsafeRawBufferPointer($0), spanCount: 3)
            }
        }
        while !disk.hasBegun.load(ordering: .sequentiallyConsistent) { usleep(100) }
        #expect(spool.statistics(patience: .zero) == nil)
        #expect(spool.statistics(patience: .milliseconds(5)) == nil)
        disk.goesOn.store(true, ordering: .sequentiallyConsistent)
        appender.join()
        #expect(spool.statistics(patience: .zero)?.spans == 3)
    }
}
