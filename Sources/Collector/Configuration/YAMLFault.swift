import CYAML

/// Says what to change where YAML can't read a line. YAML's own words name no key, and often another line:
///
///     listen: *:4318          metrics.listen: a value that begins with * stands in quotes
///     password: ab: cd        redis.password: a value that holds a colon and a blank stands in quotes
///     password: [hush         redis.password: a [ is not closed; a value that begins with [ stands in quotes
///     password: 'it's'        redis.password: a ' within single quotes is written ''
///     listen: [*:4318]        otlp.listen: what begins with * stands in quotes
///     password:hush           a blank is missing behind the colon
///
/// No part of a value is shown but its first character, which means something to YAML.
struct YAMLFault {
    /// The characters that a plain value can't begin with.
    private static let signs = "*&!@%`[]{}|>,?-"
    /// The longest line that is looked at.
    private static let maxLineCharacters = 4096

    private let lines: [[Character]]
    private let parser: yaml_parser_t

    /// Returns what is wrong, with the line.
    ///
    /// - Parameters:
    ///   - parser: The parser that has failed.
    ///   - bytes: The whole file.
    static func text(_ parser: yaml_parser_t, in bytes: UnsafeBufferPointer<UInt8>) -> String {
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(omittingEmptySubsequences: false) { ["\n", "\r\n", "\r"].contains($0) }.map { Array($0) }
        let fault = YAMLFault(lines: lines, parser: parser)
        if parser.error == YAML_READER_ERROR {
            // It reads ahead, and has no line yet.
            let before = bytes.prefix(parser.problem_offset)
            return "line \(before.count { $0 == UInt8(ascii: "\n") } + 1): \(fault.words)"
        }
        let (line, problem) = fault.advice ?? (Int(parser.problem_mark.line), fault.plainWords)
        return "line \(line + 1): \(problem)"
    }

    private var words: String { parser.problem.map { String(cString: $0) } ?? "not YAML" }

    /// What is wrong where nothing is known of the value.
    private var plainWords: String {
        switch words {
        case "mapping values are not allowed in this context":
            "a colon and a blank where no key can stand: a line is indented further than the keys above it, or a value needs quotes"
        case "did not find expected key", "did not find expected <document start>":
            "no key where one is expected: a line begins in another column than the keys above it, or a value needs quotes"
        case "found character that cannot start any token": "a value that begins with @, %, ` or a tab stands in quotes"
        case let words: words
        }
    }

    /// What to write instead, with the number of the line from 0 on; nil where the line does not tell.
    private var advice: (line: Int, text: String)? {
        let problem = (line: Int(parser.problem_mark.line), column: Int(parser.problem_mark.column))
        let context = parser.context.map { String(cString: $0) } ?? ""
        if context.hasSuffix("flow sequence") || context.hasSuffix("flow mapping") || context.hasSuffix("quoted scalar")
        {
            let begin = (line: Int(parser.context_mark.line), column: Int(parser.context_mark.column))
            if let value = value(at: begin.column, ofLine: begin.line), let sign = value.sign {
                return (begin.line, value.prefix + unclosed(sign))
            }
        }
        if isTab(at: problem.column, ofLine: problem.line) { return (problem.line, "a tab; indent with blanks") }
        if let open = unclosedQuote(before: problem) { return (open.line, open.value.prefix + "a quote is not closed") }
        if let item = itemSign(at: problem), let value = value(at: item.column, ofLine: problem.line) {
            return (problem.line, value.prefix + "what begins with \(item.sign) stands in quotes")
        }
        if let value = value(at: problem.column, ofLine: problem.line), let text = advice(on: value, problem) {
            return (problem.line, value.prefix + text)
        }
        if let before = lines.indices.prefix(problem.line).last(where: { !lines[$0].allSatisfy(\.isWhitespace) }),
            lacksBlank(lines[before])
        {
            return (before, "a blank is missing behind the colon")
        }
        return nil
    }

    /// Returns the value in a line above whose quote is closed by the opening quote of this one; nil where the fault is another.
    private func unclosedQuote(before problem: (line: Int, column: Int)) -> (line: Int, value: Value)? {
        guard let value = value(at: problem.column, ofLine: problem.line), problem.column == value.start + 1,
            let quote = value.sign, "'\"".contains(quote)
        else { return nil }
        for number in lines[..<problem.line].indices.reversed() {
            let line = lines[number]
            guard let above = self.value(at: line.count, ofLine: number), above.sign == quote else { continue }
            return line[above.start...].count { $0 == quote } == 1 ? (number, above) : nil
        }
        return nil
    }

    /// Returns the sign with which an item begins, within the brackets or braces of a value, and its column.
    private func itemSign(at problem: (line: Int, column: Int)) -> (sign: Character, column: Int)? {
        let context = parser.context.map { String(cString: $0) } ?? ""
        let isName = context.hasPrefix("while scanning an a")
        let column = isName ? Int(parser.context_mark.column) : problem.column
        guard let value = value(at: column, ofLine: problem.line), let sign = value.sign, "[{".contains(sign) else {
            return nil
        }
        let line = lines[problem.line]
        guard value.start < column, column < line.count, Self.signs.contains(line[column]),
            let before = line[..<column].last(where: { !$0.isWhitespace }), "[{,:".contains(before)
        else { return nil }
        return (line[column], column)
    }

