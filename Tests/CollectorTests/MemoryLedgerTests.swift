import HTTPService
import Logging
import Metrics
import Platform
import SpanReceiver
import TestSupport
import Testing
import Web

@testable import Collector

@Suite("Shares of memory")
struct MemoryLedgerTests {
    private static let limits = [48, 64, 96, 192, 256, 384, 512, 4096]

    private static let demands = [
        MemoryDemands(), MemoryDemands(hasRedis: false), MemoryDemands(hasBackend: false, keepsRecentSpans: true),
        MemoryDemands(hasRedis: false, hasBackend: false, keepsRecentSpans: true),
        MemoryDemands(hasBackend: false, recentSpanBytes: 0), MemoryDemands(pushes: .cumulative),
        MemoryDemands(hasRedis: false, hasBackend: false, keepsRecentSpans: true, pushes: .delta),
    ]

    @Test("Together they are the limit, and none is less than with the least limit", arguments: limits)
    func sums(mebibytes: Int) throws {
        for demands in Self.demands {
            let ledger = try MemoryLedger(limit: mebibytes << 20, demands)
            let least = try MemoryLedger(limit: MemoryLedger.leastLimit, demands)
            let sum = ledger.parts.reduce(0) { $0 + ledger[$1] }
            // Divisions round down.
            #expect(sum <= mebibytes << 20 && sum > mebibytes << 20 - 20)
            #expect(ledger.parts == least.parts)
            // Newest spans never get more than 16 MiB by themselves.
            #expect(ledger.parts.allSatisfy { ledger[$0] >= least[$0] })
            #expect(ledger[.recentSpans] <= MemoryLedger.recentSpansMax)
        }
    }

    @Test("At 256 MiB, with Redis and a backend, each part has its weight in MiB")
    func common() throws {
        let ledger = try MemoryLedger(limit: 256 << 20, MemoryDemands())
        let expected: [MemoryLedger.Part: Int] = [
            .bodies: 44, .requests: 48, .streams: 12, .pages: 8, .labels: 28, .pairing: 44, .lookAhead: 16,
            .deliveries: 32, .redisReplies: 12, .history: 8, .errors: 4,
        ]
        #expect(
            ledger.parts.map(\.rawValue) == MemoryLedger.Part.allCases.filter { expected[$0] != nil }.map(\.rawValue))
        for (part, mebibytes) in expected { #expect(ledger[part] == mebibytes << 20, "\(part)") }
        #expect(ledger.largestBody == 16 << 20)
        #expect("\(ledger)".hasPrefix("bodies 44 MiB, requests 48 MiB, streams 12 MiB, "))
    }

    @Test("Parts that are not there leave theirs to the others")
    func absent() throws {
        let ledger = try MemoryLedger(limit: 256 << 20, MemoryDemands(hasRedis: false, hasBackend: false))
        for part in [MemoryLedger.Part.lookAhead, .redisReplies, .deliveries, .recentSpans] {
            #expect(ledger[part] == 0 && !ledger.parts.contains(part))
        }
        #expect(ledger[.bodies] > 44 << 20)
    }

    @Test("Pushes have a share where there are any, the larger one where differences are pushed")
    func pushes() throws {
        #expect(try MemoryLedger(limit: 264 << 20, MemoryDemands(pushes: .cumulative))[.pushes] == 8 << 20)
        #expect(try MemoryLedger(limit: 288 << 20, MemoryDemands(pushes: .delta))[.pushes] == 32 << 20)
        #expect(try MemoryLedger(limit: 264 << 20, MemoryDemands(pushes: .cumulative))[.bodies] == 44 << 20)
        func pushed(_ arguments: String...) throws -> MemoryLedger? {
            try options(["--metrics-push-endpoint=http://p", "--memory-limit=48MiB"] + arguments)?.memory
        }
        #expect(try #require(try pushed())[.pushes] > 1 << 20)
        #expect(try #require(try pushed("--metrics-push-temporality=delta"))[.pushes] > 4 << 20)
        #expect(try MemoryLedger(settings())[.pushes] == 0)
    }

    @Test("What a key demands comes first, and the others divide the rest")
    func demanded() throws {
        let ledger = try MemoryLedger(limit: 768 << 20, MemoryDemands(bodyBytes: 64 << 20, recentSpanBytes: 100 << 20))
        #expect(ledger[.recentSpans] == 100 << 20)
        #expect(ledger[.requests] == 192 << 20 && ledger[.deliveries] == 128 << 20)
        #expect(ledger[.bodies] == (64 << 20) * 3 / 2 + 1024 && ledger.largestBody >= 64 << 20)
        #expect(ledger.parts.reduce(0) { $0 + ledger[$1] } <= 768 << 20)
    }

    @Test("A demand that leaves another part less than its least share is refused")
    func refused() throws {
        for demands in [
            MemoryDemands(bodyBytes: 64 << 20), MemoryDemands(batchBytes: 200 << 20),
            MemoryDemands(recentSpanBytes: 1 << 30), MemoryDemands(bodyBytes: 33 << 20, recentSpanBytes: 30 << 20),
        ] {
            #expect(throws: MemoryShortage.self) { try MemoryLedger(limit: 256 << 20, demands) }
            _ = try MemoryLedger(limit: 2 << 30, demands)
        }
    }

