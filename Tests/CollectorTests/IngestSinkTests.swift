import Forwarder
import Logging
import Metrics
import Model
import Platform
import SpanReceiver
import Synchronization
import Testing
import WaitTime

@testable import Collector
@testable import Forwarder
@testable import Spool

/// A directory in memory.
final class NoDisk: SpoolFileSystem {
    final class File: SpoolFile {
        let bytes = Mutex<[UInt8]>([])

        var count: Int { get throws(SystemError) { bytes.withLock { $0.count } } }
        func append(_ parts: [UnsafeRawBufferPointer]) throws(SystemError) {
            let whole = parts.flatMap { Array($0) }
            bytes.withLock { $0 += whole }
        }
        func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
            self.bytes.withLock { $0 = Array($0.prefix(offset)) + bytes }
        }
        func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
            bytes.withLock { Array($0.dropFirst(offset).prefix(count)) }
        }
        func truncate(to count: Int) throws(SystemError) {}
        func sync() throws(SystemError) {}
    }

    func open(_ name: String) throws(SystemError) -> any SpoolFile { File() }
    func names() throws(SystemError) -> [String] { [] }
    func delete(_ name: String) throws(SystemError) {}
    func rename(_ name: String, to newName: String) throws(SystemError) {}
    func syncDirectory() throws(SystemError) {}
}

@Suite("Where accepted spans go")
struct IngestSinkTests {
    @Test(
        "Made spans wake the forwarder once they can be read: with sync always when they are on the disk",
        arguments: [
            SpoolSync.always, .never,
        ])
    func madeSpans(sync: SpoolSync) throws {
        let clock = Clock.system
        let spool = try Spool(
            fileSystem: NoDisk(), options: SpoolOptions(maxBytes: 1 << 20, sync: sync), clock: clock)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let options = try #require(try options(["--tempo-endpoint=http://127.0.0.1:1"])?.forwarder)
        let forwarder = Forwarder(spool: spool, options: options, clock: clock, logger: logger)
        let metrics = TaskMetrics(
            TaskAggregatorOptions(
                bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 1, quantileWindowNanoseconds: 1),
            readyTimes: nil, clock: clock)
        let sink = IngestSink(taskMetrics: metrics, spool: spool, forwarder: forwarder)
        // As its thread does before it sleeps.
        forwarder.wakeThreshold.store(1, ordering: .releasing)
        try sink.keep(MadeSpans(payload: [1, 2, 3], spanCount: 1))
        if sync == .always {
            #expect(forwarder.wakeThreshold.load(ordering: .acquiring) == 1, "nothing can be read yet")
            #expect(spool.syncOnce())
        }
        #expect(forwarder.wakeThreshold.load(ordering: .acquiring) == .max)
    }
}
