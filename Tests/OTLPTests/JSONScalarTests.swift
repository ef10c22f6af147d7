import JSON
import OTLP
import TestSupport
import Testing

@Suite("OTLP's JSON: numbers, strings, bytes")
struct JSONScalarTests {
    // MARK: Integers

    @Test(
        "integers are numbers or strings, in any form that is whole",
        arguments: [
            ("0", 0), ("-0", 0), ("7", 7), ("1.0", 1), ("1.000000000000000000000000000000", 1), ("1e3", 1000),
            ("1E+3", 1000),
            ("120e-1", 12), ("1.5e1", 15), ("0.001e3", 1), ("0e999999999999999999999", 0), ("0.0e-99999999999999", 0),
            ("18446744073709551615", .max), ("18446744073709551615.0", .max), ("1.8446744073709551615e19", .max),
            ("184467440737095516150000e-4", .max), ("10000000000000000000", 10_000_000_000_000_000_000),
            ("1\(String(repeating: "0", count: 300))e-300", 1), ("0.\(String(repeating: "0", count: 300))1e301", 1),
        ] as [(String, UInt64)])
    func wholeNumbers(text: String, value: UInt64) throws {
        for form in [text, "\"\(text)\""] {
            #expect(try converted(spanJSON(#""startTimeUnixNano":\#(form)"#)) == request(Field.fixed64(7, value)))
        }
    }

