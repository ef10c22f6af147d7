package import NIOCore

/// The one message of a unary call, in gRPC's framing
/// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"):
///
/// | bytes | field                                    |
/// |-------|------------------------------------------|
/// | 1     | 0 as it is, 1 compressed by grpc-encoding |
/// | 4     | length of the message, big-endian        |
/// | n     | message                                  |
package struct GRPCMessage: Equatable {
    static let prefixBytes = 5

    /// The reason why a body is not one message.
    package enum Broken: Error, Equatable {
        case missing, truncated, badFlag, severalMessages
    }

    package let isCompressed: Bool
    package let bytes: ByteBuffer

    /// Reads the body of a call, which must hold exactly one message.
    /// - Throws: `Broken` where it does not.
    package init(in body: ByteBuffer) throws(Broken) {
        var rest = body
        guard let flag = rest.readInteger(as: UInt8.self) else { throw .missing }
        guard flag <= 1 else { throw .badFlag }
        guard let length = rest.readInteger(as: UInt32.self), let message = rest.readSlice(length: Int(length)) else {
            throw .truncated
        }
        if rest.readableBytes > 0 { throw .severalMessages }
        isCompressed = flag == 1
        bytes = message
    }

    /// Returns a message as it is, with its prefix.
    package static func framed(_ message: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0]
        bytes.reserveCapacity(prefixBytes + message.count)
        withUnsafeBytes(of: UInt32(message.count).bigEndian) { bytes += $0 }
        return bytes + message
    }
}

extension GRPCMessage.Broken {
    var message: String {
        switch self {
        case .missing: "the call has no message; Export takes exactly one"
        case .truncated: "the call ends in the middle of its message"
        case .badFlag: "the compressed flag of the message is neither 0 nor 1"
        case .severalMessages: "the call has more than one message; Export takes exactly one"
        }
    }
}

/// The text formats of gRPC's header fields.
package enum GRPCFields {
    /// Reads `grpc-timeout`: one to eight digits and a unit, one of H M S m u n. Returns nil for anything else.
    package static func timeoutNanoseconds(_ text: String) -> Int64? {
        let digits = text.utf8.dropLast()
        guard (1...8).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let unit: Int64
        switch text.utf8.last {
        case UInt8(ascii: "H"): unit = 3_600_000_000_000
        case UInt8(ascii: "M"): unit = 60_000_000_000
        case UInt8(ascii: "S"): unit = 1_000_000_000
        case UInt8(ascii: "m"): unit = 1_000_000
        case UInt8(ascii: "u"): unit = 1000
        case UInt8(ascii: "n"): unit = 1
        default: return nil
        }
        let count = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        return overflow ? .max : product
    }
}
