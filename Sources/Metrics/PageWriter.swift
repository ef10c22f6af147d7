import Glibc

/// Writes a page piece by piece into the same memory, and hands each piece over: so that a page of tens of megabytes needs
/// neither memory of that size nor the way there and back, but stays in the processor's cache.
///
/// The memory grows for what has to stay together. Room is asked for per series, not per text (`PageRoom`): pages have
/// hundreds of thousands of lines, and appending to an array costs several times as much.
struct PageWriter: ~Copyable {
    /// About how long pieces are.
    static let pieceBytes = 64 << 10

    private var memory: UnsafeMutableRawPointer
    private var capacity = 2 * pieceBytes
    private var count = 0

    init() {
        memory = Self.checked(malloc(capacity))
    }

    deinit { free(memory) }

    /// Gives what was written to `sink`, and begins anew.
    mutating func handOver(to sink: (UnsafeRawBufferPointer) -> Void) {
        if count > 0 { sink(UnsafeRawBufferPointer(start: memory, count: count)) }
        count = 0
    }

    /// The same where there is enough for a piece.
    @inline(__always)
    mutating func handOverPiece(to sink: (UnsafeRawBufferPointer) -> Void) {
        if count >= Self.pieceBytes { handOver(to: sink) }
    }

    /// Appends what `write` writes: `maxBytes` at most.
    @inline(__always)
    mutating func append(upTo maxBytes: Int, _ write: (inout PageRoom) -> Void) {
        if maxBytes > capacity - count { grow(by: maxBytes) }
        var room = PageRoom(memory + count)
        write(&room)
        count = room.next - memory
        assert(count <= capacity, "more than was said")
    }

    mutating func append(_ text: String) {
        append(upTo: text.utf8.count) { $0.append(text) }
    }

    /// What `write` appends, preceded by its length as a varint. `guess` is about how long it will be: wrong by a digit
    /// (7 bits) it costs moving what was written.
    mutating func append(lengthGuess guess: Int, _ write: (inout PageWriter) -> Void) {
        let reserved = PageRoom.varintSize(UInt64(guess))
        let maxSize = 10
        append(upTo: maxSize) { $0.skip(reserved) }
        let start = count
        write(&self)
        let size = count - start
        append(upTo: maxSize) { _ in }
        var room = PageRoom(memory + start - reserved)
        room.closeLength(of: size, reserved: reserved)
        count = room.next - memory
    }

    @inline(never)
    private mutating func grow(by size: Int) {
        capacity = max(2 * capacity, count + size)
        memory = Self.checked(realloc(memory, capacity))
    }

    private static func checked(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        // As where an array finds none.
        guard let memory else { preconditionFailure("no memory for a page") }
        return memory
    }
}
