import Glibc
import Model
import Platform
import Testing

@testable import Forwarder
@testable import Spool

@Suite("Copies of refused requests")
struct RefusedRequestsTests {
    /// A private directory, gone with the value.
    private final class Scratch {
        let path: String

        init(in directory: String = "/tmp") throws {
            var template = Array("\(directory)/refused-tests-XXXXXX".utf8CString)
            guard let made = template.withUnsafeMutableBufferPointer({ $0.baseAddress.flatMap { mkdtemp($0) } }) else {
                throw SystemError("mkdtemp")
            }
            path = String(cString: made)
        }

        deinit { Files.removeTree(path) }

        var names: [String] {
            get throws { try Files.list(path + "/refused").map(\.name).sorted() }
        }

        func options(requests: Int = 100, bytes: Int = 1 << 20) -> RefusedRequestsOptions {
            var options = RefusedRequestsOptions(spoolDirectory: path, spoolBytes: 1 << 30)
            options.maxRequests = requests
            options.maxBytes = bytes
            return options
        }
    }

    private static func time(_ second: Int) -> WallTime { WallTime(seconds: Int64(1_795_265_631 + second)) }

    @Test("A copy is the request's bytes, and a text that says when, how much and why")
    func copy() throws {
        let scratch = try Scratch()
        let batch = makeBatch([42], spansPerFrame: 3)
        try RefusedRequests(scratch.options()).keep(batch, reason: "400: a bad span", at: Self.time(0))
        let names = try scratch.names
        #expect(names.count == 2)
        #expect(names.allSatisfy { $0.hasPrefix("20261121T125351.000Z-42-") })
        let directory = scratch.path + "/refused/"
        #expect(try Files.read(directory + names[0]) == batch.bytes)
        #expect(
            String(decoding: try Files.read(directory + names[1]), as: UTF8.self) == """
                time: 2026-11-21T12:53:51.000Z
                received: 1970-01-01T00:00:00.000Z
                spans: 3
                bytes: \(batch.bytes.count)
                answer: 400: a bad span

                """)
    }

    @Test("Never more than so many: the oldest go first")
    func number() throws {
        let scratch = try Scratch()
        let requests = RefusedRequests(scratch.options(requests: 3))
        for second in 0..<10 {
            try requests.keep(makeBatch([second + 1]), reason: "400", at: Self.time(second))
            #expect(try scratch.names.count == 2 * min(second + 1, 3))
        }
        let times = Set(try scratch.names.map { $0.prefix { $0 != "Z" } })
        #expect(times == ["20261121T125358.000", "20261121T125359.000", "20261121T125400.000"])
    }

    @Test("Files with holes that are larger together than any sum make space like others")
    func holes() throws {
        let scratch = try Scratch(in: "/dev/shm")
        let requests = RefusedRequests(scratch.options(bytes: 100_000))
        try requests.keep(makeBatch([1]), reason: "400", at: Self.time(0))
        for number in 0..<3 {
            let path = scratch.path + "/refused/20260101T00000\(number).000Z-1-a.pb"
            try Files.replace(path, with: [1])
            #expect(truncate(path, 1 << 62) == 0)
        }
        try requests.keep(makeBatch([2]), reason: "400", at: Self.time(1))
        #expect(try scratch.names.allSatisfy { $0.hasPrefix("20261121") })
    }

    @Test("Never more than so many bytes; what is larger than that alone removes nothing")
    func bytes() throws {
        let scratch = try Scratch()
        let requests = RefusedRequests(scratch.options(bytes: 2000))
        for second in 0..<20 {
            try requests.keep(makeBatch([second + 1], spansPerFrame: 50 + second), reason: "400", at: Self.time(second))
            let sizes = try Files.list(scratch.path + "/refused").map(\.bytes)
            #expect(sizes.reduce(0, +) <= 2000)
            #expect(sizes.count >= 2)
        }
        let before = try scratch.names
        #expect { try requests.keep(makeBatch([99], spansPerFrame: 1000), reason: "400", at: Self.time(99)) } throws: {
            ($0 as? RefusedRequests.NotKept)?.outcome == .tooLarge
        }
        #expect(try scratch.names == before)
    }

    @Test(
        "Copies fill their space to the last byte, and with one byte less the oldest goes, or the only one is too large"
    )
    func lastByte() throws {
        /// Returns the bytes of all files after so many copies of requests of one size.
        func keep(_ count: Int, in bytes: Int) throws -> (bytes: Int, copies: Int) {
            let scratch = try Scratch()
            let requests = RefusedRequests(scratch.options(bytes: bytes))
            for second in 0..<count {
                try requests.keep(makeBatch([second + 1]), reason: "400", at: Self.time(second))
            }
            let sizes = try Files.list(scratch.path + "/refused").map(\.bytes)
            return (sizes.reduce(0, +), sizes.count / 2)
        }
        let one = try keep(1, in: 1 << 20).bytes
        for count in 1...3 { #expect(try keep(count, in: count * one) == (count * one, count)) }
        for count in 2...3 { #expect(try keep(count, in: count * one - 1) == ((count - 1) * one, count - 1)) }
        #expect {
            _ = try keep(1, in: one - 1)
        } throws: {
            ($0 as? RefusedRequests.NotKept)?.outcome == .tooLarge
        }
    }

    @Test("Two parts of one request that were refused in one moment are two copies; the same one again is none")
    func sameMoment() throws {
        let scratch = try Scratch()
        let requests = RefusedRequests(scratch.options())
        for spans in [1, 2, 2] {
            try requests.keep(makeBatch([1], spansPerFrame: spans), reason: "413", at: Self.time(0))
        }
        #expect(try scratch.names.count == 4)
    }

    @Test("What a killed process left unfinished is removed, and files of others are not")
    func leftovers() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/refused")
        for name in ["20261121T125351.000Z-1-abc.pb.tmp", "notes", "20261121T125351.000Z-1-abc.pb"] {
            try Files.replace(scratch.path + "/refused/" + name, with: [1])
        }
        let requests = RefusedRequests(scratch.options(requests: 1))
        try requests.keep(makeBatch([2]), reason: "400", at: Self.time(1))
        let names = try scratch.names
        #expect(names.count == 3 && names.contains("notes") && !names.contains { $0.contains("-1-abc") })
    }

    @Test("Where there is no directory to be had, the copy is all that is lost")
    func noDirectory() throws {
        let scratch = try Scratch()
        try Files.replace(scratch.path + "/refused", with: [1])
        #expect {
            try RefusedRequests(scratch.options()).keep(makeBatch([1]), reason: "400", at: Self.time(0))
        } throws: {
            ($0 as? RefusedRequests.NotKept)?.outcome == .failed
        }
    }

    @Test("The space is 64 MiB, or an eighth of the spool's")
    func space() {
        #expect(RefusedRequestsOptions(spoolDirectory: "/s", spoolBytes: 1 << 30).maxBytes == 64 << 20)
        #expect(RefusedRequestsOptions(spoolDirectory: "/s", spoolBytes: 8 << 20).maxBytes == 1 << 20)
        #expect(RefusedRequestsOptions(spoolDirectory: "/s", spoolBytes: 8 << 20).directory == "/s/refused")
    }
}
