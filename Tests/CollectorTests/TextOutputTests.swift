import Foundation
import Logging
import Model
import Platform
import Testing

@testable import Collector

@Suite("Texts for people and machines")
struct TextOutputTests {
    private static let awkward = [
        "", "plain", "\"", "\\", "\n\r\t", "\u{0}\u{1}\u{1F}\u{7F}", "é€😀", "\u{2028}\u{2029}", "</script>", "a\u{301}",
    ]

    private static func handler(_ format: LogFormat, nanoseconds: Int64) -> CollectorLogHandler {
        let clock = Clock(
            wall: { WallTime(nanoseconds: nanoseconds) }, monotonic: { MonotonicTime(nanoseconds: 0) })
        return CollectorLogHandler(label: "a\"b", level: .init(.info), format: format, clock: clock)
    }

    @Test("A log line in JSON is one line and one object, whatever is in it", arguments: awkward)
    func logLine(text: String) throws {
        let handler = Self.handler(.json, nanoseconds: 1_700_000_000_123_000_000)
        let line = handler.line(.warning, message: text, fields: [text: "\(text)", "error": "two\nlines"])
        #expect(!line.contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["message"] == text && object["level"] == "warning" && object["component"] == "a\"b")
        #expect(object["time"] == "2023-11-14T22:13:20.123Z" && object["error"] == "two\nlines")
        if !text.isEmpty { #expect(object[text] == text) }
    }

    @Test("A log line as text is one line, whatever is in its metadata", arguments: awkward)
    func textLine(text: String) {
        let line = Self.handler(.text, nanoseconds: -1).line(.error, message: "message", fields: ["key": "\(text)"])
        #expect(!line.unicodeScalars.contains { $0.value < 32 })
        #expect(line.hasPrefix("1969-12-31T23:59:59.999Z error a\"b: message key=\""))
    }
}