    private func advice(on value: Value, _ problem: (line: Int, column: Int)) -> String? {
        switch value.sign {
        case "'": return "a ' within single quotes is written ''"
        case "\"": return "a \" within double quotes is written \\\""
        case let sign? where Self.signs.contains(sign): return "a value that begins with \(sign) stands in quotes"
        default:
            let line = lines[problem.line]
            let isColon = problem.column < line.count && line[problem.column] == ":" && problem.column > value.start
            return isColon ? "a value that holds a colon and a blank stands in quotes" : nil
        }
    }

    private func unclosed(_ sign: Character) -> String {
        switch sign {
        case "'": "a quote is not closed"
        case "\"" where words.contains("escape"):
            "a \\ within double quotes begins an escape; single quotes take it as it is"
        case "\"": "a quote is not closed"
        default: "a \(sign) is not closed; a value that begins with \(sign) stands in quotes"
        }
    }

    private func isTab(at column: Int, ofLine number: Int) -> Bool {
        guard number < lines.count else { return false }
        let line = lines[number]
        return line.prefix(while: \.isWhitespace).contains("\t") || column < line.count && line[column] == "\t"
    }

    /// Returns true for `name:value`, which YAML takes for one text.
    private func lacksBlank(_ line: [Character]) -> Bool {
        let text = String(line).drop(while: \.isWhitespace)
        let name = UnknownName.prefix(of: String(text))
        let rest = text.dropFirst(name.count)
        return Self.parts.contains(name) && rest.hasPrefix(":") && !rest.hasPrefix("://")
            && rest.dropFirst().first?.isWhitespace == false
    }

    // MARK: The value and its key

    private struct Value {
        /// The column of its first character.
        let start: Int
        let sign: Character?
        /// The key with a colon and a blank; empty where it is not known.
        let prefix: String
    }

    /// Returns the value that holds a column: that of the last known key before it, of a name below a key of pairs, or of an item of a
    /// list.
    private func value(at column: Int, ofLine number: Int) -> Value? {
        guard number < lines.count else { return nil }
        let line = lines[number]
        let keys = keys(in: line).filter { $0.valueStart <= column }
        let indentation = line.prefix(while: \.isWhitespace).count
        var start: Int
        let name: String?
        if let last = keys.last {
            start = last.valueStart
            name = self.name(keys.map(\.name), ofLine: number, indentation)
        } else if indentation < line.count, line[indentation] == "-" {
            start = indentation + 1
            // The items of a list may begin below the first letter of its key.
            name = self.name([], ofLine: number, indentation + 1)
        } else if let key = self.name([], ofLine: number, indentation), Self.pairKeys.contains(key),
            let colon = line.firstIndex(of: ":"), colon < column
        {
            start = colon + 1
            name = key
        } else {
            return nil
        }
        while start < line.count, line[start].isWhitespace { start += 1 }
        return Value(
            start: start, sign: start < line.count ? line[start] : nil, prefix: name.map { "\($0): " } ?? "")
    }

    /// Returns the parts of keys' names that stand in a line, in quotes or not, with a colon and a blank behind them. Other names may be
    /// parts of a value.
    private func keys(in line: [Character]) -> [(name: String, valueStart: Int)] {
        guard line.count <= Self.maxLineCharacters else { return [] }
        var found: [(name: String, valueStart: Int)] = []
        var position = 0
        while position < line.count {
            let quote = "\"'".contains(line[position]) ? line[position] : nil
            let start = quote == nil ? position : position + 1
            let end = line[start...].firstIndex { !UnknownName.isPart($0) } ?? line.count
            let colon = quote != nil && end < line.count && line[end] == quote ? end + 1 : end
            let isKey =
                colon < line.count && line[colon] == ":" && (colon + 1 == line.count || line[colon + 1].isWhitespace)
            if start < end, isKey {
                let name = String(line[start..<end])
                if Self.parts.contains(name) { found.append((name, colon + 1)) }
            }
            position = max(colon, position + 1)
        }
        return found
    }

    private static let pairKeys = Set(KeyTable.all.filter(\.kind.isPairs).map(\.name))

    private static let parts = Set(
        KeyTable.all.flatMap { key in
            let names = key.kind.isSecret ? [key.name, key.name + "-file"] : [key.name]
            return names + names.flatMap { $0.split(separator: ".").map { String($0) } }
        })

    /// Returns the whole name of a key: with the sections that it is indented below, where that gives a known one.
    private func name(_ names: [String], ofLine number: Int, _ indentation: Int) -> String? {
        var path = names
        var indentation = indentation
        for above in lines[..<number].reversed() {
            if indentation == 0 { break }
            let own = above.prefix(while: \.isWhitespace).count
            guard own < indentation, own < above.count, let name = keys(in: above).first?.name else { continue }
            path.insert(name, at: 0)
            indentation = own
        }
        let whole = path.joined(separator: ".")
        return KeyTable.all.contains { $0.name == whole || $0.name + "-file" == whole } ? whole : names.last
    }
}
