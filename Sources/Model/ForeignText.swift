/// Text that came from outside (a queue name, a task type), compared byte by byte.
///
/// Swift's `String` treats canonically equivalent texts as equal ("é" in one scalar or two); Redis and Asynq do not,
/// so two different queues would become one. The bytes are kept as they came.
package struct ForeignText: Hashable, Sendable, Comparable {
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    package init(_ buffer: UnsafeRawBufferPointer) {
        self.bytes = [UInt8](buffer)
    }

    package init(_ text: String) {
        self.bytes = [UInt8](text.utf8)
    }

    /// The first `count` bytes at most, without half a character at the end.
    package func cut(to count: Int) -> ForeignText {
        guard bytes.count > count else { return self }
        var end = count
        while end > 0, end > count - 4, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return ForeignText(Array(bytes[..<end]))
    }

    /// For people and for formats that demand UTF-8: the text, each invalid byte replaced by U+FFFD.
    package var text: String {
        String(decoding: bytes, as: UTF8.self)
    }

    /// For labels: the text, each byte that is no UTF-8 as `\xHH`, so that two different names stay different.
    package var printable: String {
        if let valid = String(validating: bytes, as: UTF8.self) { return valid }
        var printed = ""
        var parser = UTF8.ForwardParser()
        var rest = bytes.makeIterator()
        var position = 0
        while true {
            switch parser.parseScalar(from: &rest) {
            case .valid(let encoded):
                printed.unicodeScalars.append(UTF8.decode(encoded))
                position += encoded.count
            case .error(let count):
                for byte in bytes[position..<position + count] {
                    printed += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
                }
                position += count
            case .emptyInput: return printed
            }
        }
    }

    package static func < (left: ForeignText, right: ForeignText) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// The name of an Asynq queue, verbatim (Asynq neither escapes nor validates it beyond "not blank").
package typealias QueueName = ForeignText
/// The type of an Asynq task (`TaskMessage` field 1), verbatim.
package typealias TaskType = ForeignText
