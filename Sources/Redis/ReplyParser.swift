import CHiredis
import Model
import Platform

/// The limits of what a far side can cost in one round trip over one connection, whatever it sends.
///
/// The largest scrape that has to pass asks for 1,000 queues with 10,000 groups each: ten million names, of up to 20
/// bytes each on the wire where they are 13 long. The look-ahead asks for about 4 MiB of messages.
struct ReplyLimits {
    /// The bytes as they come over the wire.
    var bytes = 256 << 20
    /// The elements of the arrays of one reply, inner arrays included. Each costs 72 bytes and more in hiredis until
    /// its reply is whole, and Asynq's lists have fewer than a million members.
    var elementsOfReply = 1 << 20
    /// The elements of all replies: each costs 24 bytes here, and more where it is a string.
    var elements = 16 << 20

    init() {}

    /// Makes limits for a number of bytes on the wire. What is made of the bytes takes little more memory than that,
    /// because the least element takes six bytes on the wire.
    init(bytes: Int) {
        self.bytes = bytes
        elementsOfReply = min(elementsOfReply, bytes / 96)
        elements = min(elements, bytes / 24)
    }
}

/// Owns hiredis' parser. Bytes go in, replies come out, within limits.
///
/// hiredis makes space for an array of any size as soon as it has read its header, `*1000000000\r
/// `. That costs nothing until the array is freed: then it visits each of the elements that never came (4.5 s for that
/// one, whatever the deadline). hiredis 1.0 has a maximum for it, 0.14 lacks it; both ask a function for the array.
/// Ours counts first, and returns none where the array is too large.
final class ReplyParser {
    /// The rest of the limits. hiredis passes it on to the function that makes arrays.
    private final class Budget {
        let original: redisReplyObjectFunctions
        let limits: ReplyLimits
        var bytes = 0
        var elements = 0
        var elementsOfReply = 0
        var isExceeded = false

        init(_ original: redisReplyObjectFunctions, _ limits: ReplyLimits) {
            self.original = original
            self.limits = limits
        }

        func take(elements count: Int) -> Bool {
            guard count <= limits.elementsOfReply - elementsOfReply, count <= limits.elements - elements else {
                isExceeded = true
                return false
            }
            elementsOfReply += count
            elements += count
            return true
        }
    }

    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let budget: Budget
    /// The name of the far side, for error messages.
    private let name: String
    /// The memory for the replies of all connections; nil where only the limits count.
    private let memory: ByteBudget?
    /// The bytes of it that the replies of this round trip hold.
    private var heldBytes = 0

    /// Makes a parser.
    /// - Throws: `RedisError` where hiredis has no memory.
    init(
        name: String, limits: ReplyLimits = ReplyLimits(), memory: ByteBudget? = nil
    ) throws(RedisError) {
        guard let reader = redisReaderCreate(), let original = reader.pointee.fn?.pointee else {
            throw RedisError(.connection, "no memory for a reply parser")
        }
        self.name = name
        self.memory = memory
        self.reader = reader
        budget = Budget(original, limits)
        functions = .allocate(capacity: 1)
        functions.initialize(to: original)
        functions.pointee.createArray = { task, count in
            guard let task, let context = task.pointee.privdata else { return nil }
            let budget = Unmanaged<Budget>.fromOpaque(context).takeUnretainedValue()
            // Without an array hiredis fails, and calls it a lack of memory.
            return budget.take(elements: Int(clamping: count)) ? budget.original.createArray(task, count) : nil
        }
        reader.pointee.fn = functions
        reader.pointee.privdata = Unmanaged.passUnretained(budget).toOpaque()
    }

    deinit {
        endRoundTrip()
        redisReaderFree(reader)
        functions.deallocate()
    }

    /// The number of bytes since `beginRoundTrip`.
    var receivedBytes: Int { budget.bytes }

    func beginRoundTrip() {
        endRoundTrip()
        budget.bytes = 0
        budget.elements = 0
    }

    /// Releases what the replies of the round trip hold.
    func endRoundTrip() {
        memory?.release(heldBytes)
        heldBytes = 0
    }

    /// Takes bytes that came.
    /// - Throws: `RedisError` where they are beyond the limits, or hiredis has no memory.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        budget.bytes += bytes.count
        if budget.bytes > budget.limits.bytes { throw limitError("\(budget.limits.bytes >> 20) MiB") }
        if let memory {
            guard memory.hold(bytes.count) else {
                throw limitError("what is left of \(memory.limitBytes >> 20) MiB for all replies")
            }
            heldBytes += bytes.count
        }
        let code = redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        if code != REDIS_OK { throw failure() }
    }

    /// Returns the next reply, or nil while it is not whole.
    /// - Throws: `RedisError` where the bytes are not Redis' protocol, or beyond the limits.
    func next() throws(RedisError) -> RedisReply? {
        var raw: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &raw) == REDIS_OK else { throw failure() }
        guard let raw else { return nil }
        defer { freeReplyObject(raw) }
        budget.elementsOfReply = 0
        return RedisReply(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self)))
    }

    /// True if more lies behind the reply that `next` returned. (It means nothing after nil: then hiredis may have
    /// taken in the beginning of a reply.)
    var hasMore: Bool { reader.pointee.pos < reader.pointee.len }

    private func failure() -> RedisError {
        if budget.isExceeded { return limitError("\(budget.limits.elementsOfReply) elements of arrays") }
        let text = withUnsafePointer(to: reader.pointee.errstr) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 128) { String(cString: $0) }
        }
        return RedisError(.protocolError, "\(name) does not speak the Redis protocol: \(text)" + Self.hint(text))
    }

    /// Returns a hint at the protocol that the first byte suggests.
    private static func hint(_ text: String) -> String {
        if text.contains("got \"H\"") { return "; that is the port of a web server (HTTP), Redis' own is usually 6379" }
        if text.contains("got \"\\x15\"") { return "; that is a TLS port: write rediss for redis in redis.url" }
        return ""
    }

    private func limitError(_ limit: String) -> RedisError {
        RedisError(.limit, "\(name) answered with more than \(limit); the connection is closed")
    }
}
