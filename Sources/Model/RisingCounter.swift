/// A counter that is read from Redis, in the form in which it is passed on. A fall is a reset, or a source that is
/// behind what was read before: a replica that lagged at a failover, or a restored snapshot. Prometheus takes every
/// fall for a reset and counts the whole number once more. The counter therefore stands still until such a source has
/// caught up.
///
///     what is read                                 what is passed on
///     at least what was passed on                  what is read
///     less, but not about zero                     what was passed on before
///     a tenth of it at most, or half and ten       what is read: the source was reset
package struct RisingCounter: Sendable, Equatable {
    /// The value that was passed on last, or nil before the first reading.
    package private(set) var value: Int64?

    package init() {}

    /// Returns true if a fall is a reset to about zero, with what was counted since.
    package static func isReset(from before: Int64, to read: Int64) -> Bool {
        read < before && (read <= before / 10 || (read <= 10 && read <= before / 2))
    }

    /// Records what was read, and returns the value to pass on.
    package mutating func record(_ read: Int64) -> Int64 {
        if let value, !Self.isReset(from: value, to: read) { return raise(to: read) }
        value = read
        return read
    }

    /// Does what `record` does, for a caller that knows that the source was not reset.
    package mutating func raise(to read: Int64) -> Int64 {
        let raised = max(value ?? read, read)
        value = raised
        return raised
    }
}
