import AsynqRedis
import Platform

/// The reason why a key does not allow a text; a list has a reason for each part that is wrong.
struct UnacceptableText: Error, Sendable {
    let reasons: [String]

    init(_ reasons: [String]) {
        self.reasons = reasons
    }

    init(_ reason: String) {
        reasons = [reason]
    }

    init(allowed kind: ValueKind) {
        reasons = ["allowed is \(kind.allowed)"]
    }
}

/// The way in which the text of a value is read. The forms that several keys have are below; a form that one key has
/// stands beside it.
struct ValueForm<Value: Sendable>: Sendable {
    let kind: ValueKind
    /// Reads a text. It throws the reason why the text is not such a value.
    let read: @Sendable (String) throws(UnacceptableText) -> Value

    /// Makes a form; `value` returns nil for a text that is not of the kind. It is for values that are never nil
    /// themselves, or a nil would be one of them.
    init(_ kind: ValueKind, value: @escaping @Sendable (String) -> Value?) {
        self.kind = kind
        read = { text throws(UnacceptableText) in
            guard let value = value(text) else { throw UnacceptableText(allowed: kind) }
            return value
        }
    }

    init(_ kind: ValueKind, read: @escaping @Sendable (String) throws(UnacceptableText) -> Value) {
        self.kind = kind
        self.read = read
    }

    /// Reads one of some words, which stand for values.
    static func choice(_ words: KeyValuePairs<String, Value>) -> Self {
        let values = Array(words)
        return Self(.choice(values.map(\.key))) { text in values.first { $0.key == text }?.value }
    }
}

extension ValueForm where Value == String? {
    /// Reads any text; an empty one is nil.
    static var text: Self { optional(.text(allowed: "text")) { _ in true } }

    /// Reads the path of a file; an empty text is nil.
    static var path: Self { optional(.path(allowed: "a path")) { _ in true } }

    static var secret: Self { optional(.secret) { _ in true } }

    /// Reads a token as it stands in a header, behind `Bearer` and a blank.
    static var bearerToken: Self {
        Self(.secret) { text throws(UnacceptableText) in
            if text.isEmpty { return nil }
            if text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
                throw UnacceptableText("a token holds no line breaks or other control characters")
            }
            let ends = [text.unicodeScalars.first, text.unicodeScalars.last].compactMap(\.self)
            if ends.contains(where: \.properties.isWhitespace) {
                throw UnacceptableText("a token does not begin or end with a blank")
            }
            if text.lowercased().hasPrefix("bearer ") {
                throw UnacceptableText("the token stands without the word \(text.prefix(6)) in front of it")
            }
            return text
        }
    }

    static var regularExpression: Self {
        Self(.regularExpression) { text throws(UnacceptableText) in
            if text.isEmpty { return nil }
            do throws(LinearPattern.Invalid) {
                try QueueFilter.check(patterns: text)
            } catch {
                throw UnacceptableText("\(error.reason); allowed is \(ValueKind.regularExpression.allowed)")
            }
            return text
        }
    }

    /// Reads a text that `isAllowed`; an empty one is nil.
    static func optional(_ kind: ValueKind, isAllowed: @escaping @Sendable (String) -> Bool) -> Self {
        Self(kind) { text throws(UnacceptableText) in
            if text.isEmpty { return nil }
            if !isAllowed(text) { throw UnacceptableText(allowed: kind) }
            return text
        }
    }
}

extension ValueForm where Value == [String] {
    /// Reads a comma list.
    static var list: Self { Self(.list(allowed: "text")) { ValueParsing.list($0) } }
}

extension ValueForm where Value == Duration {
    static func duration(atLeast least: Duration = .shortest) -> Self {
        let range = least...Duration.longest
        return Self(.duration(range, orWord: nil)) { text in ValueParsing.duration(text).within(range) }
    }
}

extension ValueForm where Value == Duration? {
    /// Reads a duration; the word stands for nil.
    static func duration(atLeast least: Duration = .shortest, or word: String) -> Self {
        let range = least...Duration.longest
        let kind = ValueKind.duration(range, orWord: word)
        return Self(kind) { text throws(UnacceptableText) in
            if text == word { return nil }
            guard let duration = ValueParsing.duration(text).within(range) else {
                throw UnacceptableText(allowed: kind)
            }
            return duration
        }
    }
}

extension ValueForm where Value == Int {
    /// Reads a number of bytes.
    static func size(_ range: ClosedRange<Int>) -> Self {
        Self(.size(range, orWord: nil)) { text in ValueParsing.size(text).within(range) }
    }

    static func integer(_ range: ClosedRange<Int>) -> Self {
        Self(.integer(range)) { text in Int(text).within(range) }
    }
}

extension ValueForm where Value == Int? {
    /// Reads a number of bytes; the word stands for nil.
    static func size(_ range: ClosedRange<Int>, or word: String) -> Self {
        let kind = ValueKind.size(range, orWord: word)
        return Self(kind) { text throws(UnacceptableText) in
            if text == word { return nil }
            guard let bytes = ValueParsing.size(text).within(range) else { throw UnacceptableText(allowed: kind) }
            return bytes
        }
    }
}

extension ValueForm where Value == Double {
    static func number(_ range: ClosedRange<Double>) -> Self {
        Self(.number(range)) { text in Double(text).within(range) }
    }
}

extension ValueForm where Value == Bool {
    static var flag: Self {
        Self(.flag) { text in
            switch text {
            case "true": true
            case "false": false
            default: nil
            }
        }
    }
}

extension Optional where Wrapped: Comparable {
    /// Returns the value, where it lies in the range.
    fileprivate func within(_ range: ClosedRange<Wrapped>) -> Wrapped? {
        flatMap { range.contains($0) ? $0 : nil }
    }
}
