import Testing

@testable import Collector

@Suite("What is wrong with a configuration")
struct ProblemTests {
    @Test("An unknown key is named with the nearest known one, as it is spelled there")
    func unknownKeys() throws {
        #expect(
            try problems(["--redis-ulr", "x"]) == ["unknown key --redis-ulr; did you mean --redis-url?"])
        let variable = try problems(environment: [("ASYNQ_COLLECTOR_REDIS_ULR", "x")])
        #expect(variable.count == 1 && variable[0].hasSuffix("did you mean ASYNQ_COLLECTOR_REDIS_URL?"))
        let file = try problems(yaml: "redis:\n  ulr: x\n")
        #expect(file.count == 1 && file[0].hasPrefix("unknown key redis.ulr (/tmp/"))
        #expect(file[0].hasSuffix("line 2); did you mean redis.url?"))
        #expect(try problems(["--tempo-batch-max-span=1"])[0].hasSuffix("did you mean --tempo-batch-max-spans?"))
    }

    @Test("Every problem is listed, not only the first")
    func allProblems() throws {
        let found = try problems(
            ["--redis-interval", "soon", "--nonsense", "1", "--otlp-max-body", "many"],
            environment: [("ASYNQ_COLLECTOR_LOG_LEVEL", "loud"), ("ASYNQ_COLLECTOR_REDIS_URL", "ftp://x")],
            yaml:
                "tempo: {endpoint: 'tempo:4318', compression: brotli}\nspool: {when-full: panic}\nmetrics: {listen: here}\n"
        )
        for part in [
            "redis.interval", "--nonsense", "otlp.max-body", "log.level", "redis.url", "tempo.endpoint",
            "tempo.compression", "spool.when-full", "metrics.listen",
        ] {
            #expect(found.contains { $0.contains(part) }, "\(part) in \(found)")
        }
    }

    private static let refused: [(flag: String, value: String)] = [
        ("redis-interval", "0"), ("redis-interval", "5"), ("redis-interval", "-1s"), ("redis-timeout", ""),
        ("redis-look-ahead", "-1"), ("redis-look-ahead", "1.5"), ("redis-queues-include", "("),
        ("redis-memory-sampling", "on"),
        ("otlp-socket", "relative"), ("otlp-socket", ""), ("otlp-socket-mode", "999"), ("otlp-socket-mode", "1777"),
        ("otlp-listen", "4318"), ("otlp-listen", "h:99999"), ("otlp-listen", "::1:4318"), ("otlp-max-body", "0"),
        ("tempo-endpoint", "ftp://h"), ("tempo-endpoint", "http://"), ("tempo-headers", "a"), ("tempo-headers", "=a"),
        ("tempo-compression", "brotli"), ("tempo-batch-max-spans", "0"), ("tempo-batch-max-bytes", "0"),
        ("spool-directory", "relative"), ("spool-max-bytes", "100KiB"), ("spool-max-age", "0"),
        ("spool-when-full", "drop"),
        ("spool-sync", "sometimes"), ("spool-sync", "0"), ("metrics-listen", "here"), ("metrics-wait-buckets", "1,1"),
        ("metrics-wait-buckets", "2,1"), ("metrics-wait-buckets", ""), ("metrics-wait-buckets", "a"),
        ("metrics-wait-buckets", "1,inf"), ("metrics-wait-buckets", "nan"), ("metrics-task-types", "-1"),
        ("metrics-quantile-window", "0"), ("wait-attributes", "name"), ("wait-attributes", "name:min"),
        ("wait-attributes", ":s"),
        ("tempo-endpoint", "http:///v1"), ("tempo-endpoint", "http://h:0"), ("metrics-push-endpoint", "https:///v1"),
        ("metrics-push-endpoint", "http://h:0"), ("external-url-grafana", "http://"),
        ("external-url-grafana", "https:///d"), ("external-url-grafana", "http://g:0"),
        ("external-url-grafana", "http://u@:3000"), ("redis-url", "redis://h:0"),
        ("traces-wait-span", "yes"), ("log-level", "loud"), ("log-level", "warni"), ("log-level", ""),
        ("log-format", "xml"), ("redis-url", ""),
        ("redis-url", "redis-cluster://h/1"),
    ]

    @Test("Values out of their form are refused, with the key's name", arguments: refused.indices)
    func refusedValues(index: Int) throws {
        let (flag, value) = Self.refused[index]
        let found = try problems(["--\(flag)=\(value)"])
        #expect(found.count >= 1, "--\(flag)=\(value)")
        let name = try #require(KeyTable.all.first { $0.flag == "--" + flag }).name
        #expect(found.allSatisfy { $0.hasPrefix(name + " = ") && $0.contains("--" + flag) }, "\(found)")
    }

    private static let accepted: [(flag: String, value: String)] = [
        ("redis-url", "none"), ("redis-url", "unix:///r.sock?db=1"), ("redis-look-interval", "0"),
        ("redis-memory-sampling", "off"),
        ("redis-memory-sampling", "60s"), ("otlp-socket", "none"), ("otlp-socket", "unix:///a/b"),
        ("otlp-socket-mode", "0777"),
        ("otlp-listen", "none"), ("otlp-listen", ":4318"), ("tempo-endpoint", "none"), ("tempo-endpoint", "https://h"),
        ("tempo-endpoint", "HTTPS://h"), ("metrics-push-endpoint", "HTTP://h:4318"),
        ("external-url-grafana", "HTTPS://g"), ("external-url-grafana", "http://u:p@[::1]:3000/d?a=b"),
        ("tempo-headers", "A=B=C, D=E="), ("tempo-compression", "zstd"), ("tempo-compression", "none"),
        ("spool-max-bytes", "1MiB"), ("spool-max-age", "none"), ("spool-max-age", "1d"),
        ("spool-sync", "always"), ("spool-sync", "never"), ("spool-sync", "1s"), ("metrics-listen", "unix:///m.sock"),
        ("metrics-listen", "127.0.0.1:0"), ("metrics-listen", "none"), ("metrics-wait-buckets", "0.1, 1 ,10"),
        ("wait-attributes", "a:s,b:c:ms"),
        ("traces-relink", "parent"), ("redis-timeout", "1h30m"), ("otlp-max-body", "64Mi"), ("log-level", "warn"),
        ("log-level", "WARN"), ("log-level", "INFO"), ("log-level", "Debug"),
    ]

    @Test("Values of their form are taken", arguments: accepted.indices)
    func acceptedValues(index: Int) throws {
        let (flag, value) = Self.accepted[index]
        #expect(try problems(["--\(flag)=\(value)"]) == [], "--\(flag)=\(value)")
    }

    @Test("Kubernetes' variables for services of that name are no keys of ours")
    func serviceLinks() throws {
        var environment: [Pair] = []
        for service in ["", "METRICS_", "OTLP_HTTP_"] {
            let prefix = "ASYNQ_COLLECTOR_" + service
            environment += [
                (prefix + "SERVICE_HOST", "10.0.0.1"), (prefix + "SERVICE_PORT", "9876"),
                (prefix + "SERVICE_PORT_METRICS", "9876"),
                (prefix + "PORT", "tcp://10.0.0.1:9876"), (prefix + "PORT_9876_TCP", "tcp://10.0.0.1:9876"),
                (prefix + "PORT_9876_TCP_PROTO", "tcp"), (prefix + "PORT_9876_TCP_PORT", "9876"),
                (prefix + "PORT_9876_TCP_ADDR", "10.0.0.1"), (prefix + "PORT_53_UDP", "udp://10.0.0.1:53"),
            ]
        }
        #expect(try problems(environment: environment) == [])
        #expect(
            try problems(environment: [("ASYNQ_COLLECTOR_METRICS_PORT", "9876")]).count == 1, "a slip, not Kubernetes")
        #expect(try problems(environment: [("ASYNQ_COLLECTORS", "x"), ("PATH", "/bin")]) == [])
    }

    @Test("The nearest name is the one with the fewest edits")
    func nearest() {
        #expect(nearestName(to: "scrap", among: ["run", "scrape", "demo"]) == "scrape")
        #expect(nearestName(to: "", among: ["abc", "a"]) == "a")
        #expect(nearestName(to: "x", among: []) == nil)
        #expect(nearestName(to: "same", among: ["some", "same"]) == "same")
    }
}
