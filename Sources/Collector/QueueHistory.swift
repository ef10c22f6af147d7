import Model
import Synchronization

/// How queues fared in the last ten minutes, for the sparklines of the status page: a point every ten seconds.
final class QueueHistory: Sendable {
    static let intervalSeconds: Int64 = 10
    static let maxPoints = 60
    /// The first ones by name; others have no sparkline.
    static let maxQueues = 200

    struct Point: Equatable {
        let pending: Int64?
        let waitP95: Double?
    }

    private let points = Mutex<[QueueName: [Point]]>([:])

    /// Queues that are gone are forgotten.
    func note(_ rows: [QueueRow]) {
        points.withLock { points in
            var present: [QueueName: [Point]] = [:]
            for row in rows.prefix(Self.maxQueues) {
                let point = Point(pending: row.snapshot?.size[.pending], waitP95: row.wait?[1])
                present[row.name] = ((points[row.name] ?? []) + [point]).suffix(Self.maxPoints)
            }
            points = present
        }
    }

    var all: [QueueName: [Point]] { points.withLock { $0 } }
}

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
