import Model
import Platform
import TestSupport
import Testing

@testable import Redis

@Suite("Limits of what a far side may answer")
struct ReplyParserTests {
    private static func parser(_ change: (inout ReplyLimits) -> Void = { _ in }) throws -> ReplyParser {
        var limits = ReplyLimits()
        change(&limits)
        return try ReplyParser(name: "fake", limits: limits)
    }

    private static func feed(_ parser: ReplyParser, _ text: String) throws(RedisError) {
        let bytes = Array(text.utf8)
        try bytes.withUnsafeBufferPointer { buffer throws(RedisError) in try parser.feed(UnsafeRawBufferPointer(buffer))
        }
    }

    @Test("A scrape of 1,000 queues with 10,000 groups each is within them, and 5,000 messages of 4 MiB in all")
    func largest() throws {
        let limits = ReplyLimits()
        let groups = 1000 * 10_000
        #expect(groups <= limits.elements && groups * "$13\r\ngroup-1234567\r\n".utf8.count <= limits.bytes)
        #expect(5000 * 64 + (4 << 20) <= limits.bytes)
        // A fiftieth of it, for real.
        let parser = try Self.parser()
        let members = "*10000\r\n" + String(repeating: "$13\r\ngroup-1234567\r\n", count: 10_000)
        for _ in 0..<20 {
            try Self.feed(parser, members)
            let reply = try parser.next()
            #expect(reply?.elements?.count == 10_000)
        }
    }

    @Test(
        "A limit in bytes bounds elements as well, which take more memory than they take on the wire",
        arguments: [2, 12, 256])
    func elementsOfBytes(mebibytes: Int) {
        let limits = ReplyLimits(bytes: mebibytes << 20)
        #expect(limits.bytes == mebibytes << 20)
        #expect(limits.elementsOfReply * 72 <= limits.bytes && limits.elements * 24 <= max(limits.bytes, 16 << 20) * 24)
        #expect(limits.elements >= 4 * limits.elementsOfReply || mebibytes == 256)
    }

    @Test("Bytes without end are refused, as one reply or as many, and counted anew in each round trip")
    func bytes() throws {
        let parser = try Self.parser { $0.bytes = 1 << 20 }
        try Self.feed(parser, "$2000000\r\n")
        let endless = failure { for _ in 0..<20 { try Self.feed(parser, String(repeating: "x", count: 100_000)) } }
        #expect(endless?.reason == .limit)
        let other = try Self.parser { $0.bytes = 1 << 20 }
        for _ in 0..<5 {
            other.beginRoundTrip()
            try Self.feed(other, String(repeating: ":1\r\n", count: 200_000))
            while try other.next() != nil {}
        }
        #expect(failure { try Self.feed(other, String(repeating: ":1\r\n", count: 200_000)) }?.reason == .limit)
    }

    @Test("Each reply has its own count of elements")
    func elementsOfEach() throws {
        let parser = try Self.parser { $0.elementsOfReply = 10 }
        for _ in 0..<3 {
            try Self.feed(parser, "*10\r\n" + String(repeating: ":1\r\n", count: 10))
            #expect(try parser.next()?.elements?.count == 10)
        }
    }

    @Test("Elements are counted over inner arrays and over all replies of a round trip")
    func elements() throws {
        func refusal(_ text: String) throws -> ScrapeErrorReason? {
            let parser = try Self.parser {
                $0.elementsOfReply = 10
                $0.elements = 25
            }
            return failure {
                try Self.feed(parser, text)
                while try parser.next() != nil {}
            }?.reason
        }
        let ten = "*10\r\n" + String(repeating: ":1\r\n", count: 10)
        let five = "*5\r\n" + String(repeating: ":1\r\n", count: 5)
        #expect(try refusal(ten + ten + five) == nil)
        #expect(try refusal(ten + ten + five + "*1\r\n") == .limit)
        #expect(try refusal("*11\r\n") == .limit)
        #expect(try refusal("*5\r\n:1\r\n*6\r\n") == .limit)
        #expect(try refusal("*5\r\n:1\r\n" + five) == nil)
    }

    @Test("Elements are counted anew in each round trip, and within one over all its replies")
    func elementsOfRoundTrips() throws {
        let parser = try Self.parser { $0.elements = 25 }
        let ten = "*10\r\n" + String(repeating: ":1\r\n", count: 10)
        for _ in 0..<5 {
            parser.beginRoundTrip()
            for _ in 0..<2 {
                try Self.feed(parser, ten)
                #expect(try parser.next()?.elements?.count == 10)
            }
        }
        let third = failure {
            try Self.feed(parser, ten)
            _ = try parser.next()
        }
        #expect(third?.reason == .limit)
    }

    @Test("What replies hold is counted over all connections until they are read, and has one limit")
    func memory() throws {
        let memory = ByteBudget(1000)
        let first = try ReplyParser(name: "first", memory: memory)
        first.beginRoundTrip()
        try Self.feed(first, "$600\r\n" + String(repeating: "x", count: 594))
        #expect(memory.heldBytes == 600)
        do {
            let second = try ReplyParser(name: "second", memory: memory)
            try Self.feed(second, String(repeating: ":1\r\n", count: 100))
            #expect(memory.heldBytes == 1000)
            #expect(failure { try Self.feed(second, ":1\r\n") }?.reason == .limit)
        }
        #expect(memory.heldBytes == 600, "what a connection that is gone held")
        first.endRoundTrip()
        #expect(memory.heldBytes == 0)
    }

    @Test(
        "What lies behind a reply is seen, were it one byte",
        arguments: [
            ("", false), (":", true), ("*", true), (":2\r\n", true), ("*2\r\n", true), ("\r", true),
        ])
    func more(text: String, hasMore: Bool) throws {
        for first in [
            ":1\r\n", "*0\r\n", "*1\r\n$1\r\nx\r\n", "$3000\r\n" + String(repeating: "x", count: 3000) + "\r\n",
        ] {
            let parser = try Self.parser()
            try Self.feed(parser, first + text)
            #expect(try parser.next() != nil)
            #expect(parser.hasMore == hasMore, "\(first.prefix(20))")
        }
    }
}
