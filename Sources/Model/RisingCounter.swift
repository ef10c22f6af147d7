/// A counter that is read from Redis, as it is passed on. A fall is a reset, or a source that is behind what was read before: a
/// replica that lagged at a failover, a restored snapshot. Prometheus takes every fall for a reset and counts the whole number
/// once more, so that the counter stands still until such a source has caught up.
///
///     what is read                                 what is passed on
///     at least what was passed on                  what is read
///     less, but not about zero                     what was passed on before
///     a tenth of it at most, or half and ten       what is read: the source was reset
package struct RisingCounter: Sendable, Equatable {
    /// What was passed on last; nil before the first reading.
    package private(set) var value: Int64?

    package init() {}

    /// Whether a fall is a reset to about zero, with what was counted since.
    package static func isReset(from before: Int64, to read: Int64) -> Bool {
        read < before && (read <= before / 10 || (read <= 10 && read <= before / 2))
    }

    /// Takes over what was read, and returns what is passed on.
    package mutating func record(_ read: Int64) -> Int64 {
        if let value, !Self.isReset(from: value, to: read) { return raise(to: read) }
        value = read
        return read
    }

    /// Does what `record` does where the caller knows that the source was not reset.
    package mutating func raise(to read: Int64) -> Int64 {
        let raised = max(value ?? read, read)
        value = raised
        return raised
    }
}
