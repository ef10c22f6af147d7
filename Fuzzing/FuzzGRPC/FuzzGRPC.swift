import NIOCore
import SpanReceiver
import Text

/// Any bytes as what gRPC frames and writes in header fields: what is written must be read back as it was, by readers of
/// the fuzzer's own.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGRPC(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
    let text = String(decoding: bytes, as: UTF8.self)
    checkMessage(bytes)
    checkTimeout(text, Array(text.utf8))
    checkPercentEncoding(text)
    checkBase64(bytes)
    return 0
}

private func checkMessage(_ bytes: [UInt8]) {
    let framed = GRPCMessage.framed(bytes)
    guard let read = try? GRPCMessage(in: ByteBuffer(bytes: framed)) else {
        preconditionFailure("what was framed is broken")
    }
    precondition(
        !read.isCompressed && read.bytes.readableBytesView.elementsEqual(bytes), "a message is not what was framed")
    do throws(GRPCMessage.Broken) {
        let message = try GRPCMessage(in: ByteBuffer(bytes: bytes))
        var framed = GRPCMessage.framed(Array(message.bytes.readableBytesView))
        if message.isCompressed { framed[0] = 1 }
        precondition(framed == bytes, "a message is not all of its call")
    } catch {
        let expected: GRPCMessage.Broken? =
            switch bytes.count {
            case 0: .missing
            case _ where bytes[0] > 1: .badFlag
            case ..<5: .truncated
            default: nil
            }
        precondition(expected == nil || error == expected, "another reason than the first bytes give")
    }
}

/// The specification's grammar, read from behind: a unit, and one to eight digits before it.
private func checkTimeout(_ text: String, _ bytes: [UInt8]) {
    var expected: Double?
    if (2...9).contains(bytes.count), let unit = bytes.last.flatMap(nanoseconds), bytes.dropLast().allSatisfy(isDigit) {
        expected = bytes.dropLast().reduce(0) { $0 * 10 + Double($1 - 48) } * unit
    }
    let found = GRPCFields.timeoutNanoseconds(text)
    precondition((found == nil) == (expected == nil), "a timeout where there is none, or none where there is one")
    if let found, let expected {
        let bounded = min(expected, Double(Int64.max))
        precondition(abs(Double(found) - bounded) <= bounded * 1e-12, "another timeout than the text says")
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

private func nanoseconds(_ unit: UInt8) -> Double? {
    switch Unicode.Scalar(unit) {
    case "H": 3600e9
    case "M": 60e9
    case "S": 1e9
    case "m": 1e6
    case "u": 1e3
    case "n": 1
    default: nil
    }
}

private func checkPercentEncoding(_ text: String) {
    let encoded = Array(PercentCoding.encode(text, plain: .printable).utf8)
    var decoded: [UInt8] = []
    var at = 0
    while at < encoded.count {
        let byte = encoded[at]
        precondition((0x20...0x7E).contains(byte), "a field that is no printable ASCII")
        at += 1
        if byte == UInt8(ascii: "%") {
            guard at + 2 <= encoded.count, let high = hexValue(encoded[at]), let low = hexValue(encoded[at + 1]) else {
                preconditionFailure("no digits after %")
            }
            decoded.append(high << 4 | low)
            at += 2
        } else {
            decoded.append(byte)
        }
    }
    precondition(decoded.elementsEqual(text.utf8), "percent encoding loses something")
}

private func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - 48
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - 55
    default: nil
    }
}

private func checkBase64(_ bytes: [UInt8]) {
    let encoded = Base64.encode(bytes)
    precondition(encoded.utf8.count == (bytes.count * 4 + 2) / 3, "another length than base64 without padding")
    var decoded: [UInt8] = []
    var bits = UInt32(0)
    var bitCount = 0
    for digit in encoded.utf8 {
        guard let value = sixBits(digit) else { preconditionFailure("a digit that is not base64's") }
        bits = bits << 6 | value
        bitCount += 6
        if bitCount >= 8 {
            bitCount -= 8
            decoded.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            bits &= 1 << UInt32(bitCount) - 1
        }
    }
    precondition(bits == 0 && bitCount < 6, "bits are left over")
    precondition(decoded == bytes, "base64 loses something")
}

private func sixBits(_ digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
