/// Makes error texts that tell of the same fault alike: one word replaces what differs from one to the next.
///
/// ```
/// <id>        a uuid; 0x… ; hex digits, or letters and digits mixed, where a digit is among them; an id in quotes
/// <address>   an IP address, with its port
/// <email>     a mail address
/// <time>      a date, with the time of day and the zone
/// <duration>  numbers with units of time: 1m30s
/// <n>         any other number, also behind letters (worker-<n>, shard<n>) and before a unit (<n>MB)
/// ```
/// Names that hold digits (`x509`, `sha256`, `int64`) stay. Blanks and line breaks become one blank. Each byte is read
/// a limited number of times: the work grows with the length of the text.
package enum AlikeText {
    /// The number of bytes of a text that count; the rest is ignored.
    package static let maxInputBytes = 1024
    /// The longest result. Two texts that are the same up to here are the same.
    package static let maxBytes = 256

    package static func make(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var maker = AlikeTextMaker(UnsafeRawBufferPointer(rebasing: text.prefix(maxInputBytes)))
        return maker.make()
    }

    package static func make(_ text: String) -> String {
        String(decoding: Array(text.utf8).withUnsafeBytes { make($0) }, as: UTF8.self)
    }
}

/// The work on one text.
struct AlikeTextMaker {
    /// The longest id in quotes, and the longest local part of a mail address.
    private static let maxLookAhead = 128

    private let text: UnsafeRawBufferPointer
    private let hasAt: Bool
    private var position = 0
    private var output: [UInt8] = []

    init(_ text: UnsafeRawBufferPointer) {
        self.text = text
        hasAt = text.contains(UInt8(ascii: "@"))
        output.reserveCapacity(AlikeText.maxBytes + 64)
    }

    mutating func make() -> [UInt8] {
        while position < text.count, output.count < AlikeText.maxBytes { step() }
        if output.count > AlikeText.maxBytes { cut() }
        while output.last == UInt8(ascii: " ") { output.removeLast() }
        return output
    }

    private mutating func cut() {
        var end = AlikeText.maxBytes
        while end > AlikeText.maxBytes - 4, output[end] & 0xC0 == 0x80 { end -= 1 }
        output.removeLast(output.count - end)
    }

    private mutating func step() {
        let byte = text[position]
        if byte.isBlank {
            if let last = output.last, last != UInt8(ascii: " ") { output.append(UInt8(ascii: " ")) }
            position += 1
        } else if byte.isQuote, let end = endOfQuotedID() {
            output.append(byte)
            replace(upTo: end, "<id>")
            output.append(byte)
            position += 1
        } else if byte.isWord || byte == UInt8(ascii: ":"), let (end, word) = shape() {
            replace(upTo: end, word)
        } else if byte.isWord {
            takeWord()
        } else {
            output.append(byte)
            position += 1
        }
    }

    private mutating func replace(upTo end: Int, _ word: StaticString) {
        output += UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        position = end
    }

    // MARK: Shapes

    /// Returns the end of the shape that begins here and is more than a word, and the word that replaces it.
    private func shape() -> (end: Int, word: StaticString)? {
        if text[position].isHexDigit || text[position] == UInt8(ascii: ":") {
            if let end = endOfUUID() { return (end, "<id>") }
            if let end = endOfTime() { return (end, "<time>") }
            if let end = endOfAddress4() ?? endOfAddress6() { return (end, "<address>") }
            if let end = endOfDuration() { return (end, "<duration>") }
        }
        return endOfEmail().map { ($0, "<email>") }
    }

    private func byte(_ index: Int) -> UInt8 { index < text.count ? text[index] : 0 }

    /// Returns true if a word ends before this place.
    private func isEnd(_ index: Int) -> Bool { !byte(index).isWord }

    private func end(of isPart: (UInt8) -> Bool, from start: Int, atMost count: Int) -> Int {
        var end = start
        while end < text.count, end - start < count, isPart(text[end]) { end += 1 }
        return end
    }

    private func endOfUUID() -> Int? {
        var index = position
        for (number, digits) in [8, 4, 4, 4, 12].enumerated() {
            if number > 0 {
                guard byte(index) == UInt8(ascii: "-") else { return nil }
                index += 1
            }
            let end = end(of: \.isHexDigit, from: index, atMost: digits)
            guard end - index == digits else { return nil }
            index = end
        }
        return isEnd(index) ? index : nil
    }

