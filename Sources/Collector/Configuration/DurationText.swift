import Model

extension Duration {
    /// The least duration above zero that a setting can have.
    static let shortest = Duration.nanoseconds(1)
    /// The longest duration of a setting, about 285 years: its nanoseconds fit an `Int64`.
    static let longest = Duration.seconds(9_000_000_000)
}

/// Writes a duration as a user would.
enum DurationText {
    /// Returns a whole number of the largest unit that allows it: `100ms`, `90s`.
    static func text(_ duration: Duration) -> String {
        let nanoseconds = max(0, duration.wholeNanoseconds)
        let unit = ValueParsing.durationUnits.first { nanoseconds % Int64($0.size) == 0 && nanoseconds > 0 }
        return unit.map { "\(nanoseconds / Int64($0.size))\($0.name)" } ?? "0"
    }
}
