import AsynqRedis
import Forwarder
import HTTPService
import Logging
import Metrics
import OTLP
import OTLPClient
import Redis
import SpanReceiver
import Spool
import Testing
import WaitTime

@testable import Collector
@testable import Web

@Suite("From settings to options")
struct OptionsTests {
    @Test("Lists may have a hundred parts, and not one more; the look-ahead may be a single task")
    func longLists() throws {
        func buckets(_ count: Int) -> String { (1...count).map(String.init).joined(separator: ",") }
        func attributes(_ count: Int) -> String { (1...count).map { "a\($0):ms" }.joined(separator: ",") }
        #expect(try options(["--metrics-wait-buckets", buckets(100)])?.aggregator.bounds.values.count == 100)
        #expect(try problems(["--metrics-wait-buckets", buckets(101)]).count == 1)
        #expect(try options(["--wait-attributes", attributes(100)])?.waitAttributes.count == 100)
        #expect(try problems(["--wait-attributes", attributes(101)]).count == 1)
        #expect(try options(["--redis-look-ahead=1"])?.redis?.lookAhead?.count == 1)
    }

    @Test("The files and names of TLS arrive, each where it belongs")
    func tls() throws {
        var arguments: [String] = []
        for part in ["redis", "tempo"] {
            for name in ["ca-file", "cert-file", "key-file"] {
                arguments += ["--\(part)-tls-\(name)=/\(part)-\(name)"]
            }
            arguments += ["--\(part)-tls-server-name=\(part)", "--\(part)-tls-insecure-skip-verify=true"]
        }
        let all = try settings(arguments)
        #expect(all.problems == [])
        let redis = RedisTLSOptions(all)
        #expect(redis.caFile == "/redis-ca-file" && redis.certificateFile == "/redis-cert-file")
        #expect(redis.keyFile == "/redis-key-file" && redis.serverName == "redis")
        #expect(redis.skipsVerification)
        let tempo = ClientTLS(all, \.tempo.backend, for: .traces)
        #expect(tempo.caFile == "/tempo-ca-file" && tempo.certificateFile == "/tempo-cert-file")
        #expect(tempo.keyFile == "/tempo-key-file" && tempo.skipsVerification)
        let named = try options(["--tempo-endpoint=https://h", "--tempo-tls-server-name=other"])
        #expect(
            named?.forwarder?.backend.endpoint
                == (try OTLPEndpoint(base: "https://h", for: .traces, serverName: "other")))
    }

    @Test("Words that switch a part off do so")
    func off() throws {
        #expect(try options(["--redis-url=none"])?.redis == nil)
        #expect(try options(["--redis-look-ahead=0"])?.redis?.lookAhead == nil)
        #expect(try options(["--redis-look-interval=0"])?.redis?.lookAhead == nil)
        #expect(try options()?.redis?.lookAhead == LookAheadOptions(count: 100, interval: .seconds(1)))
        #expect(try options(["--redis-memory-sampling=off"])?.redis?.memoryInterval == nil)
        #expect(try options(["--tempo-endpoint="])?.forwarder == nil)
        #expect(try options(["--traces-wait-span=true"])?.aggregator.collectsWaits == false, "nothing is forwarded")
        #expect(try options(["--spool-sync=never"])?.spool.sync == .never)
        #expect(
            try options(["--otlp-socket=none"])?.otlpListen.flatMap(\.addresses).map(\.description) == [
                "127.0.0.1:4317", "127.0.0.1:4318",
            ])
    }

    private static let wrongWhereOff: [(arguments: [String], problem: String)] = [
        (["--tempo-tls-key-file=/k"], "tempo.tls.key-file = \"/k\" (--tempo-tls-key-file): needs tempo.tls.cert-file"),
        (["--redis-tls-key-file=/k"], "redis.tls.key-file = \"/k\" (--redis-tls-key-file): needs redis.tls.cert-file"),
        (
            ["--redis-url=none", "--redis-tls-key-file=/k"],
            "redis.tls.key-file = \"/k\" (--redis-tls-key-file): needs redis.tls.cert-file"
        ),
        (
            ["--tempo-tls-server-name=a b"],
            "tempo.tls.server-name = \"a b\" (--tempo-tls-server-name): allowed is a host's name or address"
        ),
        (
            ["--redis-look-ahead=0", "--redis-look-interval=1ms"],
            """
            redis.look-interval = "1ms" (--redis-look-interval): \
            allowed is 0, or a duration of 100ms or more, such as 250ms, 5s, 2m, 1h
            """
        ),
        (
            ["--redis-url=none", "--redis-memory-sampling=1ms"],
            """
            redis.memory-sampling = "1ms" (--redis-memory-sampling): \
            allowed is off, or a duration of 1s or more, such as 250ms, 5s, 2m, 1h
            """
        ),
    ]

    @Test("The values and rules of parts that are off are checked too", arguments: wrongWhereOff.indices)
    func partsThatAreOff(index: Int) throws {
        #expect(try problems(Self.wrongWhereOff[index].arguments) == [Self.wrongWhereOff[index].problem])
    }

    @Test("Files of TLS are read only for a part that is on: a machine that checks need not have the others")
    func files() throws {
        #expect(try problems(["--tempo-tls-ca-file=/not/there", "--redis-tls-ca-file=/not/there"]) == [])
        let found = try problems([
            "--tempo-endpoint=https://h", "--tempo-tls-ca-file=/not/there", "--redis-url=rediss://h",
            "--redis-tls-ca-file=/not/there",
        ])
        #expect(found.count == 2)
        #expect(found.first?.hasPrefix("redis.tls: reading redis.tls.ca-file /not/there") == true)
        #expect(found.last?.hasPrefix("tempo.tls: reading tempo.tls.ca-file /not/there") == true)
    }
}
