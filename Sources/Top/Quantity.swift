/// Writes numbers as a table of few columns shows them; an unknown one is a dash.
package enum Quantity {
    package static let unknown = "–"

    /// Returns a count: `5,377`, `123k`, `12.3M`. It has at most six characters, seven below zero.
    package static func count(_ number: Int64?) -> String {
        guard let number else { return unknown }
        if number < 0 { return "-" + count(number == .min ? .max : -number) }
        return number < 100_000 ? grouped(number) : short(Double(number))
    }

    /// Returns events per second: `0`, `0.4`, `12.3`, `1,234`, `12k`.
    package static func rate(_ perSecond: Double?) -> String {
        guard let perSecond, perSecond.isFinite else { return unknown }
        if perSecond <= 0 { return "0" }
        if perSecond < 0.05 { return "<0.1" }
        if perSecond < 99.95 { return tenths(perSecond) }
        return perSecond < 9999.5 ? grouped(Int64(perSecond.rounded())) : short(perSecond)
    }

    /// Returns a time: `850 µs`, `12 ms`, `3.4 s`, `5 min`, `9.2 h`, `3 d`. It has at most seven characters.
    package static func seconds(_ seconds: Double?) -> String {
        guard let seconds, seconds.isFinite, seconds < 1e12 else { return unknown }
        // A number that would be rounded to a thousand goes to the next unit.
        switch seconds {
        case ..<0.5e-6: return "0 s"
        case ..<0.999_5e-3: return tenths(seconds * 1e6) + " µs"
        case ..<0.999_5: return tenths(seconds * 1e3) + " ms"
        case ..<90: return tenths(seconds) + " s"
        case ..<5400: return tenths(seconds / 60) + " min"
        case ..<172_800: return tenths(seconds / 3600) + " h"
        default: return tenths(seconds / 86_400) + " d"
        }
    }

    /// Returns a size: `512 B`, `16 MiB`.
    package static func bytes(_ bytes: Double?) -> String {
        guard let bytes, bytes.isFinite, bytes >= 0 else { return unknown }
        var rest = bytes
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if rest < 999.5 || unit == "TiB" { return tenths(rest) + " " + unit }
            rest /= 1024
        }
        return unknown
    }

    /// Returns one decimal below ten, none above.
    private static func tenths(_ value: Double) -> String {
        guard value < 9.95, let tenths = Int64(exactly: (value * 10).rounded()) else {
            return Int64(exactly: value.rounded()).map { String($0) } ?? unknown
        }
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(tenths % 10)"
    }

    private static func short(_ value: Double) -> String {
        for (scale, unit) in [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")] where value < scale * 999.5 {
            return tenths(value / scale) + unit
        }
        return ">999T"
    }

    private static func grouped(_ number: Int64) -> String {
        let digits = Array(String(number))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }
}
