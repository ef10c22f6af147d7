import Logging
import Model
import OTLPClient
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Forwarder
@testable import Spool

/// A directory in memory whose reads fail as long as they are told to.
private final class UnreadableFileSystem: SpoolFileSystem {
    let readsFail = Atomic<Bool>(false)
    let failedReads = Atomic<Int>(0)

    final class File: SpoolFile {
        let bytes = Mutex<[UInt8]>([])
        let system: UnreadableFileSystem

        init(_ system: UnreadableFileSystem) {
            self.system = system
        }

        var count: Int { get throws(SystemError) { bytes.withLock { $0.count } } }

        func append(
            _ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int
        ) throws(SystemError) {
            let whole = Array(head) + Array(payload)
            bytes.withLock { $0 += whole }
        }

        func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
            self.bytes.withLock { content in
                let missing = offset + bytes.count - content.count
                if missing > 0 { content += [UInt8](repeating: 0, count: missing) }
                content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            }
        }

        func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
            if system.readsFail.load(ordering: .acquiring) {
                system.failedReads.add(1, ordering: .acquiringAndReleasing)
                // EMFILE: passes. EIO would at last put the segment into quarantine.
                throw SystemError("reading", code: 24)
            }
            return bytes.withLock { Array($0.dropFirst(offset).prefix(count)) }
        }

        func truncate(to count: Int) throws(SystemError) {
            bytes.withLock { $0 = Array($0.prefix(count)) }
        }

        func sync() throws(SystemError) {}
    }

    func open(_ name: String) throws(SystemError) -> any SpoolFile { File(self) }
    func names() throws(SystemError) -> [String] { [] }
    func delete(_ name: String) throws(SystemError) {}
    func rename(_ name: String, to newName: String) throws(SystemError) {}
    func syncDirectory() throws(SystemError) {}
}

@Suite("Forwarding")
struct ForwardingTests {
    private static func make(
        _ url: String, _ system: UnreadableFileSystem, _ change: (inout ForwarderOptions) -> Void = { _ in }
    ) throws -> (Spool, Forwarder) {
        let spool = try Spool(
            fileSystem: system, options: SpoolOptions(maxBytes: 1 << 20, sync: .never), clock: .system)
        var options = try ForwarderOptions.test(url)
        options.maxDelay = .milliseconds(1)
        options.retryInitial = .milliseconds(5)
        options.retryMax = .milliseconds(10)
        change(&options)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return (spool, Forwarder(spool: spool, options: options, clock: .system, logger: logger))
    }

    private static func waitUntil(_ isTrue: () -> Bool) async throws {
        for _ in 0..<3000 where !isTrue() { try await Task.sleep(nanoseconds: 10_000_000) }
    }

    @Test("A backend that is not there costs nothing: all stays in the spool, and the state says why")
    func refusedConnection() async throws {
        // Port 1 on loopback: nothing listens there.
        let (spool, forwarder) = try Self.make("http://127.0.0.1:1/v1/traces", UnreadableFileSystem())
        try forwarder.start()
        try [UInt8]("payload".utf8).withUnsafeBytes { try spool.append($0, spanCount: 3) }
        forwarder.recordAppend()
        try await Self.waitUntil { (forwarder.statistics.requests["connect"] ?? 0) >= 3 }
        let statistics = forwarder.statistics
        #expect((statistics.requests["connect"] ?? 0) >= 3)
        #expect(statistics.isBackendUp == false && statistics.lastFailure != nil)
        forwarder.stop(drainUntil: Clock.system.monotonic())
        #expect(spool.statistics.spans == 3)
        #expect(spool.statistics.deliveredSpans == 0)
    }

    @Test("Once the backend takes requests again, the state says so, and no failure any more")
    func recovered() async throws {
        let backend = try FakeBackend([503, 200])
        let (spool, forwarder) = try Self.make("http://127.0.0.1:\(backend.port)/v1/traces", UnreadableFileSystem())
        try forwarder.start()
        try [UInt8]("payload".utf8).withUnsafeBytes { try spool.append($0, spanCount: 3) }
        forwarder.recordAppend()
        try await Self.waitUntil { spool.statistics.deliveredSpans == 3 }
        let statistics = forwarder.statistics
        #expect(statistics.requests == ["503": 1, "200": 1] && spool.statistics.deliveredSpans == 3)
        #expect(statistics.isBackendUp == true && statistics.lastFailure == nil)
        forwarder.stop(drainUntil: Clock.system.monotonic())
    }

