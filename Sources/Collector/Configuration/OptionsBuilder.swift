import AsynqRedis
import Forwarder
import HTTPService
import OTLP
import SpanReceiver
import Spool
import WaitTime

// The one place where settings become the options of the parts: durations become nanoseconds, and names of keys become
// names of fields. No value is checked here; the keys and their rules have done it.

extension CollectorOptions {
    /// - Throws: every problem, of single keys and of rules between them.
    init(_ settings: Settings) throws(ConfigurationProblems) {
        try settings.check()
        let forwarder = try ForwarderOptions?(settings)
        self.init(
            redis: RedisMonitorOptions?(settings),
            otlpListen: [settings[\.otlp.socket]].compactMap(\.self) + settings[\.otlp.listen],
            otlpSocket: UnixSocketOptions(mode: settings[\.otlp.socketMode], group: settings[\.otlp.socketGroup]),
            receiver: ReceiverOptions(settings),
            waitAttributes: settings[\.metrics.waitAttributes],
            forwarder: forwarder,
            spoolDirectory: settings[\.spool.directory],
            spool: SpoolOptions(settings),
            metricsListen: settings[\.metrics.listen],
            aggregator: TaskAggregatorOptions(settings, isForwarding: forwarder != nil),
            hasAsynqmonNames: settings[\.metrics.asynqmonNames],
            targetUtilization: settings[\.metrics.targetUtilization],
            relink: settings[\.traces.relink],
            lookupTimeoutNanoseconds: settings[\.traces.lookupTimeout].nanoseconds,
            addsDeadLetterSpans: settings[\.traces.deadLetterSpan],
            traceLinks: TraceLinks(
                grafana: settings[\.externalURL.grafana] ?? "",
                dataSource: settings[\.externalURL.tempoDataSource] ?? ""),
            logLevel: settings[\.log.level],
            logFormat: settings[\.log.format])
    }
}

extension ReloadableOptions {
    init(_ settings: Settings) {
        self.init(
            logLevel: settings[\.log.level],
            queueFilter: QueueFilter(settings),
            maxBodyBytes: settings[\.otlp.maxBody],
            maxTaskTypes: settings[\.metrics.taskTypes],
            maxQueues: settings[\.metrics.queuesMax],
            spool: SpoolOptions(settings))
    }
}

extension QueueFilter {
    fileprivate init(_ settings: Settings) {
        self.init(include: settings[\.redis.queuesInclude], exclude: settings[\.redis.queuesExclude])
    }
}

extension RedisMonitorOptions? {
    fileprivate init(_ settings: Settings) {
        guard var target = settings[\.redis.url] else {
            self = nil
            return
        }
        if let username = settings[\.redis.username] { target.endpoint.username = username }
        if let password = settings[\.redis.password] { target.endpoint.password = password }
        if let password = settings[\.redis.sentinelPassword] { target.sentinels?.password = password }
        if target.endpoint.tls != nil { target.endpoint.tls = RedisTLSOptions(settings) }
        var options = RedisMonitorOptions(
            target: target, intervalNanoseconds: settings[\.redis.interval].nanoseconds,
            timeoutNanoseconds: settings[\.redis.timeout].nanoseconds, filter: QueueFilter(settings))
        if settings[\.redis.lookAhead] > 0, let interval = settings[\.redis.lookInterval] {
            options.lookAhead = LookAheadOptions(
                count: settings[\.redis.lookAhead], intervalNanoseconds: interval.nanoseconds)
        }
        options.contextKeys = TaskContextKeys(settings)
        options.memoryIntervalNanoseconds = settings[\.redis.memorySampling]?.nanoseconds
        self = options
    }
}

extension RedisTLSOptions {
    init(_ settings: Settings) {
        self.init()
        caFile = settings[\.redis.tls.caFile]
        certificateFile = settings[\.redis.tls.certFile]
        keyFile = settings[\.redis.tls.keyFile]
        serverName = settings[\.redis.tls.serverName]
        skipsVerification = settings[\.redis.tls.insecureSkipVerify]
    }
}

extension TaskContextKeys {
    fileprivate init(_ settings: Settings) {
        self.init()
        traceParent = settings[\.traces.traceParent]
        traceState = settings[\.traces.traceState]
        traceID = settings[\.traces.traceID]
        spanID = settings[\.traces.spanID]
        enqueuedAt = settings[\.traces.enqueuedAt]
        processAt = settings[\.traces.processAt]
    }
}

extension ReceiverOptions {
    fileprivate init(_ settings: Settings) {
        self.init(
            maxBodyBytes: settings[\.otlp.maxBody], bearerToken: settings[\.otlp.bearerToken],
            cors: CORSPolicy(origins: settings[\.otlp.allowedOrigins], headers: settings[\.otlp.allowedHeaders]))
    }
}

extension ForwarderOptions? {
    fileprivate init(_ settings: Settings) throws(ConfigurationProblems) {
        guard var endpoint = settings[\.tempo.endpoint] else {
            self = nil
            return
        }
        if let name = settings[\.tempo.tls.serverName] {
            do throws(TraceEndpoint.Invalid) {
                endpoint = try TraceEndpoint(base: endpoint.url, serverName: name)
            } catch {
                throw ConfigurationProblems([settings.problem(\.tempo.endpoint, is: error.problem)])
            }
        }
        let retryInitial = settings[\.tempo.retryInitial]
        var options = ForwarderOptions(
            endpoint: endpoint,
            userAgent: "asynq-collector/\(BuildInfo.version)",
            headers: settings[\.tempo.headers],
            compression: settings[\.tempo.compression],
            timeoutNanoseconds: settings[\.tempo.timeout].nanoseconds,
            maxBatchBytes: settings[\.tempo.batchMaxBytes],
            maxBatchSpans: settings[\.tempo.batchMaxSpans],
            maxDelayNanoseconds: settings[\.tempo.batchMaxDelay].nanoseconds,
            maxDrainSpansPerSecond: settings[\.tempo.drainMaxSpansPerSecond],
            retryInitialNanoseconds: retryInitial.nanoseconds,
            retryMaxNanoseconds: max(settings[\.tempo.retryMax], retryInitial).nanoseconds)
        if endpoint.url.hasPrefix("https://") { options.tls = ForwarderTLS(settings) }
        options.refused = RefusedRequestsOptions(
            spoolDirectory: settings[\.spool.directory], spoolBytes: settings[\.spool.maxBytes])
        self = options
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

extension SpoolOptions {
    fileprivate init(_ settings: Settings) {
        self.init(
            maxBytes: settings[\.spool.maxBytes],
            maxAgeNanoseconds: settings[\.spool.maxAge].map { Int64(clamping: $0.nanoseconds) },
            whenFull: settings[\.spool.whenFull], sync: settings[\.spool.sync])
    }
}

extension TaskAggregatorOptions {
    fileprivate init(_ settings: Settings, isForwarding: Bool) {
        self.init(
            bounds: settings[\.metrics.waitBuckets], maxTaskTypes: settings[\.metrics.taskTypes],
            maxQueues: settings[\.metrics.queuesMax],
            quantileWindowNanoseconds: settings[\.metrics.quantileWindow].nanoseconds)
        collectsWaits = isForwarding && settings[\.traces.waitSpan]
    }
}
