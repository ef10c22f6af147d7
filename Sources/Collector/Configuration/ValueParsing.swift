/// Reads durations, sizes and lists as users write them.
enum ValueParsing {
    typealias Unit = (name: String, size: Int)

    /// The units in nanoseconds, the largest first.
    static let durationUnits: [Unit] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000), ("us", 1000), ("µs", 1000), ("ns", 1),
    ]

    private static let sizeUnits: [Unit] = [
        ("", 1), ("B", 1), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40),
    ]

    /// Reads `250ms`, `5s`, `1.5h`, or several with the larger unit first: `1h30m`. A bare 0 is 0. Returns nil for
    /// other texts, and above `Duration.longest`.
    static func duration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = Substring(text)
        var units = durationUnits[...]
        var total = Duration.zero
        repeat {
            let number = takeNumber(&rest)
            let name = rest.prefix { !isOfNumber($0) }
            rest = rest[name.endIndex...]
            guard let index = units.firstIndex(where: { $0.name == name }),
                let part = product(number, units[index].size)
            else { return nil }
            total += .nanoseconds(part)
            units = units[(index + 1)...]
        } while !rest.isEmpty
        return total <= .longest ? total : nil
    }

    /// Reads `64MiB`, `64Mi`, `1GB`, `1024`, in bytes. KiB and Ki are 1024 bytes, KB is 1000.
    static func size(_ text: String) -> Int? {
        var unit = Substring(text)
        let number = takeNumber(&unit)
        return sizeUnits.first { $0.name == unit }.flatMap { product(number, $0.size) }
    }

    private static func isOfNumber(_ character: Character) -> Bool {
        ("0"..."9").contains(character) || character == "."
    }

    private static func takeNumber(_ text: inout Substring) -> Substring {
        let number = text.prefix(while: isOfNumber)
        text = text[number.endIndex...]
        return number
    }

    /// Returns a decimal number times `size`, rounded; the whole part is exact. Returns nil for any other text, and for
    /// a product that does not fit.
    private static func product(_ number: Substring, _ size: Int) -> Int? {
        let point = number.firstIndex(of: ".") ?? number.endIndex
        let fraction = number[point...].dropFirst()
        if number[..<point].isEmpty && fraction.isEmpty { return nil }
        guard let whole = Int("0" + number[..<point]), let part = Double("0." + fraction + "0") else { return nil }
        let (bytes, isTooLarge) = whole.multipliedReportingOverflow(by: size)
        let (sum, isSumTooLarge) = bytes.addingReportingOverflow(Int((part * Double(size)).rounded()))
        return isTooLarge || isSumTooLarge ? nil : sum
    }

    /// Returns the parts of a comma list, blanks around them cut off; empty parts are left out.
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
