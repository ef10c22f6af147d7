package import JSON

/// Why a body is not an ExportTraceServiceRequest in OTLP's JSON, and where.
package struct MalformedJSON: Error, CustomStringConvertible, Sendable, Equatable {
    package typealias Reason = JSONError.Reason

    package let reason: Reason
    /// Bytes from the start of the body.
    package let offset: Int
    /// Such as `resourceSpans[0].scopeSpans[0].spans[3].kind`; empty for the request itself.
    package let path: String

    package var description: String {
        "\(path.isEmpty ? "request" : path): \(reason.rawValue) (at byte \(offset))"
    }

    init(_ error: JSONError, in body: UnsafeRawBufferPointer) {
        reason = error.reason
        offset = error.offset
        path = Self.path(to: error.offset, in: body)
    }

    /// Longer keys and deeper paths are cut: who sends a body has a say in what is logged of it.
    private static let maxKeyBytes = 32
    private static let maxPathBytes = 200

    /// Where in the tree an offset lies. Everything before it has been read as JSON already, so it is enough to look at
    /// braces, commas and strings. To follow the path while reading would cost each good request, this costs a bad one.
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
        /// nil: the key has not been read.
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
