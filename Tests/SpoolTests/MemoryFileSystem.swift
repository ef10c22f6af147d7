import Glibc
import Platform
import Spool
import Synchronization

/// What a test makes the disk do wrong: the next matching operation fails, after `keptBytes` of it are done.
struct Fault: Sendable {
    enum Operation: Sendable {
        case open, append, write, read, truncate, sync, delete, rename, syncDirectory
    }

    var operation: Operation
    /// The file that is hit; any where empty.
    var namePrefix = ""
    /// How many bytes of an append or write reach the file all the same.
    var keptBytes = 0
    var code = ENOSPC
    var times = 1
    /// So many matching operations succeed before.
    var skip = 0
}

/// A directory in memory that fails and tears on demand. What stands in it survives the spool that wrote it, as a disk
/// survives kill -9.
final class MemoryFileSystem: SpoolFileSystem {
    final class Node: Sendable {
        let name: String
        let bytes: Mutex<[UInt8]>

        init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = Mutex(bytes)
        }
    }

    private struct Content {
        var nodes: [String: Node] = [:]
        var faults: [Fault] = []
        var syncs: [String] = []
        var badFrom: [String: Int] = [:]
        var peakBytes = 0
        var beforeNextSync: (@Sendable () -> Void)?
    }

    private let content = Mutex(Content())

    init(_ files: [String: [UInt8]] = [:]) {
        self.files = files
    }

    /// The same files, bad bytes included; no faults.
    convenience init(copying other: MemoryFileSystem) {
        self.init(other.files)
        let bad = other.content.withLock { $0.badFrom }
        content.withLock { $0.badFrom = bad }
    }

    /// All files as they stand; setting replaces them.
    var files: [String: [UInt8]] {
        get { content.withLock { $0.nodes.mapValues { $0.bytes.withLock { $0 } } } }
        set {
            content.withLock { content in
                content.nodes = [:]
                for (name, bytes) in newValue { content.nodes[name] = Node(name: name, bytes: bytes) }
            }
        }
    }

    var segmentNames: [String] { files.keys.filter { $0.hasPrefix("segment-") && $0.hasSuffix(".log") }.sorted() }
    var totalBytes: Int { files.values.reduce(0) { $0 + $1.count } }
    var framesBytes: Int { totalBytes - (files["checkpoint"]?.count ?? 0) }
    /// The most that the files other than the checkpoint ever took together, at any moment.
    var peakBytes: Int { content.withLock { $0.peakBytes } }
    var syncedNames: [String] { content.withLock { $0.syncs } }
    var pendingFaults: Int { content.withLock { $0.faults.count } }

    func inject(_ faults: Fault...) {
        content.withLock { $0.faults += faults }
    }

    /// What happens while a file is synced.
    func beforeNextSync(_ action: @escaping @Sendable () -> Void) {
        content.withLock { $0.beforeNextSync = action }
    }

    fileprivate func beginSync() {
        let action = content.withLock { content in
            defer { content.beforeNextSync = nil }
            return content.beforeNextSync
        }
        action?()
    }

    /// From this byte on, the file can't be read: EIO, until told otherwise.
    func spoil(_ name: String, from offset: Int?) {
        content.withLock { $0.badFrom[name] = offset }
    }

    fileprivate func badFrom(_ name: String) -> Int {
        content.withLock { $0.badFrom[name] } ?? .max
    }

    func clearFaults() {
        content.withLock { $0.faults = [] }
    }

    /// The first fault that is meant for this, used up.
    fileprivate func fault(_ operation: Fault.Operation, _ name: String) -> Fault? {
        content.withLock { content in
            let found = content.faults.firstIndex { $0.operation == operation && name.hasPrefix($0.namePrefix) }
            guard let found else { return nil }
            if content.faults[found].skip > 0 {
                content.faults[found].skip -= 1
                return nil
            }
            let fault = content.faults[found]
            content.faults[found].times -= 1
            if content.faults[found].times <= 0 { content.faults.remove(at: found) }
            return fault
        }
    }

    fileprivate func fail(_ operation: Fault.Operation, _ name: String) throws(SystemError) {
        if let fault = fault(operation, name) { throw SystemError("\(operation)", path: name, code: fault.code) }
    }

    func open(_ name: String) throws(SystemError) -> any SpoolFile {
        try fail(.open, name)
        let node = content.withLock { content in
            let node = content.nodes[name] ?? Node(name: name, bytes: [])
            content.nodes[name] = node
            return node
        }
        return MemoryFile(self, node)
    }

    func names() throws(SystemError) -> [String] {
        content.withLock { $0.nodes.keys.shuffled() + [".", ".."] }
    }

    func delete(_ name: String) throws(SystemError) {
        try fail(.delete, name)
        content.withLock { $0.nodes[name] = nil }
    }

    func rename(_ name: String, to newName: String) throws(SystemError) {
        try fail(.rename, name)
        content.withLock { content in
            content.nodes[newName] = content.nodes[name]
            content.nodes[name] = nil
        }
    }

    func syncDirectory() throws(SystemError) {
        try fail(.syncDirectory, "")
        content.withLock { $0.syncs.append("") }
    }

    fileprivate func noteSize() {
        let total = framesBytes
        content.withLock { $0.peakBytes = max($0.peakBytes, total) }
    }

    fileprivate func noteSync(_ name: String) {
        content.withLock { $0.syncs.append(name) }
    }
}

final class MemoryFile: SpoolFile {
    private let system: MemoryFileSystem
    private let node: MemoryFileSystem.Node

    init(_ system: MemoryFileSystem, _ node: MemoryFileSystem.Node) {
        self.system = system
        self.node = node
    }

    var count: Int {
        get throws(SystemError) { node.bytes.withLock { $0.count } }
    }

    func append(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int) throws(SystemError) {
        let whole = Array(head) + Array(payload)
        precondition(node.bytes.withLock { $0.count } == end, "what is appended stands at the end")
        let fault = system.fault(.append, node.name)
        let kept = fault.map { min($0.keptBytes, whole.count) } ?? whole.count
        let bytes = Array(whole[..<kept])
        node.bytes.withLock { $0 += bytes }
        system.noteSize()
        if let fault { throw SystemError("appending", path: node.name, code: fault.code) }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        let fault = system.fault(.write, node.name)
        let kept = bytes.prefix(fault.map { $0.keptBytes } ?? bytes.count)
        node.bytes.withLock { content in
            let missing = offset + kept.count - content.count
            if missing > 0 { content += [UInt8](repeating: 0, count: missing) }
            content.replaceSubrange(offset..<offset + kept.count, with: kept)
        }
        system.noteSize()
        if let fault { throw SystemError("writing", path: node.name, code: fault.code) }
    }

    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        try system.fail(.read, node.name)
        let bytes = node.bytes.withLock { Array($0.dropFirst(offset).prefix(count)) }
        let bad = system.badFrom(node.name)
        if !bytes.isEmpty && offset >= bad { throw SystemError("reading", path: node.name, code: EIO) }
        return Array(bytes.prefix(max(0, bad - offset)))
    }

    func truncate(to count: Int) throws(SystemError) {
        try system.fail(.truncate, node.name)
        node.bytes.withLock { content in
            if content.count > count { content.removeLast(content.count - count) }
            if content.count < count { content += [UInt8](repeating: 0, count: count - content.count) }
        }
    }

    func sync() throws(SystemError) {
        system.beginSync()
        try system.fail(.sync, node.name)
        system.noteSync(node.name)
    }
}
