import Glibc
import Platform
import Spool
import Synchronization
import TestSupport

/// A disk behind a page cache. A power cut keeps what was synced; of everything else, any part:
///
/// - each sector that was written and not synced is on the disk or is not, in any order; one more may be torn in the middle
/// - a file's length is what was synced, or more, up to what it was; what was not written then reads as zeros
/// - each creation, deletion and renaming of a name since the directory's last sync happened or did not
///
/// A sync that fails takes the dirty sectors for clean all the same, as Linux does: what of them is on the disk is left to
/// chance, no later sync writes them, and the cache may drop them, so that the old bytes come back.
final class PowerLossDisk: SpoolFileSystem {
    static let sectorBytes = 512

    /// Guarded by the disk's lock.
    fileprivate struct Inode {
        var cache: [UInt8] = []
        var disk: [UInt8] = []
        var dirty: Set<Int> = []

        mutating func write(_ bytes: [UInt8], at offset: Int) {
            if bytes.isEmpty { return }
            resize(to: max(cache.count, offset + bytes.count))
            cache.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            dirty.formUnion(offset / sectorBytes...(offset + bytes.count - 1) / sectorBytes)
        }

        mutating func resize(to count: Int) {
            if count < cache.count {
                cache.removeLast(cache.count - count)
            } else {
                cache += [UInt8](repeating: 0, count: count - cache.count)
            }
        }

        mutating func sync() {
            disk = cache
            dirty = []
        }

        /// What of the dirty sectors reaches the disk, if no sync makes sure of it.
        mutating func writeBack(_ random: inout SeededGenerator, mayTear: Bool) {
            if dirty.isEmpty && disk.count <= cache.count { return }
            var count = disk.count
            if count != cache.count {
                let low = min(count, cache.count)
                let high = max(count, cache.count)
                count = [low, high, Int.random(in: low...high, using: &random)].randomElement(using: &random) ?? low
            }
            if disk.count > count { disk.removeLast(disk.count - count) }
            disk += [UInt8](repeating: 0, count: count - disk.count)
            let torn = mayTear ? dirty.randomElement(using: &random) : nil
            let chance = Int.random(in: 0...4, using: &random)
            for sector in dirty.sorted() {
                if sector != torn && Int.random(in: 1...4, using: &random) > chance { continue }
                let start = sector * sectorBytes
                var end = min(start + sectorBytes, cache.count, count)
                if sector == torn { end = min(end, start + Int.random(in: 0..<sectorBytes, using: &random)) }
                if start < end { disk.replaceSubrange(start..<end, with: cache[start..<end]) }
            }
        }
    }

    fileprivate enum NameChange {
        case create(String, Int)
        case delete(String)
        /// A directory entry is a name and an inode: whatever else was lost, it is this one.
        case rename(String, to: String, Int)

        func apply(to names: inout [String: Int]) {
            switch self {
            case .create(let name, let inode): names[name] = inode
            case .delete(let name): names[name] = nil
            case .rename(let name, let newName, let inode):
                names[name] = nil
                names[newName] = inode
            }
        }
    }

    fileprivate struct Content {
        var inodes: [Inode] = []
        var names: [String: Int] = [:]
        var namesOnDisk: [String: Int] = [:]
        var changes: [NameChange] = []
        var random: SeededGenerator
        /// One in so many syncs fails; 0: none.
        var failingSyncs = 0
    }

    private let content: Mutex<Content>

    init(seed: UInt64) {
        content = Mutex(Content(random: SeededGenerator(seed: seed)))
    }

    /// One in `count` syncs fails from now on; 0: none.
    func failSyncs(oneIn count: Int) {
        content.withLock { $0.failingSyncs = count }
    }

    /// Everything that was not synced is left to chance.
    func cutPower() {
        content.withLock { content in
            for index in content.inodes.indices {
                content.inodes[index].writeBack(&content.random, mayTear: true)
                content.inodes[index].cache = content.inodes[index].disk
                content.inodes[index].dirty = []
            }
            for change in content.changes where Bool.random(using: &content.random) {
                change.apply(to: &content.namesOnDisk)
            }
            content.changes = []
            content.names = content.namesOnDisk
        }
    }