    @Test("auto is three quarters of the cgroup's limit, within 48 and 512 MiB, and 256 MiB without one")
    func automatic() {
        let mebibytes = [nil: 256, 32: 48, 64: 48, 65: 48, 128: 96, 256: 192, 1024: 512, 1 << 20: 512] as [Int?: Int]
        for (cgroup, limit) in mebibytes {
            let found = MemoryKeys.automaticLimit(inCgroupOf: cgroup.map { $0 << 20 })
            #expect(found >> 20 == limit)
        }
    }

    @Test("Without a cgroup, auto is as much as the keys ask for; with one they are refused")
    func risesWithDemands() throws {
        let large = try settings(["--otlp-max-body=64MiB"])
        #expect(try MemoryLedger(settings(), inCgroupOf: nil).limit == 256 << 20)
        let ledger = try MemoryLedger(large, inCgroupOf: nil)
        #expect(ledger.limit == 512 << 20 && ledger.largestBody >= 64 << 20)
        #expect(throws: ConfigurationProblems.self) { try MemoryLedger(large, inCgroupOf: 128 << 20) }
        let bound = try settings(["--otlp-max-body=64MiB", "--memory-limit=256MiB"])
        #expect(throws: ConfigurationProblems.self) { try MemoryLedger(bound, inCgroupOf: nil) }
    }

    @Test("The key that asks for more than the limit is named, with the limit's key and the most that is possible")
    func problemsOfKeys() throws {
        func said(_ arguments: String...) throws -> [String] {
            try problems(["--memory-limit=64MiB", "--tempo-endpoint=http://t"] + arguments)
        }
        #expect(try said() == [])
        #expect(try said("--otlp-max-body=3MiB") == [])
        #expect(
            try said("--otlp-max-body=64MiB") == [
                "otlp.max-body = \"64MiB\" (--otlp-max-body): with a memory.limit of 64MiB the most is 6MiB; "
                    + "raise memory.limit"
            ])
        #expect(try said("--tempo-batch-max-bytes=64MiB").first?.hasPrefix("tempo.batch.max-bytes = ") == true)
        #expect(try said("--traces-recent-max-bytes=64MiB").first?.hasPrefix("traces.recent-max-bytes = ") == true)
        let both = try said("--otlp-max-body=5MiB", "--traces-recent-max-bytes=10MiB")
        #expect(both.count == 1 && both[0].hasPrefix("memory.limit = ") && both[0].contains("otlp.max-body"))
    }

    @Test("A small limit lowers the default of otlp.max-body, and traces.recent-max-bytes: auto")
    func lowered() throws {
        let small = try #require(try options(["--memory-limit=48MiB", "--tempo-endpoint=http://t"]))
        #expect(small.receiver.bodyLimit.bytes == 3 << 20)
        let alone = try #require(try options(["--memory-limit=48MiB"]))
        #expect(alone.memory[.recentSpans] < 16 << 20 && alone.memory[.recentSpans] > 2 << 20)
        #expect(try options(["--memory-limit=256MiB"])?.memory[.recentSpans] == 16 << 20)
        #expect(try options(["--memory-limit=256MiB"])?.receiver.bodyLimit.bytes == 16 << 20)
        for temporality in ["cumulative", "delta"] {
            let pushing = try #require(
                try options([
                    "--memory-limit=256MiB", "--tempo-endpoint=http://t", "--metrics-push-endpoint=http://p",
                    "--metrics-push-temporality=\(temporality)",
                ]))
            #expect(pushing.receiver.bodyLimit.bytes == 16 << 20, "\(temporality)")
        }
    }

    @Test("Each part tells what it holds itself: nothing at the start, but for requests that are held")
    func uses() throws {
        let ledger = try MemoryLedger(limit: 256 << 20, MemoryDemands(keepsRecentSpans: true))
        let requests = ByteBudget(100)
        #expect(requests.hold(7))
        let clock = TestClock().clock
        let use = MemoryUse(
            ledger, http: HTTPMemory(), limits: [HTTPLimits(), HTTPLimits()], requests: requests,
            aggregator: LockedAggregator(try #require(try options()).aggregator, clock: clock), redis: nil, tempo: nil,
            pushes: nil,
            recentTraces: nil, watch: StatusWatch(interval: .seconds(5), clock: clock, logger: Logger(label: "test")),
            errors: RecentErrors(clock: clock))
        let parts = Dictionary(uniqueKeysWithValues: use.parts.map { ($0.part, $0) })
        #expect(parts.count == ledger.parts.count)
        for name in [
            "bodies", "streams", "pages", "look_ahead", "recent_spans", "redis_replies", "deliveries", "failures",
        ] {
            #expect(parts[name]?.bytes == 0, "\(name)")
        }
        #expect(parts["requests"]?.bytes == 7 && parts["requests"]?.limitBytes == ledger[.requests])
    }
}
