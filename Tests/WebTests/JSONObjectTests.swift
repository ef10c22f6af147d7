import Foundation
import Testing

@testable import Web

@Suite("JSON that the web endpoints write")
struct JSONObjectTests {
    private static let awkward = [
        "", "plain", "\"", "\\", "\n\r\t", "\u{0}\u{1}\u{1F}\u{7F}", "é€😀", "\u{2028}\u{2029}", "</script>", "a\u{301}",
    ]

    @Test("What is escaped for JSON is read back as it was", arguments: awkward)
    func json(text: String) throws {
        let document = Data(("[\"" + escapedJSON(text) + "\"]").utf8)
        let read = try #require(try JSONSerialization.jsonObject(with: document) as? [String])
        #expect(read == [text] && read[0].utf8.elementsEqual(text.utf8))
        #expect(!escapedJSON(text).unicodeScalars.contains { $0.value < 32 })
    }
}
