import CYAML

/// A YAML file as a flat list of dotted keys, each with the line that it stands in.
enum ConfigurationFile {
    struct Entry {
        /// The form in which the file has the value.
        enum Form {
            case scalar
            /// YAML's word for no value: nothing, `~` or `null` without quotes. What it may have left out is said in `problem`.
            case null(problem: String)
            /// A list of values, in brackets or an item a line.
            case sequence([String], isInBrackets: Bool)
            case pairs
        }

        let key: String
        let text: String
        let form: Form
        let line: Int
    }

    struct Unreadable: Error {
        let problem: String
    }

    /// Reads a file. Nested mappings become dotted keys, sequences of scalars become comma lists. All else that YAML
    /// can say (anchors, several documents, mappings in sequences) is refused by name.
    ///
    /// - Parameter pairKeys: The keys whose value is a list of pairs, and may be a mapping of them.
    /// - Throws: `Unreadable`, with the line.
    static func parse(_ bytes: [UInt8], pairKeys: Set<String> = []) throws(Unreadable) -> [Entry] {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else { throw Unreadable(problem: "no memory for a YAML parser") }
        defer { yaml_parser_delete(&parser) }
        // libyaml keeps pointers to the parser and to its input between the calls.
        return try withUnsafeMutablePointer(to: &parser) { parser throws(Unreadable) in
            try bytes.withUnsafeBufferPointer { buffer throws(Unreadable) in
                yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
                var reader = Reader(parser: parser, bytes: buffer, pairKeys: pairKeys)
                return try reader.read()
            }
        }
    }

    /// Returns what is wrong where YAML found no value: a comment may have begun where it was meant.
    private static func noValue(_ event: Event) -> String {
        let isWord = event.isNull && !event.text.isEmpty
        return "has no value; one that " + (isWord ? "is \(event.text)" : "begins with #") + " stands in quotes"
    }

    private struct Event {
        let type: yaml_event_type_t
        let text: String
        let line: Int
        var isQuoted = false
        /// True for the beginning of a list that is written as `[…]`.
        var isInBrackets = false

        /// True for YAML's word for no value.
        var isNull: Bool { !isQuoted && ["", "~", "null", "Null", "NULL"].contains(text) }

        /// True for pairs of which the last has no value.
        var isPairNull: Bool {
            guard !isQuoted, let pair = text.split(separator: ",").last else { return isNull }
            return pair.last == "=" && pair.firstIndex(of: "=") == pair.lastIndex(of: "=")
        }
    }

    private struct Reader {
        private static let maxDepth = 16
        private let parser: UnsafeMutablePointer<yaml_parser_t>
        private let bytes: UnsafeBufferPointer<UInt8>
        private let pairKeys: Set<String>
        private var entries: [Entry] = []

        init(
            parser: UnsafeMutablePointer<yaml_parser_t>, bytes: UnsafeBufferPointer<UInt8>, pairKeys: Set<String>
        ) {
            self.parser = parser
            self.bytes = bytes
            self.pairKeys = pairKeys
        }

        /// Reads the whole file.
        /// - Throws: `Unreadable`, with the line.
        mutating func read() throws(Unreadable) -> [Entry] {
            var documents = 0
            while true {
                let event = try next()
                switch event.type {
                case YAML_STREAM_END_EVENT: return entries
                case YAML_DOCUMENT_START_EVENT:
                    documents += 1
                    if documents > 1 { throw Unreadable(problem: "line \(event.line): a second document; one is read") }
                case YAML_MAPPING_START_EVENT: try readMapping(prefix: "", depth: 0)
                case YAML_SCALAR_EVENT where event.text.isEmpty: continue
                case YAML_SCALAR_EVENT, YAML_SEQUENCE_START_EVENT:
                    throw Unreadable(
                        problem:
                            "line \(event.line): the file holds keys and values, such as redis: {url: …}, with a blank behind each colon"
                    )
                default: continue
                }
            }
        }

        private mutating func readMapping(prefix: String, depth: Int) throws(Unreadable) {
            while true {
                let key = try next()
                if key.type == YAML_MAPPING_END_EVENT { return }
                guard key.type == YAML_SCALAR_EVENT else {
                    throw Unreadable(problem: "line \(key.line): the key is not plain text")
                }
                let name = prefix.isEmpty ? key.text : prefix + "." + key.text
                let isPairs = pairKeys.contains(name)
                let value = try next()
                switch value.type {
                case YAML_SCALAR_EVENT where value.isNull || isPairs && value.isPairNull:
                    // What has no text has no place of its own.
                    add(name, value.text, .null(problem: noValue(value)), line: key.line)
                case YAML_SCALAR_EVENT: add(name, value.text, .scalar, line: value.line)
                case YAML_SEQUENCE_START_EVENT:
                    let items = try readSequence(of: name, isOfPairs: isPairs)
                    add(
                        name, items.joined(separator: ","), .sequence(items, isInBrackets: value.isInBrackets),
                        line: value.line)
                case YAML_MAPPING_START_EVENT where isPairs:
                    add(name, try readPairs(of: name), .pairs, line: value.line)
                case YAML_MAPPING_START_EVENT where depth < Self.maxDepth:
                    try readMapping(prefix: name, depth: depth + 1)
                default:
                    // The key is not shown: a part of it may be a secret that stands where a name belongs.
                    throw Unreadable(problem: "line \(value.line): a value of a kind that is not read here")
                }
            }
        }

