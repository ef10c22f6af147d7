/// Commands to be sent in one go, formatted for the wire as they are added.
package struct RedisPipeline: Sendable {
    /// The server that has to answer a command; only a Cluster cares.
    enum Route: Equatable, Sendable {
        /// The node that holds the key, which lies in this range of `bytes`.
        case key(Range<Int>)
        /// Each master; the reply is an array with one reply a node.
        case everyNode
        /// The connection that it is sent over.
        case connection
    }

    struct Command: Sendable {
        /// The end of the command in `bytes`; it begins where the one before ends.
        let end: Int
        let route: Route
        /// True if the others are worth sending without it, where the far side hangs up at it.
        var isOptional = false
    }

    package private(set) var bytes: [UInt8] = []
    private(set) var commands: [Command] = []
    package var count: Int { commands.count }
    var hasOptional: Bool { commands.contains(where: \.isOptional) }

    package init() {}

    /// Adds a command whose reply is read as it is; commands with a type of their own are in RedisCommands.swift.
    /// `arguments` are binary-safe; the first one is the key.
    @discardableResult
    package mutating func add(_ command: StaticString, _ arguments: [UInt8]...) -> Ask<RedisReply> {
        add(command, list: arguments)
    }

    /// Adds a command whose argument `keyAt` is the key (MEMORY USAGE has its second word before it).
    @discardableResult
    package mutating func add(_ command: StaticString, keyAt: Int = 0, list arguments: [[UInt8]]) -> Ask<RedisReply> {
        append(command, arguments, keyAt: keyAt, toEveryNode: false)
    }

    /// Adds a command without a key, for each node. An optional one is not sent again to a far side that hangs up at
    /// it.
    @discardableResult
    package mutating func addForEveryNode(
        _ command: StaticString, _ arguments: [UInt8]..., isOptional: Bool = false
    ) -> Ask<RedisReply> {
        let ask = append(command, arguments, keyAt: 0, toEveryNode: true)
        commands[ask.index].isOptional = isOptional
        return ask
    }

    private mutating func append(
        _ command: StaticString, _ arguments: [[UInt8]], keyAt: Int, toEveryNode: Bool
    ) -> Ask<RedisReply> {
        appendHeader("*", arguments.count + 1)
        appendHeader("$", command.utf8CodeUnitCount)
        bytes += UnsafeBufferPointer(start: command.utf8Start, count: command.utf8CodeUnitCount)
        bytes += [13, 10]
        var key = bytes.count..<bytes.count
        for (index, argument) in arguments.enumerated() {
            appendHeader("$", argument.count)
            if index == keyAt { key = bytes.count..<bytes.count + argument.count }
            bytes += argument
            bytes += [13, 10]
        }
        commands.append(Command(end: bytes.count, route: toEveryNode ? .everyNode : .key(key)))
        return Ask(index: commands.count - 1, command: command) { $0 }
    }

    /// Returns the bytes of one command.
    func bytes(of index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : commands[index - 1].end)..<commands[index].end]
    }

    /// Adds a command of another pipeline, with its route.
    mutating func add(_ index: Int, of other: RedisPipeline) {
        bytes += other.bytes(of: index)
        commands.append(Command(end: bytes.count, route: .connection, isOptional: other.commands[index].isOptional))
    }

    // MARK: Optional commands

    /// The reply to a command that was left out.
    static let leftOut = RedisReply.error("ERR not asked: the far side hangs up at this command")

    /// Returns the commands that must not be left out, and their indices here.
    func withoutOptional() -> (pipeline: RedisPipeline, indices: [Int]) {
        var rest = RedisPipeline()
        let indices = commands.indices.filter { !commands[$0].isOptional }
        for index in indices { rest.add(index, of: self) }
        return (rest, indices)
    }

    /// Returns the replies as callers read them, made of those of the only node.
    func repliesOfOneNode(_ replies: [RedisReply]) -> [RedisReply] {
        zip(commands, replies).map { $0.route == .everyNode ? .array([$1]) : $1 }
    }

    /// Returns the same commands between MULTI and EXEC. The replies are those of MULTI, of each queueing, and of EXEC.
    package func asTransaction() -> RedisPipeline {
        var transaction = RedisPipeline()
        transaction.add("MULTI")
        for index in commands.indices { transaction.add(index, of: self) }
        transaction.add("EXEC")
        return transaction
    }

    private mutating func appendHeader(_ mark: Unicode.Scalar, _ number: Int) {
        bytes.append(UInt8(ascii: mark))
        bytes += String(number).utf8
        bytes += [13, 10]
    }
}
