import JSON
import Model

/// The items that were found in one place, the headers or the payload.
struct CarriedValues {
    /// The longest value; a longer one is ignored. W3C asks to carry 512 bytes of `tracestate`, and all others are
    /// shorter.
    static let maxBytes = 512

    private struct Found {
        var rank = Int.max
        var bytes: [UInt8] = []
    }

    private var found = [Found](repeating: Found(), count: CarriedItem.allCases.count)

    /// Records a value. Of two under the same name the last one counts, as for Go's JSON. `isNumber` says that it had
    /// no quotes: it may be a time then, but not an id in hex.
    mutating func record(_ leaf: CarriedNames.Leaf, _ bytes: UnsafeRawBufferPointer, isNumber: Bool = false) {
        let index = leaf.item.rawValue
        guard leaf.rank <= found[index].rank, !bytes.isEmpty, bytes.count <= Self.maxBytes,
            Self.isGood(leaf.item, bytes, isNumber: isNumber)
        else { return }
        found[index] = Found(rank: leaf.rank, bytes: [UInt8](bytes))
    }

    /// Returns true if the value says something. Other values must not hide those of lower rank.
    private static func isGood(_ item: CarriedItem, _ bytes: UnsafeRawBufferPointer, isNumber: Bool) -> Bool {
        switch item {
        case .traceParent: return !isNumber && TraceContext(traceParent: bytes) != nil
        case .traceID, .spanID: return !isNumber && TraceContext(traceID: bytes, spanID: bytes) != nil
        case .traceState: return !isNumber
        case .enqueuedAt, .processAt: return Stamp.parse(text: bytes) != nil
        }
    }

    private func text(_ item: CarriedItem) -> [UInt8] { found[item.rawValue].bytes }

    /// The context from a `traceparent`, or from ids.
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
    /// Reads a payload, if it is a JSON object; one that is not JSON throughout carries nothing. It costs time in
    /// proportion to its length only: no tree, no recursion deeper than `JSONText.maxDepth`.
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

    /// Reads the object that a payload is.
    /// - Throws: `JSONError` where the payload is not JSON throughout.
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
            // These are the values of one header of an `http.Header`: the first one is what Go's `Get` returns.
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
        case UInt8(ascii: "\""): values.record(leaf, try text.string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let start = text.position
            try text.skipValue()
            values.record(leaf, UnsafeRawBufferPointer(rebasing: body[start..<text.position]), isNumber: true)
        default: try text.skipValue()
        }
    }
}