    /// Returns the end of the digits and marks of a pattern, in which a 0 stands for a digit.
    private func end(ofPattern pattern: StaticString, from start: Int) -> Int? {
        let bytes = UnsafeBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount)
        for (offset, expected) in bytes.enumerated() {
            let found = byte(start + offset)
            guard expected == UInt8(ascii: "0") ? found.isDigit : found == expected else { return nil }
        }
        return start + bytes.count
    }

    /// Returns the end of a time: `2026-11-28`, `2026/11/28`, either with `T10:15`, `:30`, `.123`, `Z` or `+01:00`
    /// behind it.
    private func endOfTime() -> Int? {
        guard var end = end(ofPattern: "0000-00-00", from: position) ?? end(ofPattern: "0000/00/00", from: position)
        else { return nil }
        let separator = byte(end)
        if separator == UInt8(ascii: "T") || separator == UInt8(ascii: " "),
            let minutes = self.end(ofPattern: "00:00", from: end + 1)
        {
            end = self.end(ofPattern: ":00", from: minutes) ?? minutes
            if byte(end) == UInt8(ascii: "."), byte(end + 1).isDigit {
                end = self.end(of: \.isDigit, from: end + 1, atMost: 9)
            }
            if byte(end) == UInt8(ascii: "Z") {
                end += 1
            } else if byte(end) == UInt8(ascii: "+") || byte(end) == UInt8(ascii: "-") {
                end =
                    self.end(ofPattern: "00:00", from: end + 1) ?? self.end(ofPattern: "0000", from: end + 1) ?? end
            }
        }
        return isEnd(end) ? end : nil
    }

    private func endOfAddress4() -> Int? {
        var index = position
        for number in 0..<4 {
            if number > 0 {
                guard byte(index) == UInt8(ascii: ".") else { return nil }
                index += 1
            }
            let end = end(of: \.isDigit, from: index, atMost: 4)
            guard (1...3).contains(end - index) else { return nil }
            index = end
        }
        guard isEnd(index), !(byte(index) == UInt8(ascii: ".") && byte(index + 1).isDigit) else { return nil }
        guard byte(index) == UInt8(ascii: ":"), byte(index + 1).isDigit else { return index }
        let port = end(of: \.isDigit, from: index + 1, atMost: 5)
        return isEnd(port) ? port : index
    }

    /// Returns the end of an IPv6 address: seven colons, or two in a row, between hex digits.
    private func endOfAddress6() -> Int? {
        let end = end(
            of: { $0.isHexDigit || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }, from: position, atMost: 46)
        var (colons, isShort, hasDigit) = (0, false, false)
        for index in position..<end {
            hasDigit = hasDigit || text[index].isDigit
            guard text[index] == UInt8(ascii: ":") else { continue }
            colons += 1
            isShort = isShort || byte(index + 1) == UInt8(ascii: ":")
        }
        guard end - position <= 45, isEnd(end), hasDigit, isShort || colons == 7,
            text[end - 1] != UInt8(ascii: ".")
        else { return nil }
        return end
    }

    private func endOfDuration() -> Int? {
        var index = position
        while byte(index).isDigit, index - position < Self.maxLookAhead {
            var end = end(of: \.isDigit, from: index, atMost: 20)
            if byte(end) == UInt8(ascii: "."), byte(end + 1).isDigit {
                end = self.end(of: \.isDigit, from: end + 1, atMost: 20)
            }
            let unit = UnsafeRawBufferPointer(rebasing: text[end..<self.end(of: \.isLetter, from: end, atMost: 3)])
            guard AlikeWords.timeUnits.contains(where: { $0.equals(unit) }) else { return nil }
            index = end + unit.count
        }
        return index > position && isEnd(index) ? index : nil
    }

    private func endOfEmail() -> Int? {
        guard hasAt else { return nil }
        let at = end(
            of: { $0.isWord || ".%+-".utf8.contains($0) }, from: position, atMost: Self.maxLookAhead)
        guard byte(at) == UInt8(ascii: "@"), at > position else { return nil }
        var end = end(
            of: { $0.isWord || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }, from: at + 1,
            atMost: Self.maxLookAhead)
        while end > at + 1, !text[end - 1].isWord { end -= 1 }
        let domain = text[(at + 1)..<end]
        guard let dot = domain.lastIndex(of: UInt8(ascii: ".")), dot > domain.startIndex,
            domain[(dot + 1)...].allSatisfy(\.isLetter)
        else { return nil }
        return end
    }

    /// Returns the place of the quotation mark that ends an id in quotes. Such an id has a digit, and neither blanks
    /// nor slashes.
    private func endOfQuotedID() -> Int? {
        // In the middle of a word it is an apostrophe.
        if position > 0, text[position - 1].isWord { return nil }
        let start = position + 1
        let end = end(
            of: { $0.isWord || ".:@+=-".utf8.contains($0) }, from: start, atMost: Self.maxLookAhead)
        let id = UnsafeRawBufferPointer(rebasing: text[start..<end])
        guard byte(end) == text[position], id.contains(where: \.isDigit), !AlikeWords.isName(id) else { return nil }
        return end
    }

    // MARK: Words

    private mutating func takeWord() {
        let start = position
        let end = end(of: \.isWord, from: start, atMost: .max)
        defer { position = max(position, end) }
        if text[start].isDigit, takeNumber() { return }
        let word = UnsafeRawBufferPointer(rebasing: text[start..<end])
        guard word.contains(where: \.isDigit), !AlikeWords.isName(word) else {
            output += word
            return
        }
        if word.count > 2, word[0] == UInt8(ascii: "0"), word[1] | 0x20 == UInt8(ascii: "x"),
            word[2...].allSatisfy(\.isHexDigit)
        {
            output += "<id>".utf8
            return
        }
        var isFirst = true
        for part in word.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false) {
            if !isFirst { output.append(UInt8(ascii: "_")) }
            isFirst = false
            takePart(UnsafeRawBufferPointer(rebasing: part))
        }
    }

    /// Takes a number: `5`, `1,234.5`, `1e+06`, `12MB`, `3rd`. Returns false, with nothing done, where something else
    /// stands.
    private mutating func takeNumber() -> Bool {
        var end = end(of: \.isDigit, from: position, atMost: .max)
        while byte(end) == UInt8(ascii: ".") || byte(end) == UInt8(ascii: ","), byte(end + 1).isDigit {
            end = self.end(of: \.isDigit, from: end + 1, atMost: .max)
        }
        if byte(end) | 0x20 == UInt8(ascii: "e") {
            let isSigned = byte(end + 1) == UInt8(ascii: "+") || byte(end + 1) == UInt8(ascii: "-")
            let digits = isSigned ? end + 2 : end + 1
            let exponent = self.end(of: \.isDigit, from: digits, atMost: 4)
            if exponent > digits, isEnd(exponent) { end = exponent }
        }
        let unit = UnsafeRawBufferPointer(rebasing: text[end..<self.end(of: \.isWord, from: end, atMost: 8)])
        guard unit.isEmpty || AlikeWords.units.contains(where: { $0.equals(unit) }) else { return false }
        output += "<n>".utf8
        output += unit
        position = end + unit.count
        return true
    }

    /// Takes a part of a word, between underscores.
    private mutating func takePart(_ part: UnsafeRawBufferPointer) {
        guard let firstDigit = part.firstIndex(where: \.isDigit), !AlikeWords.isName(part) else {
            output += part
            return
        }
        let isHex = part.count >= 6 && part.allSatisfy(\.isHexDigit)
        if part.allSatisfy(\.isDigit) {
            output += "<n>".utf8
        } else if isHex || !part[firstDigit...].allSatisfy(\.isDigit) {
            output += "<id>".utf8
        } else {
            output += part[..<firstDigit]
            output += "<n>".utf8
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { self >= 0x30 && self <= 0x39 }
    fileprivate var isHexDigit: Bool { isDigit || (self | 0x20 >= 0x61 && self | 0x20 <= 0x66) }
    /// True if the byte is a letter. Bytes of characters beyond ASCII are.
    fileprivate var isLetter: Bool { (self | 0x20 >= 0x61 && self | 0x20 <= 0x7A) || self >= 0x80 }
    fileprivate var isWord: Bool { isDigit || isLetter || self == UInt8(ascii: "_") }
    fileprivate var isBlank: Bool { self == 0x20 || (self >= 0x09 && self <= 0x0D) }
    fileprivate var isQuote: Bool {
        self == UInt8(ascii: "\"") || self == UInt8(ascii: "'") || self == UInt8(ascii: "`")
    }
}

/// The words that mean something with a digit in them or behind one.
private enum AlikeWords {
    static let timeUnits: [StaticString] = ["s", "ms", "m", "h", "us", "µs", "ns", "d"]
    static let units: [StaticString] = [
        "B", "KB", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "Ki", "Mi", "Gi", "Ti", "bytes", "k", "K", "M",
        "G", "st", "nd", "rd", "th", "x", "px", "Hz",
    ]
    /// The names in lower case, by their length.
    private static let names: [Int: [StaticString]] = Dictionary(
        grouping: [
            "x86", "x64", "x509", "amd64", "arm64", "sha1", "sha2", "sha224", "sha256", "sha384", "sha512", "md4",
            "md5", "utf8", "utf16", "utf32", "utf-8", "utf-16", "latin1", "base32", "base64", "http1", "http2", "http3",
            "h2", "h2c", "h3", "tls1", "tlsv1", "ssl3", "sslv3", "ipv4", "ipv6", "tcp4", "tcp6", "udp4", "udp6", "s3",
            "ec2", "r2", "k8s", "i18n", "l10n", "e2e", "p2p", "b2b", "oauth1", "oauth2", "int8", "int16", "int32",
            "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64", "complex128", "iso8601",
            "rfc3339", "rfc1123", "v1", "v2", "v3", "v4", "mp3", "mp4", "h264", "h265", "pkcs1", "pkcs8", "pkcs12",
            "ed25519", "p256", "p384", "p521", "log4j", "neo4j", "2xx", "3xx", "4xx", "5xx", "bigint8", "db2", "lz4",
            "bzip2", "web3",
        ] as [StaticString], by: \.utf8CodeUnitCount)

    static func isName(_ word: UnsafeRawBufferPointer) -> Bool {
        names[word.count]?.contains { $0.equals(word, inLowerCase: true) } ?? false
    }
}

extension StaticString {
    fileprivate func equals(_ bytes: UnsafeRawBufferPointer, inLowerCase: Bool = false) -> Bool {
        guard bytes.count == utf8CodeUnitCount else { return false }
        let own = UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
        if !inLowerCase { return own.elementsEqual(bytes) }
        return zip(own, bytes).allSatisfy { $0 == $1 || ($1 >= 0x41 && $1 <= 0x5A && $0 == $1 | 0x20) }
    }
}