    /// Sends three spans to a backend that answers so, until the state is what the test waits for.
    private static func forward(
        to answers: [FakeBackend.Answer], _ change: (inout ForwarderOptions) -> Void = { _ in },
        until isDone: (Spool, ForwarderStatistics) -> Bool
    ) async throws -> (backend: FakeBackend, spool: Spool, statistics: ForwarderStatistics) {
        let backend = try FakeBackend(answers: answers)
        let (spool, forwarder) = try make(
            "http://127.0.0.1:\(backend.port)/base", UnreadableFileSystem(), change)
        try forwarder.start()
        try makeRequest(name: "a", spans: 3).withUnsafeBytes { try spool.append($0, spanCount: 3) }
        forwarder.recordAppend()
        try await waitUntil { isDone(spool, forwarder.statistics) }
        let statistics = forwarder.statistics
        forwarder.stop(drainUntil: Clock.system.monotonic())
        return (backend, spool, statistics)
    }

    @Test("A request says what it is, in what form, and who sends it")
    func head() async throws {
        for (compression, encoding) in [(.gzip, ["gzip"]), (.none, [])] as [(OTLPCompression, [String])] {
            let (backend, spool, _) = try await Self.forward(to: [.init(status: 200)]) { options in
                options.backend.compression = compression
                options.backend.headers = [(name: "X-Scope-OrgID", value: "tenant")]
            } until: { spool, _ in
                spool.statistics.deliveredSpans == 3
            }
            #expect(spool.statistics.deliveredSpans == 3)
            let lines = try #require(backend.heads.first)
            #expect(lines.first == "POST /base/v1/traces HTTP/1.1")
            func values(_ name: String) -> [String] {
                lines.filter { $0.lowercased().hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
            }
            #expect(values("content-type") == ["application/x-protobuf"] && values("content-encoding") == encoding)
            #expect(values("user-agent") == ["test"] && values("x-scope-orgid") == ["tenant"])
            #expect(values("host") == ["127.0.0.1:\(backend.port)"])
            #expect(values("expect") == [] && values("accept") == [])
        }
    }

    @Test("What an answer says counts: spans that were rejected, why a request was refused, and when to come again")
    func answers() async throws {
        // ExportTraceServiceResponse: partial_success with rejected_spans 2 and a message.
        let partial = "\u{0A}\u{07}\u{08}\u{02}\u{12}\u{03}why"
        let rejected = try await Self.forward(to: [.init(status: 200, body: partial)]) { spool, _ in
            spool.statistics.spans == 0
        }
        #expect(rejected.spool.statistics.droppedSpans.values.reduce(0, +) == 2)
        #expect(rejected.spool.statistics.deliveredSpans == 1)

        let asked = try await Self.forward(
            to: [.init(status: 503, headers: ["Retry-After: 3600"], body: "later"), .init(status: 200)]
        ) { _, statistics in
            statistics.lastFailure != nil
        }
        #expect(asked.statistics.lastFailure?.contains("later") == true)
        // Pauses of its own are ten milliseconds at most.
        try await Task.sleep(nanoseconds: 50_000_000)
        #expect(asked.spool.statistics.spans == 3 && asked.backend.heads.count == 1)
    }

    @Test("A request that is refused is dropped, with a copy where copies are kept, and that is counted")
    func refusedRequest() async throws {
        let directory = try SocketDirectory()
        let (_, spool, statistics) = try await Self.forward(to: [.init(status: 400, body: "no")]) { options in
            options.refused = RefusedRequestsOptions(spoolDirectory: directory.path, spoolBytes: 1 << 30)
        } until: { spool, _ in
            spool.statistics.spans == 0
        }
        #expect(spool.statistics.droppedSpans == ["refused": 3] && statistics.requests["400"] ?? 0 > 0)
        #expect(statistics.copies[.kept] ?? 0 > 0 && statistics.copies[.kept] == statistics.copies.values.reduce(0, +))
        #expect(statistics.isBackendUp == true, "it answers")
    }

    @Test("A disk that can't be read is tried again at a calm pace, not in a busy loop")
    func unreadableDisk() async throws {
        let system = UnreadableFileSystem()
        let (spool, forwarder) = try Self.make("http://127.0.0.1:1/v1/traces", system)
        system.readsFail.store(true, ordering: .releasing)
        try [UInt8]("payload".utf8).withUnsafeBytes { try spool.append($0, spanCount: 3) }
        // Other tests may keep the pool's threads for much longer than these waits.
        let began = Clock.system.monotonic()
        try forwarder.start()
        try await Self.waitUntil { system.failedReads.load(ordering: .acquiring) >= 1 }
        try await Task.sleep(nanoseconds: 300_000_000)
        let reads = system.failedReads.load(ordering: .acquiring)
        #expect(Double(reads) < 20 + 5 * Clock.system.monotonic().seconds(since: began))
        system.readsFail.store(false, ordering: .releasing)
        try await Self.waitUntil { (forwarder.statistics.requests["connect"] ?? 0) >= 1 }
        #expect((forwarder.statistics.requests["connect"] ?? 0) >= 1)
        forwarder.stop(drainUntil: Clock.system.monotonic())
        #expect(spool.statistics.spans == 3)
    }

    @Test("The append that makes a batch full wakes the forwarder, long before the batch is old enough")
    func fullBatch() async throws {
        let (spool, forwarder) = try Self.make("http://127.0.0.1:1/v1/traces", UnreadableFileSystem()) {
            ($0.maxDelay, $0.maxBatchSpans, $0.maxBatchBytes) = (.seconds(3600), 4, 1000)
        }
        try forwarder.start()
        try await Self.waitUntil { forwarder.wakeRule.load(ordering: .acquiring) == .firstSpan }
        try [UInt8]("payload".utf8).withUnsafeBytes { try spool.append($0, spanCount: 1) }
        forwarder.recordAppend()
        try await Self.waitUntil { forwarder.wakeRule.load(ordering: .acquiring) == .fullBatch }
        try [UInt8]("payload".utf8).withUnsafeBytes { try spool.append($0, spanCount: 2) }
        #expect(!forwarder.recordAppend(), "not full yet")
        try await Self.waitUntil { forwarder.wakeRule.load(ordering: .acquiring) == .fullBatch }
        try [UInt8]("payload".utf8).withUnsafeBytes { try spool.append($0, spanCount: 1) }
        // Between two sleeps it looks by itself.
        #expect(forwarder.recordAppend() || forwarder.wakeRule.load(ordering: .acquiring) == .never, "it sleeps on")
        try await Self.waitUntil { (forwarder.statistics.requests["connect"] ?? 0) >= 1 }
        #expect((forwarder.statistics.requests["connect"] ?? 0) >= 1)
        forwarder.stop(drainUntil: Clock.system.monotonic())
    }

    @Test("An append wakes a thread that waits for it, once, and none that waits for more")
    func wakes() throws {
        let (spool, forwarder) = try Self.make("http://127.0.0.1:1", UnreadableFileSystem())
        func wakes(_ rule: WakeRule, by append: () throws -> Void) throws -> Bool {
            let thread = try OSThread(name: "sleeper") { forwarder.sleep(milliseconds: 30_000, wakingOn: rule) }
            let isAsleep: Bool? = Patience.attempt(for: .seconds(20)) {
                forwarder.wakeRule.load(ordering: .acquiring) == rule ? true : nil
            }
            #expect(isAsleep == true)
            try append()
            let isWoken = forwarder.recordAppend()
            if !isWoken { forwarder.multi.wake() }
            thread.join()
            return isWoken
        }
        #expect(try !wakes(.firstSpan) {})
        #expect(try wakes(.firstSpan) { try [1].withUnsafeBytes { try spool.append($0, spanCount: 1) } })
        #expect(!forwarder.recordAppend())
        #expect(try wakes(.fullBatch) { try [1].withUnsafeBytes { try spool.append($0, spanCount: 999) } })
    }
}
