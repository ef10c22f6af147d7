/// Returns seconds as people say them: `850 µs`, `12 ms`, `3.4 s`, `5 min`.
package func humanSeconds(_ seconds: Double) -> String {
    func rounded(_ value: Double) -> String {
        if value >= 99.5 { return String(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(tenths % 10)"
    }
    // Stamps from outside end up here, and an infinity would not fit into an Int.
    guard seconds < 1e15 else { return "∞" }
    switch seconds {
    case ..<1e-6: return "0"
    // A number that would be rounded to a thousand goes to the next unit.
    case ..<0.999_5e-3: return rounded(seconds * 1e6) + " µs"
    case ..<0.999_5: return rounded(seconds * 1e3) + " ms"
    case ..<120: return rounded(seconds) + " s"
    case ..<7200: return rounded(seconds / 60) + " min"
    default: return rounded(seconds / 3600) + " h"
    }
}
