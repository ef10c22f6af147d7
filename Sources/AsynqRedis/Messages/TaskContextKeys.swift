/// The names under which producers put what a task carries: its trace context, and the time of enqueueing. Every team
/// named theirs differently.
///
/// A name is searched for among the task's headers, and then as a dotted path in its JSON payload; of several the first
/// one counts. Case does not matter: Go's `http.Header` writes `Traceparent`.
package struct TaskContextKeys: Sendable, Equatable {
    /// The names of W3C's `traceparent` and `tracestate`.
    package var traceParent = ["traceparent", "header.traceparent", "headers.traceparent"]
    package var traceState = ["tracestate", "header.tracestate", "headers.tracestate"]
    /// The names of ids in hex digits, for tasks without `traceparent`.
    package var traceID = ["trace_id", "traceId"]
    package var spanID = ["span_id", "spanId"]
    /// The names of the time of enqueueing; `Stamp` says what can be read as a time.
    package var enqueuedAt = ["enqueued_at", "enqueuedAt"]
    /// The names of the time at which a task that was scheduled ahead is due.
    package var processAt = ["process_at", "processAt"]

    package init() {}
}

/// The items that are searched for.
enum CarriedItem: Int, CaseIterable {
    case traceParent, traceState, traceID, spanID, enqueuedAt, processAt

    func names(in keys: TaskContextKeys) -> [String] {
        switch self {
        case .traceParent: keys.traceParent
        case .traceState: keys.traceState
        case .traceID: keys.traceID
        case .spanID: keys.spanID
        case .enqueuedAt: keys.enqueuedAt
        case .processAt: keys.processAt
        }
    }
}

/// The same names as a tree of path components, in lower case.
struct CarriedNames: Sendable {
    struct Leaf: Sendable {
        let item: CarriedItem
        /// The rank of the name; 0 is the best.
        let rank: Int
    }

    private struct Node: Sendable {
        var children: [(name: [UInt8], node: Int)] = []
        var leaf: Leaf?
    }

    /// The nodes; the first one is the payload's outermost object.
    private var nodes = [Node()]
    private var headers: [[UInt8]: Leaf] = [:]

    static let root = 0

    init(_ keys: TaskContextKeys = TaskContextKeys()) {
        for item in CarriedItem.allCases {
            for (rank, name) in item.names(in: keys).enumerated() {
                let lowered = name.utf8.map { Self.lowered($0) }
                let leaf = Leaf(item: item, rank: rank)
                if headers[lowered] == nil { headers[lowered] = leaf }
                add(lowered, leaf)
            }
        }
    }

    private mutating func add(_ path: [UInt8], _ leaf: Leaf) {
        var node = Self.root
        for part in path.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            let name = Array(part)
            if let known = nodes[node].children.first(where: { $0.name == name }) {
                node = known.node
            } else {
                nodes.append(Node())
                nodes[node].children.append((name, nodes.count - 1))
                node = nodes.count - 1
            }
        }
        if nodes[node].leaf == nil { nodes[node].leaf = leaf }
    }

    static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    func header(_ name: UnsafeRawBufferPointer) -> Leaf? {
        headers[name.map { Self.lowered($0) }]
    }

    /// Returns the node of a member of an object; nil where the member is of no interest.
    func child(of node: Int, _ name: UnsafeRawBufferPointer) -> Int? {
        nodes[node].children.first { child in
            child.name.count == name.count && zip(child.name, name).allSatisfy { $0 == Self.lowered($1) }
        }?.node
    }

    func leaf(_ node: Int) -> Leaf? { nodes[node].leaf }
    func hasChildren(_ node: Int) -> Bool { !nodes[node].children.isEmpty }
}
