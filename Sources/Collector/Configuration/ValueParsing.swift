/// Reads the text forms of durations, sizes and numbers.
enum ValueParsing {
    /// `250ms`, `5s`, `2m`, `1h`, `1d`, `1.5s`, in nanoseconds; a bare 0 is 0.
    static func duration(_ text: String) -> UInt64? {
        if text == "0" { return 0 }
        let units: [(String, Double)] = [
            ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86_400e9),
        ]
        let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        guard let value = Double(number), let unit = units.first(where: { $0.0 == text[number.endIndex...] }) else {
            return nil
        }
        let nanoseconds = value * unit.1
        return nanoseconds < 9e18 ? UInt64(nanoseconds) : nil
    }

    /// `64MiB`, `1GB`, `1024`, in bytes. KiB is 1024 bytes, KB is 1000.
    static func size(_ text: String) -> Int? {
        let units: [(String, Double)] = [
            ("", 1), ("B", 1), ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
            ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
        ]
        let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        guard let value = Double(number), let unit = units.first(where: { $0.0 == text[number.endIndex...] }) else {
            return nil
        }
        let bytes = value * unit.1
        return bytes < 9e18 ? Int(bytes) : nil
    }

    /// The parts of a comma list, blanks around them cut off; empty parts are left out.
    static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { trimmed($0) }.filter { !$0.isEmpty }
    }

    static func trimmed(_ text: some StringProtocol) -> String {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        var rest = Substring(text).drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
        return String(rest)
    }
}