        private mutating func add(_ key: String, _ text: String, _ form: Entry.Form, line: Int) {
            entries.append(Entry(key: key, text: text, form: form, line: line))
        }

        private func readPairs(of key: String) throws(Unreadable) -> String {
            var pairs: [String] = []
            let names = PairNames(KeyTable.all.first { $0.name == key }?.kind)
            while true {
                let name = try next()
                if name.type == YAML_MAPPING_END_EVENT { return pairs.joined(separator: ",") }
                let value = try next()
                guard name.type == YAML_SCALAR_EVENT && value.type == YAML_SCALAR_EVENT else {
                    throw Unreadable(
                        problem:
                            "line \(name.line): \(key) holds names and plain values; one that begins with [ or { stands in quotes"
                    )
                }
                guard names.contains(name.text) else {
                    // It is not shown: it may be a secret that stands where its name belongs.
                    throw Unreadable(
                        problem:
                            "line \(name.line): \(key): a name with other characters than names have; write NAME: VALUE,"
                            + " with \(names.characters) in the name")
                }
                if value.isNull {
                    throw Unreadable(problem: "line \(name.line): \(key): a name \(noValue(value))")
                }
                pairs.append(HeaderPairs.text(name.text, value.text))
            }
        }

        private func readSequence(of key: String, isOfPairs isPairs: Bool) throws(Unreadable) -> [String] {
            var parts: [String] = []
            while true {
                let event = try next()
                if event.type == YAML_SEQUENCE_END_EVENT { return parts }
                guard event.type == YAML_SCALAR_EVENT else {
                    // Another name may hold a part of a secret.
                    let prefix = KeyTable.all.contains { $0.name == key } ? "\(key): " : ""
                    throw Unreadable(
                        problem:
                            "line \(event.line): \(prefix)an item of a list is \(isPairs ? "NAME=VALUE" : "plain text"); one that "
                            + "begins with [ or {, or holds a colon and a blank, stands in quotes")
                }
                if event.isNull || isPairs && event.isPairNull {
                    throw Unreadable(problem: "line \(event.line): an item \(noValue(event))")
                }
                parts.append(isPairs ? HeaderPairs.text(item: event.text) : event.text)
            }
        }

        /// Returns what YAML makes of a value's first character, and would take out of the value; nil for a plain event.
        private static func mark(of event: yaml_event_t) -> (what: String, sign: String)? {
            if event.type == YAML_ALIAS_EVENT { return ("aliases", "*") }
            let (anchor, tag) =
                switch event.type {
                case YAML_SCALAR_EVENT: (event.data.scalar.anchor, event.data.scalar.tag)
                case YAML_SEQUENCE_START_EVENT: (event.data.sequence_start.anchor, event.data.sequence_start.tag)
                case YAML_MAPPING_START_EVENT: (event.data.mapping_start.anchor, event.data.mapping_start.tag)
                default: (nil, nil)
                }
            if anchor != nil { return ("anchors", "&") }
            return tag == nil ? nil : ("tags", "!")
        }

        private func next() throws(Unreadable) -> Event {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else {
                throw Unreadable(problem: YAMLFault.text(parser.pointee, in: bytes))
            }
            defer { yaml_event_delete(&event) }
            let line = Int(event.start_mark.line) + 1
            if let mark = Self.mark(of: event) {
                throw Unreadable(
                    problem:
                        "line \(line): \(mark.what) are not read here; a value that begins with \(mark.sign) stands in quotes"
                )
            }
            guard event.type == YAML_SCALAR_EVENT else {
                let isInBrackets =
                    event.type == YAML_SEQUENCE_START_EVENT
                    && event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
                return Event(type: event.type, text: "", line: line, isInBrackets: isInBrackets)
            }
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return Event(
                type: event.type, text: String(decoding: bytes, as: UTF8.self), line: line,
                isQuoted: [YAML_SINGLE_QUOTED_SCALAR_STYLE, YAML_DOUBLE_QUOTED_SCALAR_STYLE].contains(scalar.style))
        }
    }
}
