import Text

/// Writes numbers as the text formats have them.
enum NumberText {
    /// Returns the shortest text that reads back as the same number; whole numbers have no fraction.
    static func plain(_ value: Double) -> String {
        if let special = special(value) { return special }
        if let whole = wholeNumber(value) { return (value < 0 ? "-" : "") + String(whole) }
        return value.description
    }

    /// Returns the text that OpenMetrics asks for in the labels `le` and `quantile`, so that every exporter writes the
    /// same number alike. It has the shortest digits, always with a fraction or an exponent, the latter from a million
    /// on and below a ten-thousandth.
    ///
    /// Source: "Considerations: Canonical Numbers" of OpenMetrics 1.0.
    static func canonical(_ value: Double) -> String {
        if let special = special(value) { return special }
        let text = value.description
        guard abs(value) >= 1e6, let point = text.firstIndex(of: "."), !text.contains("e") else { return text }
        let sign = value < 0 ? "-" : ""
        let whole = text[..<point].drop { $0 == "-" }
        var digits = String(whole) + text[text.index(after: point)...]
        let exponent = String(whole.count - 1)
        while digits.count > 1 && digits.last == "0" { digits.removeLast() }
        let fraction = digits.dropFirst()
        return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction)
            + "e+" + (exponent.count < 2 ? "0" : "") + exponent
    }

    /// Returns the absolute value, if it is a whole number with an exact and short decimal form.
    static func wholeNumber(_ value: Double) -> UInt64? {
        value == value.rounded(.towardZero) && abs(value) < 1e15 ? UInt64(abs(value)) : nil
    }

    private static func special(_ value: Double) -> String? {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return nil
    }
}

extension GrowingBytes {
    /// Appends the shortest text that reads back as the same number; whole numbers have no fraction.
    mutating func append(_ value: Double) {
        if let whole = NumberText.wholeNumber(value) {
            if value < 0 { append(UInt8(ascii: "-")) }
            append(decimal: whole)
        } else if let shortest = ShortestDecimal(abs(value)) {
            if value < 0 { append(UInt8(ascii: "-")) }
            append(decimal: shortest.whole)
            append(UInt8(ascii: "."))
            append(decimal: shortest.digits, digits: shortest.fraction)
        } else {
            append(NumberText.plain(value))
        }
    }
}
