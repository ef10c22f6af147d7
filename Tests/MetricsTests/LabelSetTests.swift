import Metrics
import Model
import TestSupport
import Testing

@Suite("Label sets")
struct LabelSetTests {
    private func encoded(_ bytes: [UInt8]) -> String {
        String(decoding: LabelSet([("queue", ForeignText(bytes))]).encoded, as: UTF8.self)
    }

    private func encoded(_ text: String) -> String {
        encoded(Array(text.utf8))
    }

    @Test("quotes, newlines and backslashes are escaped, nothing else is")
    func escaping() {
        #expect(encoded("a\"b") == #"queue="a\"b""#)
        #expect(encoded("a\nb") == #"queue="a\nb""#)
        #expect(encoded("a\\b") == #"queue="a\\b""#)
        #expect(encoded("\\n") == #"queue="\\n""#)
        #expect(encoded("\\\"\n") == #"queue="\\\"\n""#)
        #expect(encoded("{a=1},\t'ü😀") == "queue=\"{a=1},\t'ü😀\"")
        #expect(encoded("a\r\nb") == "queue=\"a\r\\nb\"")
        #expect(encoded("") == "queue=\"\"")
    }

    @Test("a newline that a combining mark follows is escaped all the same")
    func newlineInACluster() {
        #expect(encoded("a\n\u{301}b") == "queue=\"a\\n\u{301}b\"")
        #expect(encoded("\"\u{301}") == "queue=\"\\\"\u{301}\"")
    }

    @Test("no two names have one label, whatever stands in them, and ordinary ones stay as they are")
    func injective() {
        let pieces: [[UInt8]] = [
            [0xFF], [0x80], Array(#"\"#.utf8), Array("x".utf8), Array("xFF".utf8), Array("x80".utf8), Array("F".utf8),
            Array("é".utf8),
        ]
        var names: [[UInt8]] = [[]]
        var labels: [String: [UInt8]] = [:]
        for _ in 0..<4 {
            names = names.flatMap { name in pieces.map { name + $0 } }
            for name in names {
                let label = ForeignText(name).printable
                #expect(labels[label] == nil || labels[label] == name, "\(name) and \(labels[label] ?? [])")
                labels[label] = name
            }
        }
        #expect(encoded([0xFF]) == #"queue="\\xFF""#)
        #expect(encoded(#"\xFF"#) == #"queue="\\\\xFF""#)
        for name in [#"C:\dir\x"#, #"\x41"#, #"\d+\s"#, #"\xfe"#, #"\\"#, #"\x8"#, "x80"] {
            #expect(ForeignText(name).printable == name)
        }
    }

    @Test("bytes that are no UTF-8 are written in hex, so that different names stay different, and what follows stays")
    func invalidUTF8() {
        #expect(encoded([0x61, 0xFF, 0x62]) == #"queue="a\\xFFb""#)
        #expect(encoded([0x61, 0xFE, 0x62]) == #"queue="a\\xFEb""#)
        #expect(encoded([0xC3, 0x22]) == #"queue="\\xC3\"""#)
        #expect(encoded([0xC3]) == #"queue="\\xC3""#)
        #expect(encoded([0xE7, 0xA0, 0x7C, 0xE7, 0xA0, 0x81]) == #"queue="\\xE7\\xA0|码""#)
        let everything = LabelSet([("q", ForeignText([UInt8](0...255)))]).encoded
        #expect(String(validating: everything, as: UTF8.self) != nil)
        #expect(!everything.contains(UInt8(ascii: "\n")))
    }

    @Test("labels stand in their order, apart by commas")
    func order() {
        let labels = LabelSet(["b": "1", "a": "2"])
        #expect(String(decoding: labels.encoded, as: UTF8.self) == #"b="1",a="2""#)
        #expect(labels.names == ["b", "a"])
        #expect(LabelSet.none.encoded == [])
    }

    @Test("a text reads back from the escaped one, whatever it holds")
    func reversible() throws {
        var random = SeededGenerator.fresh(for: "label escaping")
        let alphabet: [Character] = ["\\", "\"", "\n", "n", "a", "é", ",", "}", "="]
        for _ in 0..<500 {
            let count = Int.random(in: 0...12, using: &random)
            let text = String((0..<count).compactMap { _ in alphabet.randomElement(using: &random) })
            var scalars = Array(encoded(text).unicodeScalars.dropFirst("queue=\"".count).dropLast())
            var read = ""
            while let scalar = scalars.first {
                scalars.removeFirst()
                if scalar == "\\" {
                    let next = try #require(scalars.first)
                    scalars.removeFirst()
                    read.unicodeScalars.append(next == "n" ? "\n" : next)
                } else {
                    #expect(scalar != "\"" && scalar != "\n")
                    read.unicodeScalars.append(scalar)
                }
            }
            #expect(Array(read.utf8) == Array(text.utf8))
        }
    }
}
