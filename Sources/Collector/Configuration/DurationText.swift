import Model

extension Duration {
    /// The least duration above zero that a setting can have.
    static let shortest = Duration.nanoseconds(1)
    /// About 285 years: its nanoseconds fit an `Int64`.
    static let longest = Duration.seconds(9_000_000_000)

    /// What the options of the other targets count in; of durations from zero to `longest`.
    var nanoseconds: UInt64 { UInt64(clamping: wholeNanoseconds) }
}

/// A duration as a user would write it.
enum DurationText {
    /// The largest unit of which it is a whole number: `100ms`, `90s`.
    static func text(_ duration: Duration) -> String {
        let nanoseconds = duration.nanoseconds
        let unit = ValueParsing.durationUnits.first { nanoseconds % UInt64($0.size) == 0 && nanoseconds > 0 }
        return unit.map { "\(nanoseconds / UInt64($0.size))\($0.name)" } ?? "0"
    }
}
