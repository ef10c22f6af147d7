package import Model

/// Which queues are looked at: those that match `include` (all without one) and don't match `exclude`. A pattern matches
/// anywhere in the name; anchor it with ^ and $ to match all of it.
package struct QueueFilter: Sendable {
    private let include: String?
    private let exclude: String?

    /// The patterns are Swift regular expressions, close to PCRE; `isValid` was asked first.
    package init(include: String? = nil, exclude: String? = nil) {
        self.include = include
        self.exclude = exclude
    }

    package static let all = QueueFilter()

    package static func isValid(pattern: String) -> Bool {
        do {
            _ = try Regex(pattern)
            return true
        } catch {
            return false
        }
    }

    /// The filter, ready for use on one thread.
    package func compiled() -> CompiledQueueFilter {
        CompiledQueueFilter(include: include, exclude: exclude)
    }
}

/// Remembers what it said of a name: a scrape asks for the same names each time.
package struct CompiledQueueFilter {
    private static let maxRemembered = 10_000

    private let include: Regex<AnyRegexOutput>?
    private let exclude: Regex<AnyRegexOutput>?
    private var remembered: [QueueName: Bool] = [:]

    fileprivate init(include: String?, exclude: String?) {
        self.include = Self.regex(include)
        self.exclude = Self.regex(exclude)
    }

    private static func regex(_ pattern: String?) -> Regex<AnyRegexOutput>? {
        guard let pattern else { return nil }
        do {
            return try Regex(pattern)
        } catch {
            preconditionFailure("the configuration has checked \(pattern)")
        }
    }

    package mutating func accepts(_ name: QueueName) -> Bool {
        if include == nil && exclude == nil { return true }
        if let known = remembered[name] { return known }
        let text = name.text
        let accepted =
            include.map { text.firstMatch(of: $0) != nil } ?? true
            && exclude.map { text.firstMatch(of: $0) == nil } ?? true
        if remembered.count >= Self.maxRemembered { remembered = [:] }
        remembered[name] = accepted
        return accepted
    }
}
