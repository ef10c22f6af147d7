import Metrics
import Model
import Testing

@Suite("The text of a label")
struct LabelTextTests {
    private func text(_ bytes: [UInt8]) -> String {
        String(decoding: LabelText(ForeignText(bytes)).escaped, as: UTF8.self)
    }

    @Test("256 bytes stay; of more, 253 bytes and a mark, whole characters")
    func cut() {
        let whole = String(repeating: "x", count: 256)
        #expect(text(Array(whole.utf8)) == whole)
        #expect(!LabelText(whole).isCut)
        #expect(text(Array((whole + "y").utf8)) == String(repeating: "x", count: 253) + "…")
        #expect(LabelText(whole + "y").isCut)
        #expect(text(Array(String(repeating: "ü", count: 129).utf8)) == String(repeating: "ü", count: 126) + "…")
        #expect(text(Array(String(repeating: "😀", count: 65).utf8)) == String(repeating: "😀", count: 63) + "…")
    }

    @Test("bytes that are no UTF-8 count as they are written, and none is cut in two")
    func cutBytes() {
        #expect(text([UInt8](repeating: 0xFF, count: 64)) == String(repeating: #"\\xFF"#, count: 64))
        for letters in 0..<4 {
            let name = [UInt8](repeating: 0x61, count: letters) + [UInt8](repeating: 0xFE, count: 1000)
            let cut = text(name)
            #expect(
                cut.hasPrefix(String(repeating: "a", count: letters) + #"\\xFE"#) && cut.hasSuffix(#"\\xFE…"#), "\(cut)"
            )
            // Before its backslashes were doubled.
            #expect(cut.replacing(#"\\"#, with: #"\"#).utf8.count <= 256)
        }
    }

    @Test("a name is cut to what its label can show of it, and a short one stays")
    func names() {
        func cut(_ text: String) -> String {
            String(decoding: Array(text.utf8).withUnsafeBytes { LabelText.cutName($0) }.bytes, as: UTF8.self)
        }
        #expect(cut("mail") == "mail")
        #expect(cut(String(repeating: "x", count: 4000)) == String(repeating: "x", count: 253) + "…")
        #expect(cut(String(repeating: "ü", count: 4000)) == String(repeating: "ü", count: 126) + "…")
    }

    @Test("labels that are added to others follow these, and share them")
    func addition() {
        let labels = LabelSet([("queue", LabelText("a\"b"))])
        let more = labels.adding(LabelSet.Addition(["status": LabelText("failed"), "attempt": LabelText("first")]))
        #expect(String(decoding: more.encoded, as: UTF8.self) == #"queue="a\"b",status="failed",attempt="first""#)
        #expect(more.names == ["queue", "status", "attempt"])
        #expect(labels.withUnsafeBytes { $0.baseAddress } == more.withUnsafeBytes { $0.baseAddress })
    }
}
