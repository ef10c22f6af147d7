import Glibc
import HTTPService
import Platform
import Testing

@testable import Collector

@Suite("Listeners that are in each other's way")
struct ListenerRuleTests {
    private static func problems(socket: String, otlp: String, web: String) throws -> [String] {
        try CollectorTests.problems(["--otlp-socket", socket, "--otlp-listen", otlp, "--metrics-listen", web])
    }

    @Test(
        "An address that another entry has is refused, with both keys",
        arguments: [
            ("none", "127.0.0.1:80", "127.0.0.1:80", "metrics.listen", "127.0.0.1:80", "127.0.0.1:80 in otlp.listen"),
            ("none", "127.0.0.1:1,:80", "127.0.0.1:80", "metrics.listen", "127.0.0.1:80", ":80 in otlp.listen"),
            ("none", "0.0.0.0:80", "*:80", "metrics.listen", ":80", "0.0.0.0:80 in otlp.listen"),
            ("none", "[::1]:80", "[::]:80", "metrics.listen", "[::]:80", "[::1]:80 in otlp.listen"),
            ("none", "localhost:80", "127.0.0.1:80", "metrics.listen", "127.0.0.1:80", "localhost:80 in otlp.listen"),
            (
                "none", "no.name.invalid:80", "no.name.invalid:80", "metrics.listen", "no.name.invalid:80",
                "no.name.invalid:80 in otlp.listen"
            ),
            ("none", ":4318,:4318", "none", "otlp.listen", ":4318", ":4318 in the same list"),
            ("none", "127.0.0.1:1,localhost:1", "none", "otlp.listen", "localhost:1", "127.0.0.1:1 in the same list"),
            ("none", "none", "unix:///a/b,unix:/a/b", "metrics.listen", "unix:///a/b", "unix:///a/b in the same list"),
            ("/a/b", "none", "unix:///a//./b", "metrics.listen", "unix:///a//./b", "unix:///a/b in otlp.socket"),
            ("/a/b", "unix:///a/b", "none", "otlp.listen", "unix:///a/b", "unix:///a/b in otlp.socket"),
            ("@a", "none", "unix:@a", "metrics.listen", "unix:@a", "unix:@a in otlp.socket"),
        ] as [(String, String, String, String, String, String)])
    func refused(socket: String, otlp: String, web: String, key: String, taken: String, owner: String) throws {
        let found = try Self.problems(socket: socket, otlp: otlp, web: web)
        #expect(found.count == 1, "\(found)")
        #expect(
            found[0].hasPrefix("\(key) = ")
                && found[0].hasSuffix(": \(taken): the address is already in use, by \(owner)"), "\(found)")
    }

    @Test(
        "Others are not",
        arguments: [
            ("none", "0.0.0.0:80,[::]:80", "none"), ("none", "[::1]:80", "127.0.0.1:80"), ("none", ":0,:0", ":0"),
            ("none", "127.0.0.1:80", "127.0.0.2:80"), ("none", "localhost:80", ":81"), ("/a/b", "none", "unix:///a/c"),
            ("@a", "none", "unix:///a"), ("none", "a.invalid:80", "b.invalid:80"), ("none", "[::1]:80", "0.0.0.0:80"),
        ] as [(String, String, String)])
    func allowed(socket: String, otlp: String, web: String) throws {
        #expect(try Self.problems(socket: socket, otlp: otlp, web: web) == [])
    }

    @Test("The value that was given is the one to change, not the default of another key")
    func defaults() throws {
        #expect(
            try CollectorTests.problems(["--metrics-listen", "127.0.0.1:4318"]) == [
                "metrics.listen = \"127.0.0.1:4318\" (--metrics-listen): 127.0.0.1:4318: the address is already in use, by 127.0.0.1:4318 "
                    + "in otlp.listen"
            ])
        #expect(
            try CollectorTests.problems(["--otlp-listen", ":9876"]) == [
                "otlp.listen = \":9876\" (--otlp-listen): :9876: the address is already in use, by 127.0.0.1:9876 in metrics.listen"
            ])
    }

    @Test("A path by way of a link is the same path, also where the file does not exist yet")
    func links() throws {
        let file = try TemporaryFile("")
        let (folder, link) = (file.path + ".d", file.path + ".l")
        try Files.makeDirectories(folder)
        symlink(folder, link)
        defer {
            unlink(link)
            rmdir(folder)
        }
        #expect(try Self.problems(socket: folder + "/s", otlp: "none", web: "unix://\(link)/s").count == 1)
        #expect(try Self.problems(socket: folder + "/x/s", otlp: "none", web: "unix://\(link)/x/s").count == 1)
        #expect(try Self.problems(socket: folder + "/s", otlp: "none", web: "unix://\(link)/t") == [])
    }

    @Test(
        "An endpoint at which the collector itself listens is refused, with the key of the listener",
        arguments: [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "none", "127.0.0.1:4318 in otlp.listen"),
            (
                "http://127.0.0.1:4317/v1/traces", "127.0.0.1:4317,127.0.0.1:4318", "none",
                "127.0.0.1:4317 in otlp.listen"
            ),
            ("http://localhost:4318", "127.0.0.1:4318", "none", "127.0.0.1:4318 in otlp.listen"),
            ("http://LOCALHOST.:4318/x", ":4318", "none", ":4318 in otlp.listen"),
            ("http://127.0.0.9:4318", "0.0.0.0:4318", "none", "0.0.0.0:4318 in otlp.listen"),
            ("http://0.0.0.0:4318", "127.0.0.1:4318", "none", "127.0.0.1:4318 in otlp.listen"),
            ("http://[::1]:4318", "[::]:4318", "none", "[::]:4318 in otlp.listen"),
            ("http://127.0.0.1:4318", "[::]:4318", "none", "[::]:4318 in otlp.listen"),
            ("http://[::]:4318", "[::1]:4318", "none", "[::1]:4318 in otlp.listen"),
            ("http://[::ffff:127.0.0.1]:4318", "localhost:4318", "none", "localhost:4318 in otlp.listen"),
            ("https://127.0.0.1", "127.0.0.1:443", "none", "127.0.0.1:443 in otlp.listen"),
            ("http://127.0.0.1", "none", "localhost:80", "localhost:80 in metrics.listen"),
            ("http://127.0.0.1:9876", "none", "127.0.0.1:9876", "127.0.0.1:9876 in metrics.listen"),
        ] as [(String, String, String, String)])
    func ownEndpoint(endpoint: String, otlp: String, web: String, listener: String) throws {
        for key in ["tempo.endpoint", "metrics.push.endpoint"] {
            let flag = "--" + key.replacing(".", with: "-")
            let found = try CollectorTests.problems([flag, endpoint, "--otlp-listen", otlp, "--metrics-listen", web])
            let owner = listener.split(separator: " ").last ?? ""
            #expect(
                found == [
                    "\(key) = \"\(endpoint)\" (\(flag)): the collector itself listens there, at \(listener), and would send to itself; "
                        + "give the backend's address, or another one to \(owner)"
                ])
        }
    }

    @Test("The defaults count as well")
    func ownEndpointByDefault() throws {
        for endpoint in ["http://127.0.0.1:4318", "http://localhost:4317", "http://127.0.0.1:9876"] {
            #expect(try CollectorTests.problems(["--tempo-endpoint", endpoint]).count == 1)
        }
    }

    @Test(
        "An endpoint elsewhere is not refused",
        arguments: [
            ("http://127.0.0.1:4319", ":4318"), ("http://127.0.0.2:4318", "127.0.0.1:4318"),
            ("http://[::1]:4318", "127.0.0.1:4318"), ("http://[::1]:4318", "0.0.0.0:4318"),
            ("http://127.0.0.1:4318", "[::]:4318,10.1.2.3:4318"), ("http://192.0.2.1:4318", ":4318"),
            ("http://tempo:4318", ":4318"), ("http://127.0.0.1:4318", "unix:///run/x"), ("none", ":4318"),
            ("https://127.0.0.1:4318", "127.0.0.1:443"),
        ])
    func endpointElsewhere(endpoint: String, otlp: String) throws {
        #expect(try CollectorTests.problems(["--tempo-endpoint", endpoint, "--otlp-listen", otlp]) == [])
    }
}
