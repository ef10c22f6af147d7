import Glibc
import Logging
import Model
import Platform
import SpanReceiver
import Spool
import TestSupport
import Testing

@testable import Collector

@Suite("What is said of the spool's directory")
struct SpoolStartTests {
    @Test("A permission that is missing names the owner and the mode of what is there; a link says to remove it")
    func startErrors() throws {
        let directory = try TemporaryDirectory()
        chmod(directory.path, 0o750)
        func text(_ path: String, _ code: Int32) -> String {
            SpoolStartError(.io(SystemError("opening", path: path, code: code))).description
        }
        let owner =
            "(\(directory.path) belongs to user \(geteuid()), group \(getegid()), and has mode 750; this process is user"
        for code in [EACCES, EPERM] {
            #expect(text(directory.path, code).contains(owner), "\(text(directory.path, code))")
            #expect(text(directory.path + "/missing", code).contains(owner), "of the directory above it")
        }
        #expect(!text(directory.path, EIO).contains("belongs to user"))
        #expect(!text("/no/such/directory", EACCES).contains("belongs to user"))
        for code in [ELOOP, EMLINK] { #expect(text(directory.path, code).contains("it is a link; none is followed")) }
        #expect(!text(directory.path, EIO).contains("it is a link"))
        #expect(text(directory.path, EIO).hasPrefix("spool.directory can't be used: "))
    }

    @Test("A directory that is locked, or can't be made, is told in these words")
    func opening() throws {
        let directory = try TemporaryDirectory()
        let options = SpoolOptions(maxBytes: 1 << 20, sync: .never)
        let opened = try OpenedSpool(directory: directory.path + "/s", options: options, clock: .system)
        #expect(opened.weakness == nil)
        let locked = #expect(throws: SpoolStartError.self) {
            _ = try OpenedSpool(directory: directory.path + "/s", options: options, clock: .system)
        }
        #expect(locked?.description.contains("\(getpid())") == true, "\(locked as Any)")
        try Files.replace(directory.path + "/file", with: [1])
        let unmakeable = #expect(throws: SpoolStartError.self) {
            _ = try OpenedSpool(directory: directory.path + "/file/s", options: options, clock: .system)
        }
        #expect(unmakeable?.description.contains("creating directory \(directory.path)/file: Not a directory") == true)
        withExtendedLifetime(opened) {}
        let open = directory.path + "/open"
        try Files.makeDirectories(open)
        chmod(open, 0o777)
        let weakness = try OpenedSpool(directory: open, options: options, clock: .system).weakness
        #expect(weakness == "mode 0777: every user may write to it")
    }

    @Test("What was left to the thread of appends is sent before the end; the spool takes no more after it")
    func threads() throws {
        let directory = try TemporaryDirectory()
        let backend = try FakeBackend([200])
        let options = try #require(
            try options([
                "--tempo-endpoint=http://127.0.0.1:\(backend.port)", "--spool-directory=\(directory.path)",
                "--spool-max-bytes=2MiB",
            ]))
        let tempo = try TempoSide(try #require(options.forwarder), options, clock: .system) { label in
            Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
        }
        @Sendable func append() throws {
            try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try tempo.spool.append($0, spanCount: 3) }
        }
        try tempo.start()
        tempo.appends.run { #expect(throws: Never.self) { try append() } }
        tempo.stop(drainUntil: .soon)
        #expect(tempo.spool.statistics.deliveredSpans == 3 && backend.heads.count == 1)
        #expect(throws: SpoolError.self) { try append() }
    }

    @Test("Each report of the spool is a line")
    func reports() {
        let log = LinesLog()
        let logger = Logger(label: "test") { _ in log }
        for report in [
            .failing(error: "full", more: 3), .works, .expired(spans: 5), .clockSet(by: .seconds(60)),
        ] as [SpoolReport] {
            logger.log(report)
        }
        let begins = [
            "the spool's disk fails", "the spool's disk takes spans again", "spans waited longer than spool.max-age",
            "the wall clock was set",
        ]
        #expect(log.all.count == 4 && zip(log.all, begins).allSatisfy { $0.hasPrefix($1) }, "\(log.all)")
    }
}
