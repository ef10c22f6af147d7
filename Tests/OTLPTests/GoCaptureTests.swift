import Foundation
import Model
import Testing

@Suite("What the Go SDK sent")
struct GoCaptureTests {
    private func requests() throws -> [[UInt8]] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/otlp-go-sdk")
        return try (0..<44).map { number in
            let digits = String(number)
            let name = String(repeating: "0", count: 3 - digits.count) + digits + ".pb"
            return [UInt8](try Data(contentsOf: folder.appending(path: name)))
        }
    }

    @Test("1012 spans are found, 266 process and 240 producer spans among them, and none is refused")
    func counts() throws {
        let scans = try requests().map { try Scanned($0) }
        #expect(scans.map(\.spanCount).reduce(0, +) == 1012)
        let tasks = scans.flatMap(\.tasks)
        #expect(tasks.count { $0.role == .process } == 266)
        #expect(tasks.count { $0.role == .produce } == 240)
        #expect(scans.allSatisfy { $0.refused.isEmpty })
    }

    @Test("every task span names its queue and type, and its times are in order")
    func fields() throws {
        for scanned in try requests().map({ try Scanned($0) }) {
            for task in scanned.tasks {
                #expect(["enrich-text", "process-document", "scrape"].contains(scanned.text(task.queue)))
                if task.role == .process { #expect(!task.taskType.isEmpty) }
                #expect(task.startNanoseconds > 1_700_000_000_000_000_000)
                #expect(task.endNanoseconds >= task.startNanoseconds)
            }
        }
    }

    @Test("every truncation of a real request is an error or whole resources")
    func truncations() throws {
        let body = try #require(try requests().min { $0.count < $1.count })
        let whole = try Scanned(body).spanCount
        for count in 0..<body.count {
            if let cut = try? Scanned(Array(body[..<count])) { #expect(cut.spanCount < whole) }
        }
    }
}
