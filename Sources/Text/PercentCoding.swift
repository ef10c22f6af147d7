/// Percent-encoding (RFC 3986, 2.1): `%XX` for a byte.
package enum PercentCoding {
    /// The bytes that stand for themselves.
    package enum Plain: Sendable {
        /// The unreserved characters of RFC 3986, 2.3: letters, digits, `-`, `.`, `_` and `~`.
        case unreserved
        /// The printable ASCII characters but `%`, as gRPC's `grpc-message` has it.
        case printable

        fileprivate func contains(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                true
            case UInt8(ascii: "%"): false
            case 0x20...0x7E: self == .printable
            default: false
            }
        }
    }

    /// Returns the UTF-8 of a text, each byte that is not plain as `%XX`.
    package static func encode(_ text: String, plain: Plain) -> String {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if plain.contains(byte) {
                encoded.append(byte)
            } else {
                encoded += "%\(Hex.text(UInt64(byte), digits: 2, uppercase: true))".utf8
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// Returns the bytes that a text stands for, or nil where a `%` is not followed by two hex digits.
    package static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        decode(Array(text), isStrict: true)
    }

    /// Returns the bytes that a text stands for. A `%` that is not followed by two hex digits stands for itself.
    package static func decodeLeniently(_ text: some Sequence<UInt8>) -> [UInt8] {
        decode(Array(text), isStrict: false) ?? []
    }

    private static func decode(_ text: [UInt8], isStrict: Bool) -> [UInt8]? {
        var decoded: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2, let value = Hex.value(digits) {
                decoded.append(UInt8(truncatingIfNeeded: value))
                rest = rest.dropFirst(2)
            } else if byte == UInt8(ascii: "%"), isStrict {
                return nil
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }
}
