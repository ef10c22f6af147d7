import JSON
import Model

/// What was found of the items in one place, the headers or the payload.
struct CarriedValues {
    /// Longer ones are none: W3C asks to carry 512 bytes of `tracestate`, and nothing else is as long.
    static let maxBytes = 512

    private struct Found {
        var rank = Int.max
        var bytes: [UInt8] = []
    }

    private var found = [Found](repeating: Found(), count: CarriedItem.allCases.count)

    /// Of two under the same name the last one counts, as for Go's JSON. `isNumber`: it had no quotes; that may be a time, but
    /// is no id in hex.
    mutating func note(_ leaf: CarriedNames.Leaf, _ bytes: UnsafeRawBufferPointer, isNumber: Bool = false) {
        let index = leaf.item.rawValue
        guard leaf.rank <= found[index].rank, !bytes.isEmpty, bytes.count <= Self.maxBytes,
            Self.isGood(leaf.item, bytes, isNumber: isNumber)
        else { return }
        found[index] = Found(rank: leaf.rank, bytes: [UInt8](bytes))
    }

    /// One that says nothing hides no other one.
    private static func isGood(_ item: CarriedItem, _ bytes: UnsafeRawBufferPointer, isNumber: Bool) -> Bool {
        switch item {
        case .traceParent: return !isNumber && TraceContext(traceParent: bytes) != nil
        case .traceID, .spanID: return !isNumber && TraceContext(traceID: bytes, spanID: bytes) != nil
        case .traceState: return !isNumber
        case .enqueuedAt, .processAt: return Stamp.parse(text: bytes) != nil
        }
    }

    private func text(_ item: CarriedItem) -> [UInt8] { found[item.rawValue].bytes }

    /// From a `traceparent`, or from ids.
    var context: TraceContext? {
        let parent = text(.traceParent).withUnsafeBytes { TraceContext(traceParent: $0, traceState: text(.traceState)) }
        if let parent { return parent }
        return text(.traceID).withUnsafeBytes { traceID in
            text(.spanID).withUnsafeBytes { TraceContext(traceID: traceID, spanID: $0) }
        }
    }

    var enqueuedAt: WallTime? { time(.enqueuedAt) }
    var processAt: WallTime? { time(.processAt) }

    private func time(_ item: CarriedItem) -> WallTime? {
        found[item.rawValue].bytes.withUnsafeBytes { Stamp.parse(text: $0) }
    }
}

extension CarriedValues {
    /// From a payload, if it is a JSON object; one that is not all JSON carries nothing. Its length is all that it costs:
    /// no tree, no recursion deeper than `JSONText.maxDepth`.
    init(payload: UnsafeRawBufferPointer, names: CarriedNames) {
        var reader = PayloadReader(names: names)
        do throws(JSONError) {
            try reader.read(payload)
        } catch {
            reader.values = CarriedValues()
        }
        self = reader.values
    }
}

private struct PayloadReader: ~Copyable {
    let names: CarriedNames
    var values = CarriedValues()
    private var text = JSONText()
    private var body = UnsafeRawBufferPointer(start: nil, count: 0)

    init(names: CarriedNames) {
        self.names = names
    }

    mutating func read(_ payload: UnsafeRawBufferPointer) throws(JSONError) {
        body = payload
        text.start(payload, keepingAtMost: 64 << 10)
        defer { text.end() }
        text.skipWhitespace()
        try object(CarriedNames.root)
        text.skipWhitespace()
        if !text.isAtEnd { throw JSONError(.trailingBytes, at: text.position) }
    }

    private mutating func object(_ node: Int) throws(JSONError) {
        guard try text.openObject() else { return }
        repeat {
            if let child = names.child(of: node, try text.key()) {
                try member(child)
            } else {
                try text.skipValue()
            }
        } while try text.hasNextMember()
    }

    private mutating func member(_ node: Int) throws(JSONError) {
        switch try text.peek() {
        case UInt8(ascii: "{") where names.hasChildren(node): try object(node)
        case UInt8(ascii: "["):
            // The values of one header of an `http.Header`: the first one is what Go's `Get` gives.
            guard try text.openArray() else { return }
            var isFirst = true
            repeat {
                if isFirst { try scalar(node) } else { try text.skipValue() }
                isFirst = false
            } while try text.hasNextElement()
        default: try scalar(node)
        }
    }

    private mutating func scalar(_ node: Int) throws(JSONError) {
        guard let leaf = names.leaf(node) else { return try text.skipValue() }
        switch try text.peek() {
        case UInt8(ascii: "\""): values.note(leaf, try text.string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let start = text.position
            try text.skipValue()
            values.note(leaf, UnsafeRawBufferPointer(rebasing: body[start..<text.position]), isNumber: true)
        default: try text.skipValue()
        }
    }
}
