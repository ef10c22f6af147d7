/// Returns a number of things with commas between the thousands: `5,377`.
package func humanCount(_ count: some BinaryInteger) -> String {
    let digits = String(count.magnitude)
    var text = ""
    for (position, digit) in digits.enumerated() {
        if position > 0, (digits.count - position) % 3 == 0 { text += "," }
        text.append(digit)
    }
    return count < 0 ? "-" + text : text
}

/// Returns a number of things with their name: `1 task`, `5,377 tasks`, `2 entries`.
package func humanCount(_ count: some BinaryInteger, _ thing: String, _ things: String? = nil) -> String {
    "\(humanCount(count)) \(count == 1 ? thing : things ?? thing + "s")"
}

/// Returns how long something has lasted, in whole units: `45 s`, `30 min`, `9 h`, `4 days`.
package func humanSpan(_ seconds: Double) -> String {
    guard seconds < 1e15 else { return "∞" }
    switch seconds {
    case ..<0: return "0 s"
    case ..<120: return "\(Int(seconds)) s"
    case ..<7200: return "\(Int(seconds / 60)) min"
    case ..<172_800: return "\(Int(seconds / 3600)) h"
    default: return "\(Int(seconds / 86_400)) days"
    }
}

/// Returns a share in percent: `3 %`, below one percent `0.4 %`.
package func humanShare(_ share: Double) -> String {
    guard share.isFinite, abs(share) < 1e12 else { return "∞ %" }
    let percent = share * 100
    if percent <= 0 || percent >= 1 { return "\(Int(percent.rounded())) %" }
    let tenths = Int((percent * 10).rounded(.up))
    return tenths >= 10 ? "1 %" : "0.\(tenths) %"
}

/// Returns events per second: `4/s`, `0.3/s`, `1,200/s`.
package func humanRate(_ perSecond: Double) -> String {
    guard perSecond.isFinite, abs(perSecond) < 1e15 else { return "∞/s" }
    if abs(perSecond) >= 10 { return humanCount(Int(perSecond.rounded())) + "/s" }
    let tenths = Int((perSecond * 10).rounded())
    if tenths == 0 && perSecond != 0 { return "under 0.1/s" }
    return tenths % 10 == 0 ? "\(tenths / 10)/s" : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)/s"
}

/// Returns a size: `512 B`, `3.4 KiB`, `16 MiB`.
package func humanBytes(_ bytes: Int) -> String {
    var (value, unit) = (Double(bytes), 0)
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(value) >= 1023.95, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    let tenths = Int((value * 10).rounded())
    let digits =
        unit == 0 || abs(tenths) >= 1000 || tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(abs(tenths) % 10)"
    return "\(digits) \(units[unit])"
}
