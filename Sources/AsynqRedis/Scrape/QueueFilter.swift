package import Model
package import Platform

/// Selects queues: those that match `include` (all without one) and don't match `exclude`. A pattern matches anywhere
/// in the name; anchor it with ^ and $ to match all of it.
package struct QueueFilter: Sendable {
    private let include: String?
    private let exclude: String?

    /// Makes a filter of patterns of `LinearPattern`, which `check` has accepted.
    package init(include: String? = nil, exclude: String? = nil) {
        self.include = include
        self.exclude = exclude
    }

    package static let all = QueueFilter()

    /// - Throws: `LinearPattern.Invalid`, with the fault.
    package static func check(pattern: String) throws(LinearPattern.Invalid) {
        _ = try LinearPattern(pattern)
    }

    /// Returns the filter, ready for use on one thread.
    package func compiled() -> CompiledQueueFilter {
        CompiledQueueFilter(include: include, exclude: exclude)
    }
}

/// Remembers its decision about a name, because a scrape asks for the same names each time. Names of spans come from
/// senders, so each costs a time in proportion to its length, and memory that is bounded by names and bytes.
package struct CompiledQueueFilter {
    private static let maxRemembered = 10_000
    private static let maxRememberedBytes = 1 << 20

    private let include: LinearPattern?
    private let exclude: LinearPattern?
    private var remembered: [QueueName: Bool] = [:]
    private var rememberedBytes = 0

    fileprivate init(include: String?, exclude: String?) {
        self.include = Self.pattern(include)
        self.exclude = Self.pattern(exclude)
    }

    private static func pattern(_ text: String?) -> LinearPattern? {
        guard let text else { return nil }
        do {
            return try LinearPattern(text)
        } catch {
            preconditionFailure("the configuration has checked \(text)")
        }
    }

    package mutating func accepts(_ name: QueueName) -> Bool {
        if include == nil && exclude == nil { return true }
        if let known = remembered[name] { return known }
        let accepted = name.bytes.withUnsafeBytes { bytes in
            (include?.isFound(in: bytes) ?? true) && !(exclude?.isFound(in: bytes) ?? false)
        }
        if remembered.count >= Self.maxRemembered || rememberedBytes + name.bytes.count > Self.maxRememberedBytes {
            remembered = [:]
            rememberedBytes = 0
        }
        remembered[name] = accepted
        rememberedBytes += name.bytes.count
        return accepted
    }
}
