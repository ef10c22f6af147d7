import Foundation
import Metrics
import Model
import OTLP
import TestSupport
import Testing

@testable import WaitTime

@Suite("What the Go SDK sent, against what is known of it")
struct GoCaptureTests {
    private struct Expected: Decodable {
        struct Attempts: Decodable {
            let queue, taskType, status, attempt: String
            let count: UInt64
        }
        struct Process: Decodable {
            let queue, taskType, status: String
            let retried: Int
            let waitSeconds: Double?
            let processingSeconds: Double
        }
        let attempts: [Attempts]
        let processSpans: [Process]
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Fixtures/otlp-go-sdk")

    private func requests() throws -> [[UInt8]] {
        try (0..<44).map { number in
            let name = (number < 10 ? "00" : "0") + "\(number).pb"
            return [UInt8](try Data(contentsOf: Self.folder.appending(path: name)))
        }
    }

    private func page(_ requests: [[UInt8]]) throws -> [String: Series] {
        var aggregator = makeAggregator()
        var scanner = SpanScanner()
        for body in requests {
            try body.withUnsafeBytes {
                try scanner.scan($0)
                aggregator.observe(scanner.taskSpans, in: $0, at: now)
            }
        }
        #expect(aggregator.duplicates == 0)
        return aggregator.page()
    }

    private func check(_ page: [String: Series]) throws {
        let json = try Data(contentsOf: Self.folder.appending(path: "expected.json"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let expected = try decoder.decode(Expected.self, from: json)
        var wanted: [String: Series] = [:]
        for entry in expected.attempts {
            let labels = "queue=\"\(entry.queue)\",task_type=\"\(entry.taskType)\""
            wanted["attempts_total{\(labels),status=\"\(entry.status)\",attempt=\"\(entry.attempt)\"}"] =
                Series(count: entry.count, sum: Double(entry.count))
            if entry.status == "failed" {
                let failures = "failures_total{\(labels),error_type=\"upstream_503\"}"
                wanted[failures, default: Series()].count += entry.count
                wanted[failures, default: Series()].sum += Double(entry.count)
            }
        }
        for span in expected.processSpans {
            let labels = "queue=\"\(span.queue)\",task_type=\"\(span.taskType)\""
            let processing = "processing_duration_seconds{\(labels),status=\"\(span.status)\"}"
            wanted[processing, default: Series()].count += 1
            wanted[processing, default: Series()].sum += span.processingSeconds
            if let wait = span.waitSeconds {
                wanted["wait_duration_seconds{\(labels)}", default: Series()].count += 1
                wanted["wait_duration_seconds{\(labels)}", default: Series()].sum += wait
            } else {
                // 60 tasks were enqueued without a trace context.
                let reason = span.retried > 0 ? "retry" : "no_source"
                let unknown = "wait_unknown_total{queue=\"\(span.queue)\",reason=\"\(reason)\"}"
                wanted[unknown, default: Series()].count += 1
                wanted[unknown, default: Series()].sum += 1
            }
        }
        // Reasons that never came stand on the page as zeros.
        let found = page.filter { !$0.key.hasPrefix("wait_quantile") && $0.value.count > 0 }
        #expect(Set(found.keys).symmetricDifference(wanted.keys) == [])
        for (name, series) in wanted {
            #expect(found[name]?.count == series.count, "\(name)")
            #expect(abs((found[name]?.sum ?? -1) - series.sum) < 1e-6, "\(name)")
        }
    }

    @Test("attempts, waits and run times are those of the capture")
    func inOrder() throws {
        try check(try page(try requests()))
    }

    @Test("they are the same when the requests come in another order")
    func otherOrders() throws {
        let requests = try requests()
        try check(try page(requests.reversed()))
        var random = SeededGenerator.fresh(for: "capture order")
        try check(try page(requests.shuffled(using: &random)))
    }
}
