import Forwarder

/// `tempo.*`: where spans go, and in which portions.
struct TempoKeys: KeySection {
    static let title = "Trace backend"
    static let page = "docs/FORWARDING.md"

    let endpoint = Key(
        "tempo.endpoint", .traceEndpoint, default: "none", example: "http://tempo:4318",
        help: """
            The base URL of Tempo, or of another backend that takes OTLP/HTTP; /v1/traces is appended unless it ends so. With none, \
            spans feed the metrics and are not kept.
            """,
        page: "docs/FORWARDING.md#the-endpoint")
    let headers = Key(
        "tempo.headers", .headers, default: "", example: "X-Scope-OrgID=team-a",
        help: "Headers that are sent with each request, as NAME=VALUE,…: a tenant, or a token of the backend.",
        page: "docs/FORWARDING.md#the-endpoint")
    let compression = Key<ForwardCompression>(
        "tempo.compression", .choice(["gzip": .gzip, "zstd": .zstd, "none": .none]), default: "gzip", example: "zstd",
        help: "The compression of requests. Every backend takes gzip; zstd is smaller, where the backend takes it.")
    let timeout = Key(
        "tempo.timeout", .duration(), default: "10s", example: "30s",
        help: "The time that one request may take. Then it counts as failed, and is sent again.")
    let tls = TLSKeys(
        "tempo.tls", of: "the backend", serverName: .traceServerName, page: "docs/FORWARDING.md#tls")
    let batchMaxBytes = Key(
        "tempo.batch.max-bytes", .size(1024...largestRequest), default: "1MiB", example: "512KiB",
        help: "The largest request, before compression. Stay below the backend's own limit.")
    let batchMaxSpans = Key(
        "tempo.batch.max-spans", .integer(1...1_000_000), default: "1000", example: "500",
        help: "The largest number of spans in one request. Tempo digests 500 to 1000 best.")
    let batchMaxDelay = Key(
        "tempo.batch.max-delay", .duration(), default: "200ms", example: "1s",
        help: "How long a new span waits for others to fill its request.", page: "docs/FORWARDING.md#after-an-outage")
    let drainMaxSpansPerSecond = Key(
        "tempo.drain.max-spans-per-second", .integer(0...1_000_000_000), default: "0", example: "5000",
        help: """
            How many spans a second of what an outage left are sent, beside the new ones; 0 is no limit. Set one where the backlog \
            overloads a backend that has just come back.
            """,
        page: "docs/FORWARDING.md#after-an-outage")
    let retryInitial = Key(
        "tempo.retry.initial", .duration(), default: "1s", example: "500ms",
        help:
            "The first pause after a request that failed. It doubles with each failure, with jitter; Retry-After wins.",
        page: "docs/FORWARDING.md#what-an-answer-leads-to")
    let retryMax = Key(
        "tempo.retry.max", .duration(), default: "30s", example: "1m",
        help: "The longest pause between two tries. Requests are tried until the backend accepts or rejects them.",
        page: "docs/FORWARDING.md#what-an-answer-leads-to")

    static let rules = [
        TLSKeys.keyNeedsCertificate(\.tempo.tls),
        // libcurl itself would say what is wrong with the files with the first request only.
        SettingRule { settings in
            guard settings[\.tempo.endpoint]?.url.hasPrefix("https://") == true,
                let problem = ForwarderTLS(settings).problem
            else { return [] }
            return [ConfigurationProblem("tempo.tls: \(problem)")]
        },
    ]
}

extension ForwarderOptions? {
    init(_ settings: Settings) throws(ConfigurationProblems) {
        guard var endpoint = settings[\.tempo.endpoint] else {
            self = nil
            return
        }
        let serverName = settings[\.tempo.tls.serverName]
        do throws(TraceEndpoint.Invalid) {
            endpoint = try endpoint.expecting(serverName)
        } catch {
            throw ConfigurationProblems([settings.problem(\.tempo.endpoint, is: error.problem)])
        }
        let retryInitial = settings[\.tempo.retryInitial]
        var options = ForwarderOptions(
            endpoint: endpoint,
            userAgent: "asynq-collector/\(BuildInfo.version)",
            headers: settings[\.tempo.headers],
            compression: settings[\.tempo.compression],
            timeout: settings[\.tempo.timeout],
            maxBatchBytes: settings[\.tempo.batchMaxBytes],
            maxBatchSpans: settings[\.tempo.batchMaxSpans],
            maxDelay: settings[\.tempo.batchMaxDelay],
            maxDrainSpansPerSecond: settings[\.tempo.drainMaxSpansPerSecond],
            retryInitial: retryInitial,
            retryMax: max(settings[\.tempo.retryMax], retryInitial))
        options.show = { EffectiveConfiguration.redactedURL($0) }
        if endpoint.url.hasPrefix("https://") { options.tls = ForwarderTLS(settings) }
        let (url, headers) = (settings.secret(\.tempo.endpoint), settings.secret(\.tempo.headers))
        if url != nil || headers != nil {
            options.reread = { [endpoint] in
                let current = url?.current.map { url -> TraceEndpoint in
                    do throws(TraceEndpoint.Invalid) { return try url.expecting(serverName) } catch { return endpoint }
                }
                return (current ?? endpoint, headers?.current ?? settings[\.tempo.headers])
            }
        }
        options.refused = RefusedRequestsOptions(
            spoolDirectory: settings[\.spool.directory], spoolBytes: settings[\.spool.maxBytes])
        self = options
    }
}

extension TraceEndpoint {
    /// The same, with another name for TLS to ask for and verify.
    fileprivate func expecting(_ serverName: String?) throws(Invalid) -> TraceEndpoint {
        guard let serverName else { return self }
        return try TraceEndpoint(base: url, serverName: serverName)
    }
}

extension ForwarderTLS {
    init(_ settings: Settings) {
        self.init()
        caFile = settings[\.tempo.tls.caFile]
        certificateFile = settings[\.tempo.tls.certFile]
        keyFile = settings[\.tempo.tls.keyFile]
        skipsVerification = settings[\.tempo.tls.insecureSkipVerify]
    }
}

extension ValueForm where Value == TraceEndpoint? {
    /// `none`, or an empty text, is nil.
    fileprivate static var traceEndpoint: Self {
        let allowed = "http://host:port, https://host:port or none"
        return Self(.url(allowed: allowed)) { text throws(UnacceptableText) in
            if text == "none" || text.isEmpty { return nil }
            let scheme = ["http://", "https://"].first { text.hasPrefix($0) }
            if scheme == nil || text == scheme { throw UnacceptableText("allowed is \(allowed)") }
            do throws(TraceEndpoint.Invalid) {
                return try TraceEndpoint(base: text)
            } catch {
                throw UnacceptableText(error.problem)
            }
        }
    }
}

extension ValueForm where Value == String? {
    /// A name that TLS can ask for.
    fileprivate static var traceServerName: Self {
        optional(.text(allowed: "a host's name or address")) { text in
            do throws(TraceEndpoint.Invalid) {
                _ = try TraceEndpoint(base: "https://localhost", serverName: text)
                return true
            } catch {
                return false
            }
        }
    }
}

extension ValueForm where Value == [(name: String, value: String)] {
    fileprivate static var headers: Self { Self(.secretPairs, read: HeaderPairs.parse) }
}
