import OTLP
import TestSupport
import Testing

/// Builds random requests twice at once: the JSON, in any of the spellings that mean the same, and the protobuf that
/// must come of it.
private struct TwinMaker {
    var random: SeededGenerator

    typealias Twin = (json: String, wire: [UInt8])

    mutating func request() -> Twin {
        let (json, wire) = object((0..<number(0...3)).map { _ in list("resourceSpans", 1) { $0.resourceSpans() } })
        return (space() + json + space(), wire)
    }

    // MARK: Spelling

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private mutating func space() -> String {
        number(0...9) == 0 ? [" ", "\n", "\t", "\r\n  "][number(0...3)] : ""
    }

    /// A JSON string. Everything may be escaped, some things must be.
    private mutating func quoted(_ text: String) -> String {
        let mayEscape = number(0...2) == 0
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" {
                result += "\\\(scalar)"
            } else if scalar.value < 0x20 || mayEscape && number(0...3) == 0 {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16, uppercase: number(0...1) == 0)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return "\"\(result)\""
    }

    private mutating func key(_ camel: String) -> String {
        let snake = String(camel.flatMap { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" })
        return space() + quoted(number(0...9) == 0 ? snake : camel) + space() + ":" + space()
    }

    private mutating func junk(depth: Int = 0) -> String {
        switch number(0...(depth < 3 ? 7 : 5)) {
        case 0: "null"
        case 1: "true"
        case 2: quoted(text())
        case 3: "-12.5e+3"
        case 4: "{}"
        case 5: "[]"
        case 6: "[\(junk(depth: depth + 1)),\(junk(depth: depth + 1))]"
        default: "{\(key("x"))\(junk(depth: depth + 1)),\(key("spans"))\(junk(depth: depth + 1))}"
        }
    }

    /// An object of these members, with unknown ones and nulls among them.
    private mutating func object(_ members: [Twin]) -> Twin {
        var all = members
        while number(0...4) == 0 {
            let extra: Twin = number(0...1) == 0 ? (key("unknownKey") + junk(), []) : (key("flags") + "null", [])
            all.insert(extra, at: number(0...all.count))
        }
        return (
            "{" + space() + all.map { $0.json }.joined(separator: "," + space()) + space() + "}",
            all.flatMap { $0.wire }
        )
    }

    // MARK: Fields

    private mutating func list(_ name: String, _ field: UInt64, _ item: (inout Self) -> Twin) -> Twin {
        let items = (0..<number(0...3)).map { _ in item(&self) }
        let json = key(name) + "[" + space() + items.map { $0.json }.joined(separator: space() + ",") + "]" + space()
        return (json, items.flatMap { Field.bytes(field, $0.wire) })
    }

    private mutating func message(_ name: String, _ field: UInt64, _ content: Twin) -> Twin {
        (key(name) + content.json + space(), Field.bytes(field, content.wire))
    }

    private mutating func text() -> String {
        let alphabet = ["a", "z", "é", "€", "😀", "\"", "\\", "\0", "\n", "/", "\u{7F}", "plain text of some length"]
        return (0..<number(0...12)).map { _ in alphabet[number(0...11)] }.joined()
    }

    private mutating func string(_ name: String, _ field: UInt64) -> Twin {
        let text = text()
        return (key(name) + quoted(text), Field.text(field, text))
    }

    /// Digits, sometimes with a point or exponent, sometimes in quotes.
    private mutating func spelled(_ digits: String) -> String {
        let form =
            switch number(0...9) {
            case 0: digits + ".0"
            case 1: digits + "e0"
            case 2: digits == "0" ? digits : digits + "00e-2"
            default: digits
            }
        return number(0...1) == 0 ? form : quoted(form)
    }

    private mutating func fixed64(_ name: String, _ field: UInt64) -> Twin {
        let value = random.next() >> UInt64(number(0...63))
        return (key(name) + spelled("\(value)"), Field.fixed64(field, value))
    }

    private mutating func uint32(_ name: String, _ field: UInt64, isFixed: Bool = false) -> Twin {
        let value = UInt32(truncatingIfNeeded: random.next()) >> UInt32(number(0...31))
        return (
            key(name) + spelled("\(value)"), isFixed ? Field.fixed32(field, value) : Field.int(field, UInt64(value))
        )
    }

    private mutating func identifier(_ name: String, _ field: UInt64, bytes count: Int) -> Twin {
        let bytes = random.bytes(number(0...9) == 0 ? 0 : count)
        let hex = bytes.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: byte % 3 == 0)
        }.joined()
        return (key(name) + quoted(hex), Field.bytes(field, bytes))
    }

    private mutating func attributes(_ field: UInt64) -> Twin {
        list("attributes", field) { $0.keyValue(depth: 0) }
    }

    private mutating func keyValue(depth: Int) -> Twin {
        let value = value(depth: depth)
        return shuffled([string("key", 1), message("value", 2, value)])
    }

    private mutating func shuffled(_ members: [Twin]) -> Twin {
        object(members.filter { _ in random.next() % 8 > 0 }.shuffled(using: &random))
    }

    private mutating func value(depth: Int) -> Twin {
        switch number(0...(depth < 4 ? 7 : 5)) {
        case 0: return object([string("stringValue", 1)])
        case 1:
            let value = Int64(bitPattern: random.next()) >> Int64(number(0...63))
            return object([(key("intValue") + spelled("\(value)"), Value.int(value))])
        case 2:
            let value = Double(bitPattern: random.next())
            let json =
                value.isNaN ? "\"NaN\"" : value.isInfinite ? (value < 0 ? "\"-Infinity\"" : "\"Infinity\"") : "\(value)"
            return object([(key("doubleValue") + json, Value.double(value.isNaN ? .nan : value))])
        case 3:
            let value = number(0...1) == 0
            return object([(key("boolValue") + "\(value)", Value.bool(value))])
        case 4:
            let bytes = random.bytes(number(0...12))
            return object([(key("bytesValue") + base64(bytes), Value.bytes(bytes))])
        case 5: return object([])
        case 6:
            let items = list("values", 1) { $0.value(depth: depth + 1) }
            return object([message("arrayValue", 5, object([items]))])
        default:
            let items = list("values", 1) { $0.keyValue(depth: depth + 1) }
            return object([message("kvlistValue", 6, object([items]))])
        }
    }

    private mutating func base64(_ bytes: [UInt8]) -> String {
        let isURLSafe = number(0...1) == 0
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\(isURLSafe ? "-_" : "+/")")
        var result = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            result += String((0...group.count).map { alphabet[bits >> (18 - 6 * $0) & 63] })
            if number(0...1) == 0 || group.count == 3 {
                result += String(repeating: "=", count: 3 - group.count)
            } else {
                break
            }
        }
        return quoted(result)
    }

    // MARK: Messages

    private mutating func resourceSpans() -> Twin {
        let entity = list("entityRefs", 3) {
            $0.shuffled([
                $0.string("schemaUrl", 1), $0.string("type", 2), $0.strings("idKeys", 3),
                $0.strings("descriptionKeys", 4),
            ])
        }
        let resource = shuffled([attributes(1), uint32("droppedAttributesCount", 2), entity])
        return shuffled([
            message("resource", 1, resource), list("scopeSpans", 2) { $0.scopeSpans() }, string("schemaUrl", 3),
        ])
    }

    private mutating func strings(_ name: String, _ field: UInt64) -> Twin {
        let texts = (0..<number(0...2)).map { _ in text() }
        let json = texts.map { quoted($0) }.joined(separator: " , ")
        return (key(name) + "[" + json + "]", texts.flatMap { Field.text(field, $0) })
    }

    private mutating func scopeSpans() -> Twin {
        let scope = shuffled([
            string("name", 1), string("version", 2), attributes(3), uint32("droppedAttributesCount", 4),
        ])
        return shuffled([message("scope", 1, scope), list("spans", 2) { $0.span() }, string("schemaUrl", 3)])
    }

    private mutating func span() -> Twin {
        let kind = number(0...6)
        let status = shuffled([string("message", 2), (key("code") + "2", Field.int(3, 2))])
        return shuffled([
            identifier("traceId", 1, bytes: 16), identifier("spanId", 2, bytes: 8), string("traceState", 3),
            identifier("parentSpanId", 4, bytes: 8), string("name", 5),
            (key("kind") + spelled("\(kind)"), Field.int(6, UInt64(kind))),
            fixed64("startTimeUnixNano", 7), fixed64("endTimeUnixNano", 8), attributes(9),
            uint32("droppedAttributesCount", 10),
            list("events", 11) { $0.event() }, uint32("droppedEventsCount", 12), list("links", 13) { $0.link() },
            uint32("droppedLinksCount", 14), message("status", 15, status), uint32("flags", 16, isFixed: true),
        ])
    }

    private mutating func event() -> Twin {
        shuffled([fixed64("timeUnixNano", 1), string("name", 2), attributes(3), uint32("droppedAttributesCount", 4)])
    }

    private mutating func link() -> Twin {
        shuffled([
            identifier("traceId", 1, bytes: 16), identifier("spanId", 2, bytes: 8), string("traceState", 3),
            attributes(4),
            uint32("droppedAttributesCount", 5), uint32("flags", 6, isFixed: true),
        ])
    }
}