    /// All files as they would be read now.
    var files: [String: [UInt8]] {
        content.withLock { content in content.names.mapValues { content.inodes[$0].cache } }
    }

    // MARK: SpoolFileSystem

    func open(_ name: String) throws(SystemError) -> any SpoolFile {
        content.withLock { content in
            if let inode = content.names[name] { return PowerLossFile(self, inode) }
            content.inodes.append(Inode())
            let inode = content.inodes.count - 1
            content.change(.create(name, inode))
            return PowerLossFile(self, inode)
        }
    }

    func names() throws(SystemError) -> [String] {
        content.withLock { Array($0.names.keys) }
    }

    func delete(_ name: String) throws(SystemError) { content.withLock { $0.change(.delete(name)) } }

    func rename(_ name: String, to newName: String) throws(SystemError) {
        let found = content.withLock { content in
            guard let inode = content.names[name] else { return false }
            content.change(.rename(name, to: newName, inode))
            return true
        }
        if !found { throw SystemError("renaming", path: name, code: ENOENT) }
    }

    func syncDirectory() throws(SystemError) {
        let failed = content.withLock { content in
            if content.fails() { return true }
            content.namesOnDisk = content.names
            content.changes = []
            return false
        }
        if failed { throw SystemError("syncing directory", code: EIO) }
    }

    fileprivate func sync(_ inode: Int) throws(SystemError) {
        let failed = content.withLock { content in
            if !content.fails() {
                // Sectors that an earlier sync failed on are clean to the kernel: they stay as they are.
                content.inodes[inode].syncDirty()
                return false
            }
            content.inodes[inode].writeBack(&content.random, mayTear: false)
            content.inodes[inode].dirty = []
            // Page reclaim drops clean pages at will.
            if Int.random(in: 0..<4, using: &content.random) == 0 {
                let bytes = content.inodes[inode].disk
                let missing = content.inodes[inode].cache.count - bytes.count
                content.inodes[inode].cache =
                    bytes.prefix(content.inodes[inode].cache.count)
                    + [UInt8](repeating: 0, count: max(0, missing))
            }
            return true
        }
        if failed { throw SystemError("syncing", code: EIO) }
    }

    fileprivate func with<Result: Sendable>(_ inode: Int, _ body: (inout Inode) -> Result) -> Result {
        content.withLock { body(&$0.inodes[inode]) }
    }
}

extension PowerLossDisk.Inode {
    fileprivate mutating func syncDirty() {
        let sector = PowerLossDisk.sectorBytes
        if disk.count > cache.count { disk.removeLast(disk.count - cache.count) }
        disk += [UInt8](repeating: 0, count: cache.count - disk.count)
        for index in dirty where index * sector < cache.count {
            let range = index * sector..<min((index + 1) * sector, cache.count)
            disk.replaceSubrange(range, with: cache[range])
        }
        dirty = []
    }
}

extension PowerLossDisk.Content {
    fileprivate mutating func change(_ change: PowerLossDisk.NameChange) {
        change.apply(to: &names)
        changes.append(change)
    }

    fileprivate mutating func fails() -> Bool {
        failingSyncs > 0 && Int.random(in: 0..<failingSyncs, using: &random) == 0
    }
}

final class PowerLossFile: SpoolFile {
    private let disk: PowerLossDisk
    private let inode: Int

    fileprivate init(_ disk: PowerLossDisk, _ inode: Int) {
        self.disk = disk
        self.inode = inode
    }

    var count: Int {
        get throws(SystemError) { disk.with(inode) { $0.cache.count } }
    }

    func append(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at end: Int) throws(SystemError) {
        let bytes = Array(head) + Array(payload)
        disk.with(inode) { inode in
            precondition(inode.cache.count == end, "what is appended stands at the end")
            inode.write(bytes, at: end)
        }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        disk.with(inode) { $0.write(bytes, at: offset) }
    }

    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        disk.with(inode) { Array($0.cache.dropFirst(offset).prefix(count)) }
    }

    func truncate(to count: Int) throws(SystemError) {
        disk.with(inode) { $0.resize(to: count) }
    }

    func sync() throws(SystemError) { try disk.sync(inode) }
}
