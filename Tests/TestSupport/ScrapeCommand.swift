import Platform

/// A row of the table of a scrape's commands in docs/REDIS.md.
package struct ScrapeCommand: Hashable, Sendable {
    package let roundTrip: Int
    /// Its name and its key, as `LLEN pending`.
    package let command: String
    /// What it is sent for: `scrape`, `node`, `server`, `queue`, …
    package let each: String
    /// The condition on which it is sent, "unless …" or "if …"; empty for a command of each scrape.
    package let only: String

    package var name: Substring { command.prefix { $0 != " " } }
    /// Whether a first scrape sends it.
    package var isDefault: Bool { only.isEmpty || only.hasPrefix("unless ") }

    /// All of them.
    package static func documented() throws -> [ScrapeCommand] {
        try document().split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map(trimmed)
            guard cells.count == 7, let roundTrip = Int(cells[1]) else { return nil }
            return ScrapeCommand(
                roundTrip: roundTrip, command: String(cells[2].dropFirst().dropLast()), each: String(cells[3]),
                only: String(cells[4]))
        }
    }

    /// Those that each queue is asked in each scrape.
    package static func ofEachQueue() throws -> [ScrapeCommand] {
        try documented().filter { $0.each == "queue" && $0.only.isEmpty }
    }

    /// The names of the commands that the user may run whom the document describes, in small letters.
    package static func allowed() throws -> Set<String> {
        let line = try document().split(separator: "\n").first { $0.hasPrefix("ACL SETUSER ") } ?? ""
        return Set(line.split(separator: " ").filter { $0.hasPrefix("+") }.map { String($0.dropFirst()) })
    }

    /// The bounds that the document's tables of two columns state as numbers, by what they bound.
    package static func bounds() throws -> [String: Int] {
        let rows = try document().split(separator: "\n").compactMap { line -> (String, Int)? in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map(trimmed)
            guard cells.count == 4 else { return nil }
            let digits = cells[2].prefix { $0.isNumber || $0 == "," }.filter(\.isNumber)
            return Int(digits).map { (String(cells[1]), $0) }
        }
        return Dictionary(rows) { first, _ in first }
    }

    private static func trimmed(_ cell: Substring) -> Substring {
        var rest = cell.drop { $0 == " " }
        while rest.last == " " { rest.removeLast() }
        return rest
    }

    private static func document() throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        return String(decoding: try Files.read(root + "/docs/REDIS.md"), as: UTF8.self)
    }
}
