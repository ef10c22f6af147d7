import Testing

@testable import Text

@Suite("Percent-coding, hex and base64")
struct CodingTests {
    // MARK: Percent-coding

    @Test("a gRPC message keeps printable ASCII, all else and the percent sign are encoded")
    func printable() {
        #expect(PercentCoding.encode("bad id, at 7~", plain: .printable) == "bad id, at 7~")
        #expect(PercentCoding.encode("100%\n\u{7F}", plain: .printable) == "100%25%0A%7F")
        #expect(PercentCoding.encode(" ~\u{1F}", plain: .printable) == " ~%1F")
        #expect(PercentCoding.encode("größer", plain: .printable) == "gr%C3%B6%C3%9Fer")
        #expect(PercentCoding.encode("", plain: .printable) == "")
    }

    @Test("all but RFC 3986's unreserved characters are encoded in an address")
    func unreserved() {
        let kept = "ABCXYZabcxyz0189-._~"
        #expect(PercentCoding.encode(kept, plain: .unreserved) == kept)
        #expect(PercentCoding.encode("@[`{/:", plain: .unreserved) == "%40%5B%60%7B%2F%3A")
        #expect(PercentCoding.encode(" %\u{0}\u{F}é", plain: .unreserved) == "%20%25%00%0F%C3%A9")
    }

    @Test("every byte comes back, in either case of its digits")
    func roundTrip() {
        for byte in UInt8.min...UInt8.max {
            let digits = Hex.text(UInt64(byte), digits: 2)
            #expect(PercentCoding.decode("a%\(digits)%\(digits.uppercased())z".utf8) == [0x61, byte, byte, 0x7A])
        }
        for plain in [PercentCoding.Plain.unreserved, .printable] {
            let text = String((0..<0x180).compactMap { Unicode.Scalar($0) }.map { Character($0) })
            #expect(PercentCoding.decode(PercentCoding.encode(text, plain: plain).utf8) == Array(text.utf8))
        }
    }

    @Test(
        "a percent sign without two digits is refused, or stands for itself",
        arguments: ["%", "%4", "%4g", "%g4", "a%", "%%41", "%+1", "%-1", "% 1", "%1 "])
    func badDigits(text: String) {
        #expect(PercentCoding.decode(text.utf8) == nil)
        let expected = text == "%%41" ? "%A" : text
        #expect(PercentCoding.decodeLeniently(text.utf8) == Array(expected.utf8))
    }

    @Test("a plus sign is no blank")
    func plus() {
        #expect(PercentCoding.decode("a+b".utf8) == Array("a+b".utf8))
    }

    // MARK: Hex

    @Test("a number has its last digits, zeros in front included")
    func hexText() {
        #expect(Hex.text(0, digits: 16) == "0000000000000000")
        #expect(Hex.text(0xAB_CDEF, digits: 8) == "00abcdef")
        #expect(Hex.text(0xAB, digits: 2, uppercase: true) == "AB")
        #expect(Hex.text(.max, digits: 16) == "ffffffffffffffff")
        #expect(Hex.text(0x1234, digits: 2) == "34")
    }

    @Test("every byte is the digit that Swift reads, or none")
    func hexDigits() {
        for byte in UInt8.min...UInt8.max {
            let isDigit = byte < 0x80 && Character(Unicode.Scalar(byte)).isHexDigit
            #expect(Hex.value(ofDigit: byte) == (isDigit ? UInt8(String(Unicode.Scalar(byte)), radix: 16) : nil))
        }
    }

    @Test("at most sixteen digits are a number")
    func hexValue() {
        #expect(Hex.value([]) == 0)
        #expect(Hex.value("0fF".utf8) == 0xFF)
        #expect(Hex.value("0123456789abcdef".utf8) == 0x0123_4567_89AB_CDEF)
        #expect(Hex.value("ffffffffffffffff".utf8) == .max)
        #expect(Hex.value("00000000000000001".utf8) == nil)
        #expect(Hex.value("12g".utf8) == nil)
    }

    // MARK: Base64

    @Test("base64 is that of RFC 4648, section 10, without padding")
    func base64() {
        let vectors = [
            "": "", "f": "Zg", "fo": "Zm8", "foo": "Zm9v", "foob": "Zm9vYg", "fooba": "Zm9vYmE", "foobar": "Zm9vYmFy",
        ]
        for (text, encoded) in vectors {
            #expect(Base64.encode(Array(text.utf8)) == encoded)
            #expect(decoded(encoded) == Array(text.utf8))
            let padding = String(repeating: "=", count: (4 - encoded.utf8.count % 4) % 4)
            #expect(decoded(encoded + padding) == Array(text.utf8))
        }
        #expect(Base64.encode([0xFB, 0xFF, 0xFE]) == "+//+")
        #expect(decoded("+//+") == [0xFB, 0xFF, 0xFE])
        #expect(decoded("-__-") == [0xFB, 0xFF, 0xFE])
    }

    @Test(
        "what is not base64 is refused",
        arguments: ["A", "AAAAA", "A===", "====", "AA=A", "AAAA=", "AA A", "AA\n=", "é=="])
    func notBase64(text: String) {
        #expect(decoded(text) == nil)
    }

    private func decoded(_ text: String) -> [UInt8]? {
        var output = GrowingBytes()
        let isGood = Array(text.utf8).withUnsafeBytes { Base64.decode($0, into: &output) }
        return isGood ? Array(output.bytes) : nil
    }
}