@Suite("OTLP's JSON at random")
struct JSONRandomTests {
    @Test("random requests become exactly the protobuf that they mean, in any spelling")
    func differential() throws {
        var maker = TwinMaker(random: .fresh(for: "random JSON requests"))
        var converter = JSONRequestConverter()
        for _ in 0..<400 {
            let (json, wire) = maker.request()
            let found = try Array(json.utf8).withUnsafeBytes { try converter.convert($0) { Array($0) } }
            #expect(found == wire, "\(json)")
        }
    }

    @Test("changed, cut and doubled bytes never crash, and what is taken is a request")
    func mutations() {
        var maker = TwinMaker(random: .fresh(for: "mutated JSON requests"))
        let special = Array(#"{}[]",:\0e-.un"#.utf8) + [0xFF, 0xC3, 0x00]
        for _ in 0..<500 {
            var body = Array(maker.request().json.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &maker.random) where !body.isEmpty {
                let index = Int.random(in: body.indices, using: &maker.random)
                switch Int.random(in: 0...4, using: &maker.random) {
                case 0: body[index] = special.randomElement(using: &maker.random) ?? 0
                case 1: body[index] ^= 1 << UInt8.random(in: 0...7, using: &maker.random)
                case 2: body.insert(body[index], at: index)
                case 3: body.removeSubrange(index...)
                default: body.remove(at: index)
                }
            }
            body.withUnsafeBytes { JSONRequestConverter.checkInvariants($0) }
        }
    }
}
