import Glibc
import Synchronization
import Testing

@testable import Spool

@Suite("A disk that fails")
struct FaultTests {
    @Test("An append torn at any byte throws; nothing half-written is read, the next append is whole")
    func tornAppend() throws {
        for kept in 0...(FrameHeader.count + 12) {
            let disk = MemoryFileSystem()
            let spool = try Spool(disk)
            try spool.append("before")
            disk.inject(Fault(operation: .append, keptBytes: kept))
            #expect(throws: SpoolError.self) { try spool.append("torn payload") }
            #expect(spool.statistics.lastFailure != nil)
            try spool.append("after")
            #expect(spool.statistics.lastFailure == nil)
            #expect(try spool.readAll() == ["before", "after"])
            #expect(spool.statistics.corruptFrames == 0)
            #expect(try Spool(disk).readAll() == ["before", "after"])
        }
    }

    @Test("A full disk is freed of what is settled, the last segment too, before it is probed")
    func settledOnFullDisk() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("sent")
        disk.inject(Fault(operation: .append))
        #expect(throws: SpoolError.self) { try spool.append("no space") }
        spool.probeAfterFailure()
        #expect(spool.statistics.lastFailure == nil)
        #expect(disk.segmentNames.count == 1, "not settled yet")
        disk.inject(Fault(operation: .append))
        #expect(throws: SpoolError.self) { try spool.append("no space") }
        spool.settle(try spool.readWhole().frames)
        spool.probeAfterFailure()
        #expect(disk.segmentNames == [])
        try spool.append("next")
        #expect(try spool.readAll() == ["next"])
        #expect(spool.isBalanced)
    }

    @Test("A spool at its bound is not probed: a probe would be on the disk as well")
    func noSpaceForProbe() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, SpoolOptions(maxBytes: 16_000, sync: .never))
        let text = String(repeating: "x", count: 400)
        while spool.statistics.bytes <= 15_000 { try spool.append(text) }
        disk.inject(Fault(operation: .append))
        #expect(throws: SpoolError.self) { try spool.append("fails") }
        spool.probeAfterFailure()
        #expect(spool.statistics.lastFailure != nil && spool.statistics.bytes <= 16_000)
        spool.settle(try spool.readWhole().frames)
        spool.probeAfterFailure()
        #expect(spool.statistics.lastFailure == nil)
    }

    @Test("The same when the torn bytes can't even be truncated away")
    func tornAppendWithoutTruncation() throws {
        for kept in 0...(FrameHeader.count + 12) {
            for isFirst in [false, true] {
                let disk = MemoryFileSystem()
                let spool = try Spool(disk)
                let before = isFirst ? [] : ["before"]
                for text in before { try spool.append(text) }
                disk.inject(
                    Fault(operation: .append, keptBytes: kept), Fault(operation: .truncate, namePrefix: "segment"))
                if isFirst { disk.clearFaults() }
                if isFirst {
                    try tearFirstAppend(spool, disk, kept)
                } else {
                    #expect(throws: SpoolError.self) { try spool.append("torn payload") }
                }
                try spool.append("after 1")
                try spool.append("after 2")
                #expect(try spool.readAll() == before + ["after 1", "after 2"])
                #expect(spool.statistics.corruptFrames == 0)
                #expect(spool.isBalanced)
                #expect(try Spool(disk).readAll() == before + ["after 1", "after 2"])
            }
        }
    }

    /// The first truncation makes the new segment; only the one after the torn append fails.
    private func tearFirstAppend(_ spool: Spool, _ disk: MemoryFileSystem, _ kept: Int) throws {
        disk.inject(Fault(operation: .append, keptBytes: kept))
        #expect(throws: SpoolError.self) { try spool.append("torn payload") }
        disk.inject(Fault(operation: .append, keptBytes: kept), Fault(operation: .truncate, namePrefix: "segment"))
        #expect(throws: SpoolError.self) { try spool.append("torn payload") }
    }

    @Test("A frame written whole by an append that failed does not shadow the one acknowledged after it")
    func unacknowledgedTwin() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("before")
        disk.inject(Fault(operation: .append, keptBytes: 10_000), Fault(operation: .truncate, namePrefix: "segment"))
        #expect(throws: SpoolError.self) { try spool.append("refused") }
        try spool.append("acknowledged")
        let reopened = try Spool(disk)
        var texts: [String] = []
        while true {
            let batch = try reopened.readBatch(maxBytes: 1, maxSpans: 1)
            if batch.isEmpty { break }
            texts += batch.texts
            reopened.settle(batch.frames)
        }
        #expect(texts.contains("before") && texts.contains("acknowledged"), "\(texts)")
        #expect(reopened.isBalanced)
    }

    @Test("A failed sync of an empty segment does not cost the frames that follow")
    func syncFailureOfEmptySegment() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        disk.inject(Fault(operation: .append))
        #expect(throws: SpoolError.self) { try spool.append("no space") }
        disk.inject(Fault(operation: .sync, code: EIO))
        #expect(spool.syncOnce(), "made good by a fresh file")
        try spool.append("one")
        try spool.append("two")
        #expect(try spool.readAll() == ["one", "two"])
        #expect(try Spool(disk).readAll() == ["one", "two"])
        #expect(spool.isBalanced)
    }

    @Test("A new segment's name is synced with it, and nothing is synced twice")
    func directorySync() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("x")
        #expect(spool.syncOnce())
        #expect(disk.syncedNames == [disk.segmentNames[0], Checkpoint.fileName, ""])
        #expect(spool.syncOnce())
        #expect(disk.syncedNames.count == 3)
    }

    @Test("A segment that can't be made is an error of that append only", arguments: [0, 10, 40])
    func failedHeader(kept: Int) throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        disk.inject(Fault(operation: .write, namePrefix: "segment", keptBytes: kept))
        #expect(throws: SpoolError.self) { try spool.append("no") }
        disk.inject(Fault(operation: .open, namePrefix: "segment"))
        #expect(throws: SpoolError.self) { try spool.append("no") }
        disk.inject(Fault(operation: .write, namePrefix: "segment", keptBytes: kept), Fault(operation: .delete))
        #expect(throws: SpoolError.self) { try spool.append("no") }
        try spool.append("yes")
        #expect(try spool.readAll() == ["yes"])
        #expect(try Spool(disk).readAll() == ["yes"])
    }

    @Test("A segment that can't be deleted is tried again, and comes to no harm")
    func failedDelete() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk, .small(segmentBytes: 100))
        for index in 0..<4 { try spool.append("\(index) " + String(repeating: "x", count: 60)) }
        let batch = try spool.readWhole()
        disk.inject(Fault(operation: .delete, times: 3))
        spool.settle(batch.frames)
        #expect(disk.segmentNames.count == 4)
        try spool.append("next " + String(repeating: "x", count: 60))
        #expect(disk.segmentNames.count <= 2)
        #expect(spool.isBalanced)
        #expect(try Spool(disk).readWhole().frames.count == 1)
    }

    @Test("A read error is thrown, loses nothing, and the next read goes on")
    func failedRead() throws {
        let disk = MemoryFileSystem()
        let spool = try Spool(disk)
        try spool.append("x")
        disk.inject(Fault(operation: .read, code: EIO))
        #expect(throws: SpoolError.self) { try spool.readBatch(maxBytes: 10, maxSpans: 10) }
        #expect(spool.unread.since != nil)
        #expect(try spool.readAll() == ["x"])
    }

    @Test("Checkpoint writes that fail torn, several in a row, leave the last good slot alone")
    func tornCheckpoint() throws {
        for kept in [0, 100, 511, 512] {
            let disk = MemoryFileSystem()
            let spool = try Spool(disk)
            for index in 0..<6 { try spool.append("\(index)") }
            var batches: [SpoolBatch] = []
            for _ in 0..<6 { batches.append(try spool.readBatch(maxBytes: 1, maxSpans: 1)) }
            for batch in batches.prefix(3) { spool.settle(batch.frames) }
            disk.inject(Fault(operation: .write, namePrefix: "checkpoint", keptBytes: kept, times: 2))
            for batch in batches[3..<5] { spool.settle(batch.frames) }
            let texts = try Spool(disk).readAll()
            #expect(texts.suffix(1) == ["5"])
            #expect(!texts.contains("0") && !texts.contains("1") && !texts.contains("2"), "kept \(kept): \(texts)")
            #expect(spool.isBalanced)
        }
    }

    @Test("Opening fails where the directory can't be read or written", arguments: [Fault.Operation.open, .read])
    func failedOpen(operation: Fault.Operation) throws {
        let disk = MemoryFileSystem()
        try Spool(disk).append("x")
        disk.inject(Fault(operation: operation, code: EACCES))
        #expect(throws: SpoolError.self) { try Spool(disk) }
        #expect(try Spool(disk).readAll() == ["x"])
    }
}
