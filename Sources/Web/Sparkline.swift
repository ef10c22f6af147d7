/// A line without axes, as SVG: what has become of a number, the newest value on the right.
enum Sparkline {
    private static let height = 16.0

    /// Values that are missing leave a gap; one value alone is no line.
    static func svg(_ values: [Double?], title: String) -> String {
        let known = values.compactMap { $0 }.filter(\.isFinite)
        guard known.count > 1, let most = known.max() else { return "" }
        let left = QueueHistory.maxPoints - values.count
        var lines: [[String]] = [[]]
        for (index, value) in values.enumerated() {
            guard let value, value.isFinite else {
                if lines.last?.isEmpty == false { lines.append([]) }
                continue
            }
            let share = most > 0 ? value / most : 0
            let y = ((Self.height - 1 - share * (Self.height - 2)) * 10).rounded() / 10
            lines[lines.count - 1].append("\(left + index),\(y)")
        }
        let drawn = lines.filter { $0.count > 1 }.map { "<polyline points=\"\($0.joined(separator: " "))\"/>" }.joined()
        let box = "viewBox=\"0 0 \(QueueHistory.maxPoints) \(Int(Self.height))\" preserveAspectRatio=\"none\""
        return "<svg class=\"spark\" \(box) role=\"img\"><title>\(title)</title>\(drawn)</svg>"
    }
}
