import NIOCore

/// Reads what a connection has sent, as strictly as a client may. Traps where it is no HTTP.
enum AnswerReader {
    static func check(_ sent: ByteBuffer, isHTTP2: Bool) {
        var rest = sent.readableBytesView[...]
        if isHTTP2 {
            checkFrames(&rest)
        } else {
            while !rest.isEmpty { checkAnswer(&rest) }
        }
    }

    /// RFC 9112: a status line, fields, an empty line, and as many bytes as Content-Length says; none of them where the
    /// answer is to a HEAD request, which shows by the next answer, or nothing, coming at once.
    private static func checkAnswer(_ rest: inout ByteBufferView) {
        let statusLine = line(&rest)
        let words = statusLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        precondition(words.count == 3 && ["HTTP/1.1", "HTTP/1.0"].contains(words[0]), "no status line: \(statusLine)")
        guard words[1].utf8.count == 3, let status = Int(words[1]), (100...599).contains(status) else {
            preconditionFailure("no status: \(statusLine)")
        }
        var length: Int?
        while true {
            let field = line(&rest)
            if field.isEmpty { break }
            guard let colon = field.firstIndex(of: ":"), colon > field.startIndex else {
                preconditionFailure("no header field: \(field)")
            }
            precondition(
                field.utf8.allSatisfy { $0 >= 0x20 || $0 == 9 }, "a header field with control characters: \(field)")
            if field[..<colon].lowercased() == "content-length" {
                precondition(length == nil, "two lengths")
                length = Int(field[field.index(after: colon)...].drop { $0 == " " })
                precondition(length != nil, "a length that is none: \(field)")
            }
        }
        if status < 200 || status == 204 {
            precondition(length == nil, "a length where there is never a body")
            return
        }
        guard let length else { preconditionFailure("an answer without a length") }
        if rest.isEmpty || beginsWithStatusLine(rest) { return }
        precondition(rest.count >= length, "a body shorter than its length")
        rest = rest.dropFirst(length)
    }

    /// "HTTP/1.1 200 ": more than the version, which a text for people may begin with as well.
    private static func beginsWithStatusLine(_ rest: ByteBufferView) -> Bool {
        let start = Array(rest.prefix(13))
        return start.count == 13 && start.starts(with: Array("HTTP/1.".utf8)) && start[8] == 32 && start[12] == 32
            && start[9...11].allSatisfy { (48...57).contains($0) }
    }

    private static func line(_ rest: inout ByteBufferView) -> String {
        guard let end = rest.firstIndex(of: 13), end + 1 < rest.endIndex, rest[end + 1] == 10 else {
            preconditionFailure(
                "an answer ends in the middle of its head: \(String(decoding: rest.prefix(100), as: UTF8.self))")
        }
        defer { rest = rest[(end + 2)...] }
        return String(decoding: rest[..<end], as: UTF8.self)
    }

    /// RFC 9113, 4.1: whole frames, and SETTINGS first.
    private static func checkFrames(_ rest: inout ByteBufferView) {
        var isFirst = true
        while !rest.isEmpty {
            precondition(rest.count >= 9, "a frame ends in the middle of its head")
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            precondition(rest.count >= 9 + length, "a frame ends before its length")
            precondition(length <= 1 << 14, "a frame larger than we ever write")
            precondition(head[3] <= 9, "a frame of no type that we know")
            precondition(!isFirst || head[3] == 4, "the first frame is not SETTINGS")
            isFirst = false
            rest = rest.dropFirst(9 + length)
        }
    }
}
