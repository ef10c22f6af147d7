package import Model
package import Platform

/// Selects queues: those that match `include` (all without one) and don't match `exclude`. A pattern matches anywhere
/// in the name; anchor it with ^ and $ to match all of it. As for grep, several patterns stand on a line each, and a name
/// has to match one of them.
package struct QueueFilter: Sendable {
    private let include: String?
    private let exclude: String?

    /// Makes a filter of lines of patterns of `LinearPattern`, which `check` has accepted.
    package init(include: String? = nil, exclude: String? = nil) {
        self.include = include
        self.exclude = exclude
    }

    package static let all = QueueFilter()

    /// - Throws: `LinearPattern.Invalid`, with the fault, and with the pattern where it is one of several.
    package static func check(patterns text: String) throws(LinearPattern.Invalid) {
        let lines = lines(of: text)
        for line in lines {
            do throws(LinearPattern.Invalid) {
                if line.isEmpty { throw LinearPattern.Invalid(reason: "one of several patterns is empty") }
                _ = try LinearPattern(line)
            } catch {
                throw lines.count == 1 || line.isEmpty
                    ? error : LinearPattern.Invalid(reason: "\(line): \(error.reason)")
            }
        }
    }

    /// Returns the patterns of a text. An end of line behind the last one is not one more.
    fileprivate static func lines(of text: String) -> [String] {
        var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { String($0) }
        if lines.last == "" { lines.removeLast() }
        return lines
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

    /// The patterns of which a name has to match one; empty where it need not.
    private let include: [LinearPattern]
    private let exclude: [LinearPattern]
    private var remembered: [QueueName: Bool] = [:]
    private var rememberedBytes = 0

    fileprivate init(include: String?, exclude: String?) {
        self.include = Self.patterns(include)
        self.exclude = Self.patterns(exclude)
    }

    private static func patterns(_ text: String?) -> [LinearPattern] {
        QueueFilter.lines(of: text ?? "").map { line in
            do {
                return try LinearPattern(line)
            } catch {
                preconditionFailure("the configuration has checked \(line)")
            }
        }
    }

    package mutating func accepts(_ name: QueueName) -> Bool {
        if include.isEmpty && exclude.isEmpty { return true }
        if let known = remembered[name] { return known }
        let accepted = name.bytes.withUnsafeBytes { bytes in
            (include.isEmpty || include.contains { $0.isFound(in: bytes) })
                && !exclude.contains { $0.isFound(in: bytes) }
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