    @Test(
        "what is not whole or out of range is refused",
        arguments: [
            (
                #""startTimeUnixNano""#,
                [
                    "-1", "18446744073709551616", "184467440737095516150", "1e20", "1e999999999999999999999",
                    "0.5", "1.00000000000000000000000000001", "1e-1", "123456789012345678901234567890e-10",
                ]
            ),
            (#""kind""#, ["2147483648", "-2147483649", "1.5"]),
            (#""flags""#, ["4294967296", "-1", "0.1"]),
            (#""droppedEventsCount""#, ["4294967296", "-1", "1e10"]),
        ])
    func outOfRange(key: String, numbers: [String]) {
        for number in numbers {
            for form in [number, "\"\(number)\""] {
                #expect(refused(spanJSON("\(key):\(form)"))?.reason == .badInteger, "\(form)")
            }
        }
    }

    @Test(
        "the limits of signed integers",
        arguments: [
            ("9223372036854775807", true), ("9223372036854775808", false), ("-9223372036854775808", true),
            ("-9223372036854775809", false), ("-9.223372036854775808e18", true), ("-1e19", false),
        ])
    func signedLimits(text: String, isGood: Bool) {
        #expect((refused(valueJSON(#"{"intValue":\#(text)}"#)) == nil) == isGood)
    }

    private static let noNumbers = [
        "01", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "0x10", "1_000", "--1", "1-", "1e1.5", "- 1", "Infinity",
        "NaN", "nan",
        "００", "1,5",
    ]

    @Test("what JSON does not call a number is none, as a string either", arguments: noNumbers)
    func noNumber(text: String) {
        #expect(refused(spanJSON(#""flags":\#(text)"#)) != nil)
        #expect(refused(spanJSON(#""flags":"\#(text)""#))?.reason == .expectedNumber)
        #expect(refused(spanJSON(#""unknown":\#(text)"#)) != nil)
    }

    @Test("strings around numbers hold nothing else", arguments: ["", " 1", "1 ", "1\\n", "1a", "\\u0000"])
    func numberStrings(text: String) {
        #expect(refused(spanJSON(#""flags":"\#(text)""#))?.reason == .expectedNumber)
        #expect(refused(valueJSON(#"{"doubleValue":"\#(text)"}"#))?.reason == .expectedNumber)
    }

    // MARK: Doubles

    @Test(
        "doubles are the nearest ones",
        arguments: [
            "0", "-0.0", "1", "0.1", "-2.5e-3", "1e22", "1e23", "9007199254740993", "9007199254740992",
            "3.141592653589793",
            "2.2250738585072014e-308", "5e-324", "2.4703282292062328e-324", "1e-400", "1.7976931348623157e308",
            "179769e303",
            "123456789012345678901234567890", "0.30000000000000004", "8.5e-3", "1.00000000000000011102230246251565404",
            "0.000000000000000000000000000000000000000000000000001234567890123456789", "100000000000000000000000e-23",
        ])
    func doubles(text: String) throws {
        let expected = try #require(Double(text))
        for form in [text, "\"\(text)\""] {
            #expect(try converted(valueJSON(#"{"doubleValue":\#(form)}"#)) == valueRequest(Value.double(expected)))
        }
    }

    @Test("random doubles come back bit for bit, in every form that names them")
    func randomDoubles() throws {
        var random = SeededGenerator.fresh(for: "random doubles")
        for _ in 0..<3000 {
            let value = Double(bitPattern: random.next())
            if !value.isFinite { continue }
            #expect(try converted(valueJSON(#"{"doubleValue":\#(value)}"#)) == valueRequest(Value.double(value)))
        }
    }

    @Test("digits without end are cut where they no longer matter")
    func longDoubles() throws {
        func value(_ text: String) throws -> [UInt8] { try converted(valueJSON(#"{"doubleValue":\#(text)}"#)) }
        // The middle between 1 and the next double: more behind it rounds up, however far behind.
        let middle = "1.00000000000000011102230246251565404236316680908203125"
        let zeros = String(repeating: "0", count: 5000)
        #expect(try value(middle + zeros) == valueRequest(Value.double(1)))
        #expect(try value(middle + zeros + "1") == valueRequest(Value.double(1.0.nextUp)))
        #expect(try value("0.\(zeros)\(zeros)25e10000") == valueRequest(Value.double(0.25)))
        #expect(try value("25\(zeros)e-5002") == valueRequest(Value.double(0.25)))
        #expect(
            try value(String(repeating: "123", count: 3000) + "e-9000")
                == valueRequest(Value.double(0.123123123123123123)))
        #expect(
            try value("7" + String(repeating: "3", count: 3000) + ".5e-3000") == valueRequest(Value.double(22.0 / 3)))
    }

    @Test("the doubles that are no numbers are named as proto3 names them")
    func specialDoubles() throws {
        let nan = try converted(valueJSON(#"{"doubleValue":"NaN"}"#))
        #expect(nan == valueRequest(Value.double(.nan)))
        #expect(try converted(valueJSON(#"{"doubleValue":"Infinity"}"#)) == valueRequest(Value.double(.infinity)))
        #expect(try converted(valueJSON(#"{"doubleValue":"-Infinity"}"#)) == valueRequest(Value.double(-.infinity)))
        for text in ["inf", "+Infinity", "infinity", "-NaN", "x"] {
            #expect(refused(valueJSON(#"{"doubleValue":"\#(text)"}"#))?.reason == .expectedNumber)
        }
        for text in ["1e309", "-1e309", "1e99999999999999999999", "17976931348623159e292"] {
            #expect(refused(valueJSON(#"{"doubleValue":\#(text)}"#))?.reason == .badDouble)
        }
    }

    // MARK: Strings

    @Test(
        "every escape is undone",
        arguments: [
            (#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{C}\n\r\t"), (#"\u0041\u00e9\u20AC\uFFFF"#, "Aé€\u{FFFF}"),
            (#"\u0000"#, "\0"),
            (#"\ud83d\ude00"#, "😀"), (#"\uD83D\uDE00\uDBFF\uDFFF\uD800\uDC00"#, "😀\u{10FFFF}\u{10000}"),
            (#"plain text before\nand a good deal of it behind"#, "plain text before\nand a good deal of it behind"),
            (#"é€😀\n送信"#, "é€😀\n送信"), ("/", "/"), ("\u{7F}", "\u{7F}"),
            // Halves of pairs alone.
            (#"\ud83d"#, "\u{FFFD}"), (#"\ude00"#, "\u{FFFD}"), (#"\ud83dx"#, "\u{FFFD}x"),
            (#"\ud83d\n"#, "\u{FFFD}\n"),
            (#"\ude00\ud83d"#, "\u{FFFD}\u{FFFD}"), (#"\ud83d\ud83d\ude00"#, "\u{FFFD}😀"),
            (#"\ud83d\u0041"#, "\u{FFFD}A"),
        ])
    func escapes(json: String, text: String) throws {
        #expect(try converted(spanJSON(#""name":"\#(json)""#)) == request(Field.text(5, text)))
        #expect(try converted(spanJSON(#""\u006eame":"\#(json)""#)) == request(Field.text(5, text)))
    }

    @Test(
        "what is no escape is refused, in skipped strings and keys too",
        arguments: [
            #"\x"#, #"\u12"#, #"\u12g4"#, #"\U0041"#, #"\'"#, #"\u+123"#, #"\a"#, #"\0"#, #"\u{41}"#,
        ])
    func badEscapes(json: String) {
        for members in [#""name":"\#(json)""#, #""unknown":"\#(json)""#, #""\#(json)":1"#] {
            #expect(refused(spanJSON(members))?.reason == .badEscape)
        }
    }

    @Test("strings of every length around the word size, with something special at every place")
    func stringLengths() throws {
        for count in 0...40 {
            let plain = String(repeating: "a", count: count)
            #expect(try converted(spanJSON(#""name":"\#(plain)""#)) == request(Field.text(5, plain)))
            for place in 0..<count {
                for (json, text) in [
                    ("\\n", "\n"), ("é", "é"), ("\u{7F}", "\u{7F}"), ("😀", "😀"), ("!", "!"), ("#", "#"),
                ] {
                    let (before, behind) = (plain.prefix(place), plain.dropFirst(place + 1))
                    #expect(
                        try converted(spanJSON(#""name":"\#(before)\#(json)\#(behind)""#))
                            == request(Field.text(5, "\(before)\(text)\(behind)")))
                }
                var control = Array(spanJSON(#""name":"\#(plain)""#).utf8)
                let start = control.count - plain.count - 8
                control[start + place] = 0x1F
                #expect(refused(control)?.reason == .controlCharacter)
                #expect(refused(control)?.offset == start + place)
            }
        }
    }

    @Test(
        "bytes that are no UTF-8 are refused, and those on the borders taken",
        arguments: [
            ([0xC2, 0x80], true), ([0xDF, 0xBF], true), ([0xE0, 0xA0, 0x80], true), ([0xED, 0x9F, 0xBF], true),
            ([0xEE, 0x80, 0x80], true), ([0xEF, 0xBF, 0xBF], true), ([0xF0, 0x90, 0x80, 0x80], true),
            ([0xF4, 0x8F, 0xBF, 0xBF], true), ([0x80], false), ([0xBF, 0x41], false), ([0xC0, 0x80], false),
            ([0xC1, 0xBF], false),
            ([0xC2], false), ([0xC2, 0x41], false), ([0xC2, 0xC2], false), ([0xE0, 0x9F, 0xBF], false),
            ([0xE1, 0x80], false),
            ([0xE1, 0x80, 0x41], false), ([0xED, 0xA0, 0x80], false), ([0xED, 0xBF, 0xBF], false),
            ([0xF0, 0x8F, 0xBF, 0xBF], false),
            ([0xF4, 0x90, 0x80, 0x80], false), ([0xF5, 0x80, 0x80, 0x80], false), ([0xF1, 0x80, 0x80], false),
            ([0xFF], false),
            ([0xFE], false), ([0xF0, 0x90, 0x80, 0x41], false),
        ] as [([UInt8], Bool)])
    func utf8(bytes: [UInt8], isGood: Bool) throws {
        let parts = spanJSON(#""name":"@""#).split(separator: "@").map { Array($0.utf8) }
        for padding in 0...9 {
            let text = [UInt8](repeating: 0x61, count: padding) + bytes
            let json = parts[0] + text + parts[1]
            #expect((refused(json) == nil) == isGood)
            if isGood { #expect(try converted(json) == request(Field.bytes(5, text))) }
            if !isGood { #expect(refused(json)?.reason == .badUTF8) }
            #expect((refused(parts[0] + text) == nil) == false, "cut behind the bytes")
        }
    }

    // MARK: Bytes

    @Test(
        "base64 in both alphabets, with padding or without",
        arguments: [
            ("", []), ("AA==", [0]), ("AA", [0]), ("AAE=", [0, 1]), ("AAE", [0, 1]), ("AAEC", [0, 1, 2]),
            ("AAECAw", [0, 1, 2, 3]),
            ("+/+/", [0xFB, 0xFF, 0xBF]), ("-_-_", [0xFB, 0xFF, 0xBF]), ("+_-/", [0xFB, 0xFF, 0xBF]),
            (#"\/w=="#, [0xFF]),
        ] as [(String, [UInt8])])
    func base64(text: String, bytes: [UInt8]) throws {
        #expect(try converted(valueJSON(#"{"bytesValue":"\#(text)"}"#)) == valueRequest(Value.bytes(bytes)))
    }

    @Test(
        "what is no base64 is refused",
        arguments: [
            "A", "AAAAA", "A===", "AA=", "=AAA", "AA==AA==", "AA=A", "A A=", "AAA\\n", "AA.A", "====", "=", "é",
        ])
    func badBase64(text: String) {
        #expect(refused(valueJSON(#"{"bytesValue":"\#(text)"}"#))?.reason == .badBase64)
    }
}
