package import JSON

/// The reason why a body is not an ExportTraceServiceRequest in OTLP's JSON, and the place.
package struct MalformedJSON: Error, CustomStringConvertible, Sendable, Equatable {
    package typealias Reason = JSONError.Reason

    package let reason: Reason
    /// The place, in bytes from the start of the body.
    package let offset: Int
    /// The path to it, such as `resourceSpans[0].scopeSpans[0].spans[3].kind`; empty for the request itself.
    package let path: String

    package var description: String {
        "\(path.isEmpty ? "request" : path): \(reason.rawValue) (at byte \(offset))"
    }

    init(_ error: JSONError, in body: UnsafeRawBufferPointer) {
        reason = error.reason
        offset = error.offset
        path = Self.path(to: error.offset, in: body)
    }

    /// The bounds of a key and of a path. Longer ones are cut, because the sender of a body has a say in what is logged
    /// of it.
    private static let maxKeyBytes = 32
    private static let maxPathBytes = 200

    /// Returns the path to an offset. Everything before it has been read as JSON already, so braces, commas and strings
    /// tell enough. To follow the path while reading would cost each good request; this costs a bad one.
    private static func path(to offset: Int, in body: UnsafeRawBufferPointer) -> String {
        var steps: [Step] = []
        var position = 0
        while position < offset {
            let byte = body[position]
            position += 1
            switch byte {
            case UInt8(ascii: "{"): steps.append(.object(key: nil))
            case UInt8(ascii: "["): steps.append(.array(index: 0))
            case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = steps.popLast()
            case UInt8(ascii: ","): if let last = steps.popLast() { steps.append(last.next) }
            case UInt8(ascii: "\""):
                let start = position
                while position < offset, body[position] != UInt8(ascii: "\"") {
                    position += body[position] == UInt8(ascii: "\\") ? 2 : 1
                }
                if position < offset, case .object(key: nil) = steps.last {
                    steps[steps.count - 1] = .object(key: start..<position)
                }
                position += 1
            default: break
            }
        }
        var path = ""
        for step in steps where path.utf8.count < maxPathBytes { path += step.text(in: body, isFirst: path.isEmpty) }
        return path
    }

    private enum Step {
        /// An object; the key is nil until it was read.
        case object(key: Range<Int>?)
        case array(index: Int)

        var next: Step {
            switch self {
            case .object: .object(key: nil)
            case .array(let index): .array(index: index + 1)
            }
        }

        func text(in body: UnsafeRawBufferPointer, isFirst: Bool) -> String {
            switch self {
            case .array(let index): return "[\(index)]"
            case .object(nil): return ""
            case .object(let key?):
                let text = String(
                    decoding: UnsafeRawBufferPointer(rebasing: body[key.prefix(maxKeyBytes)]), as: UTF8.self)
                return (isFirst ? "" : ".") + text + (key.count > maxKeyBytes ? "…" : "")
            }
        }
    }
}
