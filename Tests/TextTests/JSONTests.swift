import Foundation
import Testing

@testable import Text

@Suite("JSON that is written")
struct JSONTests {
    private static let awkward = [
        "", "plain", "\"", "\\", "\n\r\t", "\u{0}\u{1}\u{1F}\u{7F}", "é€😀", "\u{2028}\u{2029}", "</script>", "a\u{301}",
        "\"\u{301}\\\u{301}",
    ]

    @Test("What is escaped for JSON is read back as it was", arguments: awkward)
    func strings(text: String) throws {
        let document = Data(("[" + JSONString.quoted(text) + "]").utf8)
        let read = try #require(try JSONSerialization.jsonObject(with: document) as? [String])
        #expect(read == [text] && read[0].utf8.elementsEqual(text.utf8))
        #expect(!JSONString.quoted(text).unicodeScalars.contains { $0.value < 32 })
    }

    @Test("Control characters are escaped, DEL as well; what lies next to them is not")
    func controlCharacters() {
        #expect(
            JSONString.quoted("\u{0}\u{1F} \u{7E}\u{7F}\u{80}\u{9F}\u{A0}")
                == "\"\\u0000\\u001f \u{7E}\\u007f\\u0080\\u009f\u{A0}\"")
        #expect(JSONString.quoted("\u{200D}\u{202E}\u{2066}\u{2065}") == "\"\u{200D}\\u202e\\u2066\u{2065}\"")
        #expect(JSONString.quoted("a\nb\rc\td\"e\\f/") == #""a\nb\rc\td\"e\\f/""#)
    }

    @Test("An object has its members in their order, nil as null, and names that are escaped")
    func objects() {
        var inner = JSONObject()
        #expect(inner.text == "{}")
        inner.add("a\"", "b\"")
        var object = JSONObject()
        object.add("text", nil as String?)
        object.add("number", .min)
        object.add("none", nil as Int64?)
        object.add("yes", true)
        object.add("no", false)
        object.add("double", 0.25)
        object.add("infinite", .infinity)
        object.add("nan", -.nan)
        object.add("object", inner)
        object.add("objects", [inner, inner])
        object.add("empty", [])
        #expect(
            object.text
                == #"{"text":null,"number":-9223372036854775808,"none":null,"yes":true,"no":false,"double":0.25,"#
                + #""infinite":null,"nan":null,"object":{"a\"":"b\""},"objects":[{"a\"":"b\""},{"a\"":"b\""}],"empty":[]}"#
        )
    }
}
