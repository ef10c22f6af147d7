import Glibc
import Model
import Platform
import Testing

@testable import Spool

@Suite("What is told of the disk's failures")
struct SpoolReportTests {
    private static let error = SystemError("syncing", path: "a", code: EIO)
    private static let other = SystemError("deleting", path: "b", code: EIO)

    private static func moment(_ seconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: seconds * 1_000_000_000)
    }

    @Test("The first of many at once, the others as a number every ten seconds, and the end of it once")
    func pace() {
        var failures = UnreportedFailures()
        #expect(failures.take(at: Self.moment(0), isFailing: false) == nil)
        failures.record(Self.error, keepsFramesOut: true)
        failures.record(Self.other, keepsFramesOut: false)
        #expect(failures.take(at: Self.moment(0), isFailing: true) == .failing(error: Self.error.description, more: 1))
        for _ in 0..<5 { failures.record(Self.other, keepsFramesOut: true) }
        #expect(failures.take(at: Self.moment(9), isFailing: true) == nil)
        #expect(failures.take(at: Self.moment(10), isFailing: true) == .failing(error: Self.other.description, more: 4))
        failures.record(Self.error, keepsFramesOut: true)
        #expect(failures.take(at: Self.moment(11), isFailing: false) == .works)
        #expect(failures.take(at: Self.moment(30), isFailing: false) == nil)
    }

    @Test("A failure that keeps no spans out has no end")
    func harmless() {
        var failures = UnreportedFailures()
        failures.record(Self.other, keepsFramesOut: false)
        #expect(failures.take(at: Self.moment(0), isFailing: false) == .failing(error: Self.other.description, more: 0))
        #expect(failures.take(at: Self.moment(1), isFailing: false) == nil)
    }

    @Test("A sync that fails is told of, though its copy works at once")
    func madeGoodAtOnce() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))))
        try spool.append("one")
        disk.inject(Fault(operation: .sync, namePrefix: "segment", code: EIO))
        #expect(spool.syncOnce())
        guard case .failing(let text, more: 0)? = spool.news else {
            Issue.record("nothing is told")
            return
        }
        #expect(text.contains("segment-") && text.contains("Input/output error"))
        #expect(spool.news == .works)
        #expect(spool.news == nil)
    }

    @Test(
        "Each operation that is counted is told of",
        arguments: [
            Fault(operation: .append), Fault(operation: .sync), Fault(operation: .syncDirectory),
            Fault(operation: .write, namePrefix: Checkpoint.fileName), Fault(operation: .delete, namePrefix: "segment"),
        ])
    func everyOperation(fault: Fault) throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 100, sync: .interval(.nanoseconds(1))))
        disk.inject(fault)
        for _ in 0..<3 {
            do {
                try spool.append("text" + String(repeating: "x", count: 60))
            } catch {
                #expect(error is SpoolError)
            }
            _ = spool.syncOnce()
            spool.settle(try spool.readWhole().frames)
        }
        #expect(spool.statistics.errors == 1)
        #expect(spool.news != nil)
    }
}
