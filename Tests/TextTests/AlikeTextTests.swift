import Testing

@testable import Text

@Suite("Error texts that are made alike")
struct AlikeTextTests {
    @Test(
        "What differs from one error to the next has one word in its place",
        arguments: [
            // Go, its libraries and services.
            ("order 4711 not found", "order <n> not found"),
            ("sql: no rows in result set", "sql: no rows in result set"),
            ("dial tcp 10.0.3.17:6379: connect: connection refused", "dial tcp <address>: connect: connection refused"),
            (
                "dial tcp [fe80::1ff:fe23:4567:890a%eth0]:6379: i/o timeout",
                "dial tcp [<address>%eth<n>]:<n>: i/o timeout"
            ),
            ("read tcp [::1]:53412->[::1]:6379: EOF", "read tcp [<address>]:<n>->[<address>]:<n>: EOF"),
            ("lookup redis-1.svc on 10.96.0.10:53: no such host", "lookup redis-<n>.svc on <address>: no such host"),
            ("context deadline exceeded after 1m30s", "context deadline exceeded after <duration>"),
            ("context deadline exceeded after 450ms", "context deadline exceeded after <duration>"),
            ("timeout after 1.5s (limit 250µs)", "timeout after <duration> (limit <duration>)"),
            (
                "x509: certificate has expired or is not yet valid: current time 2026-11-28T22:50:01Z is after 2025-01-02T03:04:05Z",
                "x509: certificate has expired or is not yet valid: current time <time> is after <time>"
            ),
            (
                "json: cannot unmarshal number 1e400 into Go struct field Order.v2_total of type int64",
                "json: cannot unmarshal number <n> into Go struct field Order.v2_total of type int64"
            ),
            (
                "panic [/srv/app/worker.go:211]: runtime error: index out of range [5] with length 3",
                "panic [/srv/app/worker.go:<n>]: runtime error: index out of range [<n>] with length <n>"
            ),
            (
                "invalid memory address or nil pointer dereference 0xc00012a4f0",
                "invalid memory address or nil pointer dereference <id>"
            ),
            ("strconv.Atoi: parsing \"12a\": invalid syntax", "strconv.Atoi: parsing \"<id>\": invalid syntax"),
            (
                "Get \"https://api.example.com/v1/orders/991?x=1\": EOF",
                "Get \"https://api.example.com/v1/orders/<n>?x=<n>\": EOF"
            ),
            (
                "rpc error: code = Unavailable desc = HTTP status 503",
                "rpc error: code = Unavailable desc = HTTP status <n>"
            ),
            // Mail and payments.
            ("550 5.1.1 <alice@example.com>: mailbox unavailable", "<n> <n> <<email>>: mailbox unavailable"),
            ("smtp: 451 greylisted, try again in 300 seconds", "smtp: <n> greylisted, try again in <n> seconds"),
            ("No such customer: 'cus_9s6XKzkNRiz8i3'", "No such customer: '<id>'"),
            ("No such charge: ch_3Mtw12LkdIwHu7ix", "No such charge: ch_<id>"),
            // Ids.
            ("task 7f9c24e5-2b6e-4c1a-9d0e-8a1b2c3d4e5f failed", "task <id> failed"),
            ("object 507f1f77bcf86cd799439011 is locked", "object <id> is locked"),
            ("commit 3fa9c1d is missing", "commit <id> is missing"),
            ("upload 01ARZ3NDEKTSV4RRFFQ69G5FAV expired", "upload <id> expired"),
            ("user `u-77` is banned", "user `<id>` is banned"),
            ("user \"alice\" not found", "user \"alice\" not found"),
            ("worker-3 of shard12 lost user_991", "worker-<n> of shard<n> lost user_<n>"),
            ("pod imports-7d9f8b6c5-x2x4z was evicted", "pod imports-<id>-<id> was evicted"),
            // Numbers.
            ("3 of 5 parts, 12MB of 1,234.5 MB (99.5%)", "<n> of <n> parts, <n>MB of <n> MB (<n>%)"),
            ("the 3rd try of 10", "the <n>rd try of <n>"), ("balance -12.50 < 0", "balance -<n> < <n>"),
            ("rate 1e+06 or 2.5E-3", "rate <n> or <n>"),
            ("2026/11/28 22:50:01 write failed", "<time> write failed"), ("on 2026-11-28", "on <time>"),
            ("at 2026-11-28 22:50:01.123456 +0000 UTC m=+0.5", "at <time> +<n> UTC m=+<n>"),
            // Names with digits stay.
            (
                "md5 or sha256 over http2, base64 as utf8, S3 and IPv6",
                "md5 or sha256 over http2, base64 as utf8, S3 and IPv6"
            ),
            ("can't, won't: it's O'Brien's", "can't, won't: it's O'Brien's"),
            ("std::string a::b at 12:30", "std::string a::b at <n>:<n>"),
            // Blanks and what is no ASCII.
            ("  two\n\tlines \n", "two lines"), ("größe 12 überschritten", "größe <n> überschritten"), ("", ""),
            (" \n", ""),
            ("\u{301}1", "\u{301}<n>"),
        ])
    func texts(text: String, alike: String) {
        let made = AlikeText.make(text)
        #expect(made.utf8.elementsEqual(alike.utf8), "\(made)")
    }

    @Test("What is made alike stays as it is")
    func again() {
        for text in ["order 4711 of 7f9c24e5-2b6e-4c1a-9d0e-8a1b2c3d4e5f", "worker-3: 12MB at 2026-11-28 in 5s"] {
            let once = AlikeText.make(text)
            #expect(AlikeText.make(once) == once)
        }
    }

    @Test("A long text is cut between two characters, and what follows does not count")
    func long() {
        let start = String(repeating: "é", count: 127) + "a"
        #expect(AlikeText.make(start + "éx").utf8.count == 255)
        #expect(AlikeText.make(start + "éx") == AlikeText.make(start + "éy"))
        #expect(AlikeText.make(String(repeating: "word ", count: 500)).utf8.count <= AlikeText.maxBytes)
        #expect(AlikeText.make(String(repeating: "5", count: 5000)) == "<n>")
    }

    @Test("Bytes that are no text stay, and none of them traps")
    func hostile() {
        let parts: [[UInt8]] = [
            [0xFF], [0x80, 0x80], Array("'".utf8), Array("\"1".utf8), Array("0x".utf8), Array("1e".utf8),
            Array("::".utf8),
            Array("1.".utf8), Array("@a.b".utf8), Array("2026-".utf8), Array("1m".utf8), Array("a_".utf8), [0],
        ]
        for first in parts {
            for second in parts {
                for third in parts {
                    let bytes = Array((first + second + third).prefix(40))
                    let made = bytes.withUnsafeBytes { AlikeText.make($0) }
                    #expect(made == bytes.withUnsafeBytes { AlikeText.make($0) })
                }
            }
        }
        #expect(([0xFF, 0x31, 0x20] as [UInt8]).withUnsafeBytes { AlikeText.make($0) } == [0xFF] + Array("<n>".utf8))
    }
}
