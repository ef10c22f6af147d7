import Glibc
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Spool

/// After a failed fdatasync the kernel takes the pages for clean: a second one would report success over lost bytes.
@Suite("Syncs that fail")
struct FailedSyncTests {
    private static let always = SpoolOptions.small(sync: .always)
    private static let first = SegmentHeader.fileName(firstSequence: 1)

    private static func syncFault(times: Int = 1) -> Fault {
        Fault(operation: .sync, namePrefix: "segment", code: EIO, times: times)
    }

    @Test("The content goes to a fresh file, that one is synced, and the sender hears that its spans are safe")
    func madeGood() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, Self.always)
        let heard = Heard()
        try spool.append("one", heard: heard)
        disk.inject(Self.syncFault())
        #expect(spool.syncOnce())
        #expect(heard.all == [true])
        #expect(spool.statistics.errors == 1)
        #expect(spool.statistics.lastFailure == nil)
        #expect(disk.syncedNames == [Checkpoint.fileName, Self.first + ".new", ""])
        #expect(disk.segmentNames == [Self.first])
        try spool.append("two", heard: heard)
        #expect(spool.syncOnce())
        #expect(disk.segmentNames.count == 2)
        #expect(disk.syncedNames.suffix(2) == [disk.segmentNames[1], ""])
        #expect(try spool.readAll() == ["one", "two"])
        #expect(try Spool(disk).readAll() == ["one", "two"])
    }

    @Test("If the fresh file fails too, the sender hears so, and the spool does not keep what will be sent again")
    func withdrawn() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, Self.always, clock)
        let heard = Heard()
        try spool.append("kept", spans: 2, heard: heard)
        #expect(spool.syncOnce())
        try spool.append("refused", spans: 3, heard: heard)
        disk.inject(Self.syncFault(times: 2))
        #expect(!spool.syncOnce())
        #expect(heard.all == [true, false])
        #expect(spool.statistics.droppedSpans == ["unsynced": 3])
        #expect(spool.statistics.lastFailure != nil)
        #expect(spool.isBalanced)
        #expect(throws: SpoolError.self, "the disk has refused twice") { try spool.append("refused", spans: 3) }
        #expect(spool.statistics.lastFailure != nil)
        #expect(!spool.syncOnce(), "the first segment waits for its copy")
        clock.advance(seconds: 1)
        #expect(spool.syncOnce())
        try spool.append("refused", spans: 3, heard: heard)
        #expect(spool.syncOnce())
        #expect(heard.all == [true, false, true])
        #expect(disk.segmentNames.count == 2)
        #expect(try spool.readAll() == ["kept", "refused"], "once")
        #expect(try Spool(disk).readAll() == ["kept", "refused"], "once")
        #expect(spool.isBalanced)
    }

    @Test("A failed file is never synced again; its copy is tried again, a second apart, until it works")
    func retried() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))), clock)
        try spool.append("one")
        disk.inject(Self.syncFault(times: 3))
        #expect(!spool.syncOnce())
        #expect(!spool.syncOnce(), "too early")
        #expect(disk.pendingFaults == 1)
        clock.advance(seconds: 1)
        #expect(!spool.syncOnce())
        #expect(disk.pendingFaults == 0)
        spool.probeAfterFailure()
        #expect(spool.statistics.lastFailure != nil, "a probe that works does not make the segment durable")
        clock.advance(seconds: 1)
        #expect(spool.syncOnce())
        #expect(spool.statistics.lastFailure == nil)
        #expect(disk.syncedNames.filter { $0.hasPrefix("segment") } == [Self.first + ".new"])
        #expect(try spool.readAll() == ["one"])
        #expect(spool.isBalanced)
    }

    @Test("An append while a sync fails leaves no file open")
    func appendWhileFailing() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))), clock)
        try spool.append("one")
        disk.inject(Self.syncFault(times: 2))
        disk.beforeNextSync {
            do {
                try spool.append("meanwhile")
            } catch {
                Issue.record(error)
            }
        }
        #expect(!spool.syncOnce())
        let openFiles = spool.state.withLock { state in
            state.closeIdleFiles(needsSync: true)
            return state.segments.count { $0.file != nil }
        }
        #expect(openFiles == 0)
        clock.advance(seconds: 1)
        #expect(spool.syncOnce())
        #expect(try Spool(disk).readAll() == ["one", "meanwhile"])
        #expect(spool.isBalanced)
    }

    @Test(
        "The copy of a segment without frames does not take the place of a new one of its name",
        arguments: 1...3)
    func copyOfAnEmptySegment(syncsBefore: Int) throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))))
        disk.inject(Fault(operation: .append, namePrefix: "segment"))
        #expect(throws: SpoolError.self) { try spool.append("refused") }
        spool.state.withLock { $0.segments[0].isDirty = true }
        disk.inject(Self.syncFault())
        // The segment's, the checkpoint's, and the copy's.
        @Sendable func onSync(_ number: Int) {
            disk.beforeNextSync {
                if number > 1 { return onSync(number - 1) }
                do {
                    try spool.append("meanwhile")
                } catch {
                    Issue.record(error)
                }
            }
        }
        onSync(syncsBefore)
        _ = spool.syncOnce()
        try spool.append("later")
        #expect(try spool.readAll() == ["meanwhile", "later"])
        #expect(try Spool(disk).readAll() == ["meanwhile", "later"])
        #expect(spool.isBalanced)
        if syncsBefore > 1 { #expect(!disk.files.keys.contains { $0.hasSuffix(SegmentHeader.copySuffix) }) }
    }

    @Test("A frame that waited for its sync in a segment that went into quarantine is counted once")
    func withdrawnFromQuarantine() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, Self.always)
        let heard = Heard()
        try spool.append("synced", spans: 4, heard: heard)
        #expect(spool.syncOnce())
        try spool.append("waiting", spans: 10, heard: heard)
        disk.spoil(disk.segmentNames[0], from: 0)
        for _ in 0..<2 * SpoolReaders.maxTries where spool.statistics.quarantinedSegments == 0 {
            #expect(throws: SpoolError.self) { try spool.readWhole() }
        }
        #expect(spool.statistics.quarantinedSegments == 1)
        disk.inject(Self.syncFault(times: 2))
        _ = spool.syncOnce()
        #expect(heard.all == [true, false])
        #expect(spool.statistics.spans == 0 && spool.statistics.droppedSpans == ["unreadable": 14])
        #expect(spool.isBalanced)
    }

    @Test(
        "While the disk refuses the copy too, nothing more is taken, and no file is added; then it is, by itself",
        arguments: [SpoolSync.always, .interval(.nanoseconds(1))])
    func refuses(sync: SpoolSync) throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, .small(sync: sync), clock)
        try spool.append("one")
        disk.inject(Self.syncFault(times: .max))
        var taken = 1
        for _ in 0..<20 {
            _ = spool.syncOnce()
            do {
                try spool.append("another")
                taken += 1
            } catch {
                guard case SpoolError.io(let cause) = error, cause.code == EIO else { throw error }
            }
            clock.advance(seconds: 1)
        }
        #expect(taken == 1)
        #expect(disk.files.count == 3, "the checkpoint, one segment, and the mark of its failed sync")
        disk.clearFaults()
        #expect(spool.syncOnce())
        try spool.append("two")
        #expect(spool.syncOnce())
        #expect(spool.statistics.lastFailure == nil)
        #expect(try spool.readAll() == (sync == .always ? ["two"] : ["one", "two"]))
        #expect(spool.isBalanced)
    }

    @Test("What nobody has to keep any more does not keep the spool closed")
    func settledWhileRefusing() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))))
        try spool.append("one")
        disk.inject(Self.syncFault(times: 2))
        #expect(!spool.syncOnce())
        #expect(throws: SpoolError.self) { try spool.append("refused") }
        spool.settle(try spool.readWhole().frames)
        spool.probeAfterFailure()
        try spool.append("two")
        #expect(spool.syncOnce())
    }

    @Test("While the directory can't be synced, nothing more is taken, and no file is added")
    func refusesForDirectory() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))))
        disk.inject(Fault(operation: .syncDirectory, code: EIO, times: .max))
        var taken = 0
        for index in 0..<20 {
            do {
                try spool.append("\(index)")
                taken += 1
            } catch {
                #expect(error is SpoolError)
            }
            #expect(!spool.syncOnce())
            spool.probeAfterFailure()
        }
        #expect(taken == 2)
        #expect(disk.segmentNames.count == 2)
        disk.clearFaults()
        #expect(spool.syncOnce())
        #expect(spool.statistics.lastFailure == nil)
        try spool.append("last")
        #expect(try spool.readAll() == ["0", "1", "last"])
    }

    @Test("A failed sync of one file does not leave the others unsynced")
    func others() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 100, sync: .interval(.nanoseconds(1))))
        for index in 0..<3 { try spool.append("\(index)" + String(repeating: "x", count: 60)) }
        disk.inject(Self.syncFault(times: 1))
        #expect(spool.syncOnce())
        let names = disk.segmentNames
        #expect(disk.syncedNames.filter { $0.hasPrefix("segment") } == [names[1], names[2], names[0] + ".new"])
    }

    @Test("A copy never takes the spool over its bound")
    func bound() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let options = SpoolOptions.small(maxBytes: 8192 + 2000, segmentBytes: 1500, sync: .interval(.nanoseconds(1)))
        let spool = try Spool(disk, options, clock)
        try spool.append(String(repeating: "x", count: 1300))
        disk.inject(Self.syncFault())
        #expect(!spool.syncOnce())
        #expect(disk.totalBytes < 8192 + 2000)
        #expect(spool.statistics.lastFailure != nil)
        spool.settle(try spool.readWhole().frames)
        try spool.append("next")
        clock.advance(seconds: 1)
        #expect(spool.syncOnce())
        #expect(spool.isBalanced)
    }

    @Test("A process that is killed between leaves word of the failed sync: the next one makes it good")
    func killedBetween() throws {
        let disk = MemoryFileSystem()
        let options = SpoolOptions.small(sync: .interval(.nanoseconds(1)))
        let spool = try Spool(disk, options)
        try spool.append("one")
        disk.inject(Self.syncFault(times: 2))
        #expect(!spool.syncOnce())
        let reopened = try Spool(disk, options)
        #expect(reopened.syncOnce())
        #expect(disk.syncedNames.filter { $0.hasPrefix("segment") } == [Self.first + ".new"])
        #expect(disk.files.keys.sorted() == [Checkpoint.fileName, Self.first])
        #expect(try Spool(disk).readAll() == ["one"])
    }

    @Test("No word of it stays behind when the segment is settled")
    func settledBetween() throws {
        for reopens in [false, true] {
            let disk = MemoryFileSystem()
            let options = SpoolOptions.small(segmentBytes: 100, sync: .interval(.nanoseconds(1)))
            let spool = try Spool(disk, options)
            try spool.append("one")
            disk.inject(Self.syncFault(times: 2))
            #expect(!spool.syncOnce())
            #expect(disk.files[Self.first + ".new"] == [])
            spool.settle(try spool.readWhole().frames)
            if reopens {
                _ = try Spool(disk, options)
            } else {
                spool.probeAfterFailure()
                try spool.append("two" + String(repeating: ".", count: 60))
            }
            #expect(disk.files[Self.first + ".new"] == nil)
            #expect(disk.files[Self.first] == nil)
        }
    }

    @Test(
        "A segment that is dropped is off the books, though the mark of its failed sync can't be deleted",
        arguments: [SpoolWhenFull.refuse, .dropOldest])
    func markThatStays(whenFull: SpoolWhenFull) throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(
            disk,
            .small(maxBytes: 8192 + 2000, whenFull: whenFull, maxAgeSeconds: 60, sync: .interval(.nanoseconds(1))),
            clock)
        try spool.append(String(repeating: "x", count: 900), spans: 3)
        disk.inject(Self.syncFault(times: 2))
        #expect(!spool.syncOnce())
        clock.advance(seconds: 1)
        disk.inject(Fault(operation: .delete, namePrefix: Self.first + ".new"))
        if whenFull == .dropOldest {
            spool.state.withLock { $0.disk.recordProbe() }
            for _ in 0..<2 { try spool.append(String(repeating: "y", count: 900)) }
        } else {
            clock.advance(seconds: 60)
            spool.dropExpired()
        }
        #expect(disk.pendingFaults == 0)
        #expect(spool.isBalanced)
        #expect(spool.statistics.droppedSpans == [whenFull == .dropOldest ? "evicted" : "expired": 3])
        #expect(!disk.files.keys.contains(Self.first))
    }

    @Test("Half a frame and half a copy that can't be taken away count as space that is taken")
    func strays() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, .small(sync: .interval(.nanoseconds(1))), clock)
        try spool.append("one")
        disk.inject(Fault(operation: .append, keptBytes: 10), Fault(operation: .truncate, namePrefix: "segment"))
        #expect(throws: SpoolError.self) { try spool.append("torn") }
        #expect(spool.statistics.bytes - SpoolState.overheadBytes >= disk.framesBytes)
        // The first truncation begins the copy, the second one would empty it.
        disk.inject(
            Self.syncFault(), Fault(operation: .write, namePrefix: "segment", keptBytes: 20),
            Fault(operation: .truncate, namePrefix: "segment", skip: 1))
        #expect(!spool.syncOnce())
        #expect(disk.pendingFaults == 0 && disk.files[Self.first + ".new"]?.count == 20)
        #expect(spool.statistics.bytes - SpoolState.overheadBytes >= disk.framesBytes)
        clock.advance(seconds: 1)
        #expect(spool.syncOnce())
        #expect(spool.statistics.bytes - SpoolState.overheadBytes == disk.files[Self.first]?.count)
        #expect(try spool.readAll() == ["one"])
    }

    @Test("A copy of a segment that is no more is deleted by the next start; other files of that suffix are not")
    func leftover() throws {
        let disk = MemoryFileSystem([Self.first + ".new": [1, 2, 3], "notes.new": [1]])
        let spool = try Spool(disk)
        try spool.append("x")
        #expect(disk.files.keys.sorted() == [Checkpoint.fileName, "notes.new", Self.first])
    }

    @Test("With sync always, nothing is read before it is on the disk")
    func gate() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 100, sync: .always))
        let heard = Heard()
        for index in 0..<3 { try spool.append("\(index)" + String(repeating: "x", count: 60), heard: heard) }
        #expect(try spool.readWhole().isEmpty)
        #expect(spool.unread.since == nil)
        #expect(spool.statistics.spans == 3)
        #expect(spool.syncOnce())
        #expect(spool.unread.spans == 3)
        #expect(try spool.readWhole().frames.count == 3)
    }

    @Test("A directory that can't be synced: those who wait hear so, later frames get a new name")
    func directory() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, Self.always)
        let heard = Heard()
        try spool.append("one", heard: heard)
        disk.inject(Fault(operation: .syncDirectory, code: EIO))
        #expect(!spool.syncOnce())
        try spool.append("two", heard: heard)
        #expect(spool.syncOnce())
        #expect(heard.all == [false, true])
        #expect(try spool.readAll() == ["two"])
        #expect(spool.isBalanced)
    }

    @Test("A checkpoint that can't be synced is written anew, a second later; no sender waits for it")
    func checkpoint() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, Self.always, clock)
        let heard = Heard()
        try spool.append("one")
        #expect(spool.syncOnce())
        clock.advance(seconds: 1)
        spool.settle(try spool.readWhole().frames)
        try spool.append("two", heard: heard)
        let before = disk.syncedNames.count { $0 == Checkpoint.fileName }
        disk.inject(Fault(operation: .sync, namePrefix: Checkpoint.fileName, code: EIO))
        #expect(spool.syncOnce())
        #expect(heard.all == [true])
        #expect(spool.statistics.errors == 1)
        #expect(spool.syncOnce())
        #expect(disk.syncedNames.count { $0 == Checkpoint.fileName } == before)
        clock.advance(seconds: 1)
        #expect(spool.syncOnce())
        #expect(disk.syncedNames.last == Checkpoint.fileName)
    }

    @Test("The checkpoint is synced before the name of a file that was deleted goes for good")
    func checkpointBeforeDirectory() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, SpoolOptions.small(segmentBytes: 100, sync: .always), TestClock())
        for index in 0..<4 { try spool.append("\(index)" + String(repeating: "x", count: 60)) }
        #expect(spool.syncOnce())
        let files = disk.syncedNames.count
        spool.settle(try spool.readWhole().frames)
        #expect(spool.syncOnce())
        #expect(Array(disk.syncedNames.dropFirst(files)) == [Checkpoint.fileName, ""])
    }

    @Test("A file that can't be read back for its copy keeps no other frame out")
    func unreadableOriginal() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, SpoolOptions.small(segmentBytes: 1000, sync: .interval(.nanoseconds(1))), clock)
        try spool.append("one")
        disk.inject(Fault(operation: .sync, namePrefix: "segment-", code: EIO))
        disk.inject(Fault(operation: .read, namePrefix: "segment-0000000000000001.log", code: EIO, times: 1000))
        for _ in 0..<5 {
            #expect(!spool.syncOnce())
            clock.advance(seconds: 1)
            try spool.append("more")
        }
    }

    @Test("The checkpoint is synced once a second while batches are settled, and at the end")
    func checkpointPace() throws {
        let disk = MemoryFileSystem()
        let clock = TestClock()
        let spool = try Spool(disk, Self.always, clock)
        func syncs() -> Int { disk.syncedNames.count { $0 == Checkpoint.fileName } }
        for second in 1...3 {
            for index in 0..<5 {
                try spool.append("\(second) \(index)")
                #expect(spool.syncOnce())
                spool.settle(try spool.readWhole().frames)
            }
            #expect(syncs() == second)
            clock.advance(seconds: 1)
        }
        #expect(spool.syncOnce())
        #expect(syncs() == 4)
        try spool.append("last")
        #expect(spool.syncOnce())
        spool.settle(try spool.readWhole().frames)
        spool.close()
        #expect(syncs() == 5)
    }

    @Test("Segments of an earlier process are synced once: they may have been only in the page cache")
    func recovered() throws {
        let disk = MemoryFileSystem()
        let options = SpoolOptions.small(segmentBytes: 100, sync: .interval(.nanoseconds(1)))
        let spool = try Spool(disk, options)
        // More than are opened at a time: the newest, last to be opened, is the one that matters.
        for index in 0..<50 { try spool.append("\(index)" + String(repeating: "x", count: 60)) }
        let reopened = try Spool(disk, options)
        #expect(reopened.syncOnce())
        #expect(disk.syncedNames.filter { $0.hasPrefix("segment") } == disk.segmentNames)
        #expect(reopened.syncOnce())
        #expect(disk.syncedNames.count(where: { $0.hasPrefix("segment") }) == 50)
    }

    @Test(
        "Segments of an earlier process that can't be opened are tried again the next time, and no more than once now")
    func recoveredUnopened() throws {
        let disk = MemoryFileSystem()
        let options = SpoolOptions.small(segmentBytes: 100, sync: .interval(.nanoseconds(1)))
        let spool = try Spool(disk, options)
        for index in 0..<50 { try spool.append("\(index)" + String(repeating: "x", count: 60)) }
        let reopened = try Spool(disk, options)
        disk.inject(Fault(operation: .open, namePrefix: "segment", code: EMFILE, times: 60))
        _ = reopened.syncOnce()
        #expect(disk.syncedNames.filter { $0.hasPrefix("segment") } == [])
        disk.clearFaults()
        #expect(reopened.syncOnce())
        #expect(disk.syncedNames.filter { $0.hasPrefix("segment") } == disk.segmentNames)
    }
}
