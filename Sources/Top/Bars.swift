/// Draws bars, lines and charts of block characters: eight steps in one cell.
enum Bars {
    private static let leftBlocks = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    private static let lowerBlocks = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

    /// Returns a bar of `share` (0 to 1) in a number of cells. A share above 0 is always visible.
    static func horizontal(_ share: Double, cells: Int) -> String {
        guard share > 0, share.isFinite else { return "" }
        let eighths = max(1, Int((min(1, share) * Double(cells * 8)).rounded()))
        return String(repeating: "█", count: eighths / 8) + leftBlocks[eighths % 8]
    }

    /// Returns one line of a number of cells; nil leaves a gap.
    static func sparkline(_ values: [Double?], cells: Int) -> String {
        chart(values, cells: cells, rows: 1).first ?? ""
    }

    /// Returns columns of up to `rows` cells, the highest line first. The largest value fills the height.
    static func chart(_ values: [Double?], cells: Int, rows: Int) -> [String] {
        let columns = resampled(values, to: cells)
        let largest = columns.compactMap(\.self).max() ?? 0
        return (0..<rows).reversed().map { row in
            columns.map { value in
                guard let value, largest > 0 else { return value == nil || row > 0 ? " " : lowerBlocks[1] }
                let eighths = max(1, Int((max(0, value / largest) * Double(rows * 8)).rounded()))
                return lowerBlocks[min(8, max(0, eighths - row * 8))]
            }.joined()
        }
    }

    /// Returns a value for each cell, the newest at the right. Several values in one cell count as their largest: a
    /// peak stays visible.
    private static func resampled(_ values: [Double?], to cells: Int) -> [Double?] {
        guard cells > 0 else { return [] }
        if values.count <= cells { return [Double?](repeating: nil, count: cells - values.count) + values }
        return (0..<cells).map { cell in
            let slice = values[values.count * cell / cells..<values.count * (cell + 1) / cells]
            return slice.compactMap(\.self).max()
        }
    }

    /// Returns the cells that each part gets of a bar, largest remainders first. A part above 0 gets at least one.
    static func shares(_ parts: [Double], cells: Int) -> [Int] {
        let total = parts.reduce(0, +)
        guard total > 0 else { return parts.map { _ in 0 } }
        var shares = parts.map { $0 > 0 ? max(1, Int($0 / total * Double(cells))) : 0 }
        while shares.reduce(0, +) > cells, let largest = shares.indices.max(by: { shares[$0] < shares[$1] }),
            shares[largest] > 1
        {
            shares[largest] -= 1
        }
        while shares.reduce(0, +) < cells,
            let next = shares.indices.max(by: { remainder($0) < remainder($1) })
        {
            shares[next] += 1
        }
        func remainder(_ index: Int) -> Double { parts[index] / total * Double(cells) - Double(shares[index]) }
        return shares
    }
}
