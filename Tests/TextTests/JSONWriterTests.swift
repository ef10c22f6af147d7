import Testing

@testable import Text

@Suite("Documents of JSON")
struct JSONWriterTests {
    private func written(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        body(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test("Members and elements have commas between them, at every depth")
    func commas() {
        let text = written { writer in
            writer.object { writer in
                writer.add("a", Int64(1))
                writer.object("empty") { _ in }
                writer.array("list") { writer in
                    writer.element("x\"")
                    writer.element(rounded: 2)
                    writer.object { $0.add("b", true) }
                    writer.array { _ in }
                    writer.add(json: "7".utf8)
                }
                writer.add("json", json: "[1]".utf8)
                writer.add(named: "name\"", -5)
                writer.add("no", false)
            }
        }
        #expect(
            text == #"{"a":1,"empty":{},"list":["x\"",2,{"b":true},[],7],"json":[1],"name\"":-5,"no":false}"#)
    }

    @Test("What is not known is null, and so is a number that JSON can't write")
    func nulls() {
        let text = written { writer in
            writer.object { writer in
                writer.add("text", nil as String?)
                writer.add("number", nil as Int64?)
                writer.add("truth", nil as Bool?)
                writer.add("double", nil as Double?)
                writer.add("infinite", Double.infinity)
                writer.add("short", rounded: nil)
                writer.add("nan", rounded: .nan)
                writer.add(named: "named", nil)
                writer.array("list") { $0.element(rounded: -.infinity) }
            }
        }
        #expect(
            text == #"{"text":null,"number":null,"truth":null,"double":null,"infinite":null,"short":null,"nan":null,"#
                + #""named":null,"list":[null]}"#)
    }

    @Test(
        "A rounded number has three digits behind the point: none above a thousand, four in all below a tenth",
        arguments: [
            (0, "0"), (1, "1"), (1.5, "1.5"), (0.123_456, "0.123"), (0.1, "0.1"), (0.099_994, "0.09999"),
            (0.099_999, "0.1"), (0.012_345_6, "0.01235"), (0.001_234_56, "0.001235"), (1e-9, "1e-09"), (9e-10, "0"),
            (999.999_4, "999.999"), (999.999_6, "1000"), (1000.5, "1001"), (1234.56, "1235"), (-0.5, "-0.5"),
            (-1234.4, "-1234"), (1e14, "100000000000000"), (1e15, "1000000000000000.0"), (1e16, "1e+16"),
            (123.456_7, "123.457"),
        ] as [(Double, String)])
    func rounded(number: Double, text: String) {
        #expect(written { $0.element(rounded: number) } == text)
    }

    @Test("A number that is not rounded has all its digits")
    func exact() {
        #expect(written { $0.add("x", 0.123_456_789) } == #""x":0.123456789"#)
        #expect(written { $0.add("x", 1_234_567.25) } == #""x":1234567.25"#)
        #expect(written { $0.add("x", Int64.min) } == #""x":-9223372036854775808"#)
    }
}
