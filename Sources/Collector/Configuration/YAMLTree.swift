import Text

/// Writes keys as a YAML file nests them.
enum YAMLTree {
    /// Returns the lines that `lines` makes for each key and the last part of its name, below those of its parents.
    static func text(_ lines: (any DeclaredKey, Substring) -> [String]) -> String {
        var tree: [String] = []
        var open: [Substring] = []
        for key in KeyTable.all {
            let path = key.name.split(separator: ".")
            let parents = Array(path.dropLast())
            var shared = 0
            while shared < min(parents.count, open.count) && parents[shared] == open[shared] { shared += 1 }
            for depth in shared..<parents.count {
                tree.append(indentation(depth) + parents[depth] + ":")
            }
            open = parents
            tree += lines(key, path[path.count - 1]).map { indentation(parents.count) + $0 }
        }
        return tree.joined(separator: "\n") + "\n"
    }

    private static func indentation(_ depth: Int) -> String {
        String(repeating: "  ", count: depth)
    }

    /// Returns the text of a value as the file has it.
    static func value(_ text: String, _ kind: ValueKind) -> String {
        switch kind {
        case .flag, .integer, .number: text
        default: scalar(text)
        }
    }

    /// Returns the text quoted, unless it is a plain word or number that no YAML reader takes for something else.
    static func scalar(_ text: String) -> String {
        let words = ["none", "gzip", "refuse", "always", "never", "auto", "json", "text"] + LogKeys.levels.map(\.key)
        if words.contains(text) { return text }
        if ValueParsing.duration(text) != nil && text != "0"
            || (ValueParsing.size(text) != nil && text.last?.isLetter == true)
        {
            return text
        }
        let escaped = text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            case "\t": "\\t"
            // YAML allows no control characters, and folds the line ends that Unicode adds.
            case _ where !isPlain(scalar): "\\U" + Hex.text(UInt64(scalar.value), digits: 8)
            default: String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E, 0xA0...0x2027, 0x202A...0xFEFE, 0xFF00...0xFFFD, 0x1_0000...: true
        default: false
        }
    }
}
