import InMemoryLogging
import Logging
import Model
import Testing

@testable import Forwarder
@testable import OTLPClient
@testable import Spool

@Suite("What the log says of the forwarder")
struct ForwarderLogTests {
    private static func moment(_ seconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: 1).advanced(by: .seconds(seconds))
    }

    private let kept = InMemoryLogHandler()

    private func log() throws -> ForwarderLog {
        let endpoint = try OTLPEndpoint(base: "http://u:p@tempo:4318", for: .traces)
        return ForwarderLog(Logger(label: "test") { _ in kept }, endpoint: endpoint) { $0.replacing("u:p@", with: "") }
    }

    private var messages: [String] { kept.entries.map { "\($0.message)" } }

    private static let outage = DispatchEffect.failing(reason: "503", advice: nil, pause: .milliseconds(1500))

    /// Every effect that is told, with its level, its message and what it is about.
    private static func effects() -> [(DispatchEffect, Logger.Level, message: String, metadata: [String: String])] {
        let address = SpoolAddress.frames(makeBatch([1, 2], spansPerFrame: 3).frames)
        return [
            (
                .refused(address, reason: "400"), .error,
                "the backend does not take these spans; they are dropped, a copy is in the spool's directory refused/",
                ["spans": "6", "reason": "400"]
            ),
            (
                .rejected(spans: 2, message: "too old"), .warning, "the backend took a request but for some spans",
                ["spans": "2", "reason": "too old"]
            ),
            (
                .suspected(spans: 4, reason: "500"), .warning,
                "a request failed while others passed, will retry it by itself", ["spans": "4", "reason": "500"]
            ),
            (
                .tooLarge(spans: 5, bytes: 99, reason: "413"), .warning,
                "the backend finds a request too large; it is sent in parts. Lower tempo.batch.max-bytes, or raise its limit",
                ["spans": "5", "bytes": "99", "reason": "413"]
            ),
            (
                .paused(reason: "413", pause: .seconds(30)), .warning,
                "the backend asks for a pause, nothing is sent until it is over",
                ["reason": "413", "pause_seconds": "30.0"]
            ),
            (
                outage, .warning, "forwarding failed, will retry",
                ["endpoint": "http://tempo:4318/v1/traces", "reason": "503", "pause_seconds": "1.5"]
            ),
            (
                .failing(reason: "401", advice: "a token", pause: .seconds(30)), .error,
                "forwarding is misconfigured; spans wait in the spool",
                [
                    "endpoint": "http://tempo:4318/v1/traces", "reason": "401", "pause_seconds": "30.0",
                    "advice": "a token",
                ]
            ),
        ]
    }

    @Test("Each kind of answer has a line of its own each ten seconds, which says how many were held back")
    func kinds() throws {
        var log = try log()
        let effects = Self.effects()
        for second in [1, 10, 11] as [Int64] {
            for (effect, _, _, _) in effects { log.record(effect, at: Self.moment(second)) }
        }
        #expect(kept.entries.count == 2 * effects.count)
        for (index, (_, level, message, metadata)) in (effects + effects).enumerated() {
            let entry = kept.entries[index]
            #expect(entry.level == level && "\(entry.message)" == message)
            var found = entry.metadata.mapValues { "\($0)" }
            #expect(found.removeValue(forKey: "more_since_last_line") == (index < effects.count ? "0" : "1"))
            #expect(found == metadata)
        }
    }

    @Test(
        "Causes that take turns have lines of their own, by code and advice, with the number of their own that were held back"
    )
    func turns() throws {
        var log = try log()
        for second in 0..<24 as Range<Int64> {
            let (code, advice) = second % 2 == 0 ? ("401", "a token") : ("404", "a path")
            log.record(
                .failing(reason: code, advice: advice, pause: .seconds(1)), code: code, at: Self.moment(second))
        }
        let lines = kept.entries.map { "\($0.metadata["advice"]!) \($0.metadata["more_since_last_line"]!)" }
        #expect(lines == ["a token 0", "a path 0", "a token 4", "a path 4", "a token 4", "a path 4"])
        log.record(.suspected(spans: 1, reason: "500"), code: "500", at: Self.moment(24))
        log.record(.suspected(spans: 1, reason: "502"), code: "502", at: Self.moment(24))
        #expect(kept.entries.suffix(2).map { "\($0.metadata["reason"]!)" } == ["500", "502"])
    }

    @Test("Words that take turns behind one status have lines of their own, for each kind of line")
    func words() throws {
        var log = try log()
        let address = SpoolAddress.frames(makeBatch([1], spansPerFrame: 1).frames)
        for second in 0..<20 as Range<Int64> {
            let words = second % 2 == 0 ? "400: alpha is bad, try \(second)" : "400: beta gamma"
            let effects: [DispatchEffect] = [
                .refused(address, reason: words), .rejected(spans: 1, message: words),
                .suspected(spans: 1, reason: words), .tooLarge(spans: 1, bytes: 1, reason: words),
                .failing(reason: words, advice: nil, pause: .seconds(1)),
                .failing(reason: words, advice: "a path", pause: .seconds(1)),
            ]
            for effect in effects { log.record(effect, code: "400", at: Self.moment(second)) }
        }
        let lines = kept.entries.map { "\($0.metadata["reason"]!) \($0.metadata["more_since_last_line"]!)" }
        let expected = [
            "400: alpha is bad, try 0 0", "400: beta gamma 0", "400: alpha is bad, try 10 4", "400: beta gamma 4",
        ]
        #expect(lines == expected.flatMap { Array(repeating: $0, count: 6) })
    }

    @Test("A remark without rejected spans is told as one")
    func remark() throws {
        var log = try log()
        log.record(.rejected(spans: 0, message: "hello"), at: Self.moment(1))
        #expect(messages == ["the backend took a request with a remark"])
    }

    @Test("That forwarding works again is told once after a failure that was told; what is settled is no line")
    func recovery() throws {
        var log = try log()
        log.record(.answered, at: Self.moment(1))
        log.record(.settle(.frames([]), dropped: 0, reason: .refused), at: Self.moment(1))
        #expect(messages == [])
        log.record(Self.outage, at: Self.moment(2))
        for second in [3, 4] as [Int64] { log.record(.answered, at: Self.moment(second)) }
        #expect(messages == ["forwarding failed, will retry", "forwarding again"])
        log.record(Self.outage, at: Self.moment(5))
        log.record(.answered, at: Self.moment(6))
        #expect(messages.count == 2, "the second failure was held back, and so is its end")
    }

    @Test("Copies that are not kept, old spans, reading failures and a lost name have lines of their own")
    func others() throws {
        var log = try log()
        let address = LastAddress(endpoint: log.endpoint, address: "192.0.2.7")
        for second in [1, 2] as [Int64] {
            let now = Self.moment(second)
            log.record(RefusedRequests.NotKept(outcome: .failed, problem: "no space"), at: now)
            log.recordSection(behind: 7, at: now)
            log.record(SpoolError.closed, at: now)
            log.recordLostName(address, "no name", at: now)
        }
        #expect(kept.entries.map(\.level) == [.warning, .notice, .error, .warning])
        #expect(
            messages == [
                "no copy of a refused request could be kept", "old spans wait; new ones are sent beside them",
                "spool read failed", "the name of tempo.endpoint can't be looked up; its last address is used",
            ])
        #expect(kept.entries[0].metadata["error"] == "no space" && kept.entries[1].metadata["waiting_spans"] == "7")
        #expect(kept.entries[2].metadata["error"] == "the spool is closed")
        log.record(RefusedRequests.NotKept(outcome: .tooLarge, problem: "too large"), at: Self.moment(3))
        #expect(kept.entries.last?.metadata["error"] == "too large", "another reason")
        #expect(kept.entries[3].metadata["endpoint"] == "http://tempo:4318/v1/traces")
    }
}
