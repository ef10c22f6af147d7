import AsynqRedis
import Forwarder
import HTTPService
package import Logging
import Metrics
import Model
import OTLP
import Redis
import SpanReceiver
import Spool
import WaitTime
import Web

/// The configuration, checked and typed.
package struct CollectorOptions: Sendable {
    /// nil with `redis.url: none`.
    var redis: RedisMonitorOptions?
    var otlpListen: [ListenAddress] = []
    var otlpSocket: UnixSocketOptions
    var receiver: ReceiverOptions
    var waitAttributes: [TaskAttributeTable.WaitAttribute]
    /// nil with `tempo.endpoint: none`.
    var forwarder: ForwarderOptions?
    var spoolDirectory: String
    var spool: SpoolOptions
    var metricsListen: ListenAddress
    var aggregator: TaskAggregatorOptions
    /// Also the names of Asynq's own exporter, on the text page.
    var hasAsynqmonNames: Bool
    /// Share of the time that workers are to be busy, above 0 and at most 1.
    var targetUtilization: Double
    var relink: RelinkMode
    var lookupTimeoutNanoseconds: UInt64
    var addsDeadLetterSpans: Bool
    var traceLinks: TraceLinks
    package var logLevel: Logger.Level
    package var logFormat: LogFormat
}

package enum LogFormat: String, Sendable {
    case auto, json, text
}

/// Checks each setting by its form, then builds the typed options. All problems are collected, not only the first.
struct OptionsBuilder {
    private let settings: Settings
    private(set) var problems: [ConfigurationProblem]

    init(_ settings: Settings) {
        self.settings = settings
        problems = settings.problems
        for key in ConfigurationKey.all { checkForm(settings[key.name]) }
    }

    private mutating func checkForm(_ setting: Setting) {
        let text = setting.text
        let isGood: Bool
        switch setting.key.form {
        case .text, .secret, .url, .list: isGood = true
        case .secretPairs:
            // A line break would begin another header.
            let hasControls = text.unicodeScalars.contains { $0.value < 32 || $0.value == 127 }
            isGood = !hasControls && ValueParsing.list(text).allSatisfy { $0.contains("=") && !$0.hasPrefix("=") }
        case .duration: isGood = ValueParsing.duration(text).map { $0 > 0 } ?? false
        case .durationOr(let word): isGood = text == word || ValueParsing.duration(text).map { $0 > 0 } ?? false
        case .size(let range): isGood = ValueParsing.size(text).map { range.contains($0) } ?? false
        case .integer(let range): isGood = Int(text).map { range.contains($0) } ?? false
        case .number(let range): isGood = Double(text).map { range.contains($0) } ?? false
        case .flag: isGood = text == "true" || text == "false"
        case .choice(let words): isGood = words.contains(text)
        case .regularExpression: isGood = QueueFilter.isValid(pattern: text)
        }
        if !isGood { problems.append(ConfigurationProblem(setting, is: "allowed is \(setting.key.form.allowed)")) }
    }

    mutating func build() -> CollectorOptions? {
        let redis = redisOptions()
        let listen = otlpAddresses()
        let socket = socketOptions()
        let forwarder = forwarderOptions()
        let spool = spoolOptions()
        let web = address("metrics.listen")
        let bounds = waitBuckets()
        let cors = corsPolicy()
        let waits = waitAttributes()
        let links = traceLinks()
        guard problems.isEmpty, let web, let bounds, let spool else { return nil }
        return CollectorOptions(
            redis: redis, otlpListen: listen, otlpSocket: socket,
            receiver: ReceiverOptions(
                maxBodyBytes: size("otlp.max-body"), bearerToken: nonEmpty("otlp.bearer-token"), cors: cors),
            waitAttributes: waits, forwarder: forwarder, spoolDirectory: settings["spool.directory"].text, spool: spool,
            metricsListen: web,
            aggregator: aggregatorOptions(bounds, isForwarding: forwarder != nil),
            hasAsynqmonNames: settings["metrics.asynqmon-names"].text == "true",
            targetUtilization: Double(settings["scale.target-utilization"].text) ?? 1,
            relink: RelinkMode(rawValue: settings["traces.relink"].text) ?? .link,
            lookupTimeoutNanoseconds: duration("traces.lookup-timeout"),
            addsDeadLetterSpans: settings["traces.dead-letter-span"].text == "true",
            traceLinks: links,
            logLevel: Logger.Level(rawValue: settings["log.level"].text) ?? .info,
            logFormat: LogFormat(rawValue: settings["log.format"].text) ?? .auto)
    }

    private mutating func traceLinks() -> TraceLinks {
        let grafana = settings["external-url.grafana"].text
        // It becomes the target of links on a page.
        if !grafana.isEmpty && !["http://", "https://"].contains(where: grafana.hasPrefix) {
            refuse("external-url.grafana", "allowed is http://host:port/path or https://host/path")
        }
        return TraceLinks(grafana: grafana, dataSource: settings["external-url.tempo-datasource"].text)
    }

    private func aggregatorOptions(_ bounds: HistogramBounds, isForwarding: Bool) -> TaskAggregatorOptions {
        var options = TaskAggregatorOptions(
            bounds: bounds, maxTaskTypes: integer("metrics.task-types"), maxQueues: integer("metrics.queues-max"),
            quantileWindowNanoseconds: duration("metrics.quantile-window"))
        options.collectsWaits = isForwarding && settings["traces.wait-span"].text == "true"
        return options
    }

    // MARK: Values whose form was checked

    private func duration(_ name: String) -> UInt64 { ValueParsing.duration(settings[name].text) ?? 0 }
    private func size(_ name: String) -> Int { ValueParsing.size(settings[name].text) ?? 0 }
    private func integer(_ name: String) -> Int { Int(settings[name].text) ?? 0 }

    private func nonEmpty(_ name: String) -> String? {
        let text = settings[name].text
        return text.isEmpty ? nil : text
    }

    private mutating func refuse(_ name: String, _ problem: String) {
        problems.append(ConfigurationProblem(settings[name], is: problem))
    }

    // MARK: Sections

    private mutating func redisOptions() -> RedisMonitorOptions? {
        _ = atLeast(100_000_000, "redis.interval", "100ms")
        let url = settings["redis.url"].text
        if url == "none" { return nil }
        do throws(RedisURL.Invalid) {
            var target = try RedisURL.parse(url)
            if let username = nonEmpty("redis.username") { target.endpoint.username = username }
            if let password = nonEmpty("redis.password") { target.endpoint.password = password }
            if let password = nonEmpty("redis.sentinel-password") { target.sentinels?.password = password }
            if target.endpoint.tls != nil { target.endpoint.tls = redisTLS() }
            var options = RedisMonitorOptions(
                target: target, intervalNanoseconds: duration("redis.interval"),
                timeoutNanoseconds: duration("redis.timeout"),
                filter: QueueFilter(
                    include: nonEmpty("redis.queues.include"), exclude: nonEmpty("redis.queues.exclude")))
            options.lookAhead = lookAhead()
            options.contextKeys = contextKeys()
            if settings["redis.memory-sampling"].text != "off" {
                options.memoryIntervalNanoseconds = atLeast(1_000_000_000, "redis.memory-sampling", "1s")
            }
            return options
        } catch {
            refuse("redis.url", error.problem)
            return nil
        }
    }

    private mutating func contextKeys() -> TaskContextKeys {
        var keys = TaskContextKeys()
        keys.traceParent = ValueParsing.list(settings["traces.context.traceparent"].text)
        keys.traceState = ValueParsing.list(settings["traces.context.tracestate"].text)
        keys.traceID = ValueParsing.list(settings["traces.context.trace-id"].text)
        keys.spanID = ValueParsing.list(settings["traces.context.span-id"].text)
        keys.enqueuedAt = ValueParsing.list(settings["traces.context.enqueued-at"].text)
        keys.processAt = ValueParsing.list(settings["traces.context.process-at"].text)
        return keys
    }

    private mutating func lookAhead() -> LookAheadOptions? {
        let count = integer("redis.look-ahead")
        if count == 0 || settings["redis.look-interval"].text == "0" { return nil }
        return LookAheadOptions(count: count, intervalNanoseconds: atLeast(100_000_000, "redis.look-interval", "100ms"))
    }

    private mutating func atLeast(_ nanoseconds: UInt64, _ name: String, _ text: String) -> UInt64 {
        if duration(name) < nanoseconds { refuse(name, "allowed is \(text) or more") }
        return duration(name)
    }

    private mutating func redisTLS() -> RedisTLSOptions {
        var options = RedisTLSOptions()
        options.caFile = nonEmpty("redis.tls.ca-file")
        options.certificateFile = nonEmpty("redis.tls.cert-file")
        options.keyFile = nonEmpty("redis.tls.key-file")
        options.serverName = nonEmpty("redis.tls.server-name")
        options.skipsVerification = settings["redis.tls.insecure-skip-verify"].text == "true"
        if options.keyFile != nil && options.certificateFile == nil {
            refuse("redis.tls.key-file", "needs redis.tls.cert-file")
        }
        // Files that are missing or no certificates are told now, not at the first scrape.
        if let problem = options.problem { problems.append(ConfigurationProblem("redis.tls: \(problem)")) }
        return options
    }

    private mutating func otlpAddresses() -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        let socket = settings["otlp.socket"].text
        if socket != "none" {
            do throws(ListenAddress.Invalid) {
                let isURL = socket.hasPrefix("unix:")
                addresses.append(isURL ? try ListenAddress(socket) : .unix(path: try ListenAddress.unixPath(socket)))
            } catch {
                refuse("otlp.socket", "allowed is an absolute path, @name for an abstract socket, or none")
            }
        }
        if settings["otlp.listen"].text == "none" { return addresses }
        for text in ValueParsing.list(settings["otlp.listen"].text) {
            do throws(ListenAddress.Invalid) {
                addresses.append(try ListenAddress(text))
            } catch {
                refuse("otlp.listen", "\(text): \(error.problem)")
            }
        }
        return addresses
    }

    private mutating func corsPolicy() -> CORSPolicy {
        let origins = ValueParsing.list(settings["otlp.cors.allowed-origins"].text)
        for origin in origins where !CORSPolicy.isOrigin(origin) {
            refuse("otlp.cors.allowed-origins", "\(origin): allowed is scheme://host or scheme://host:port, or *")
        }
        return CORSPolicy(origins: origins, headers: ValueParsing.list(settings["otlp.cors.allowed-headers"].text))
    }

    private mutating func socketOptions() -> UnixSocketOptions {
        let text = settings["otlp.socket-mode"].text
        guard let mode = UInt32(text, radix: 8), mode <= 0o777 else {
            refuse("otlp.socket-mode", "allowed is an octal mode from 0000 to 0777")
            return UnixSocketOptions()
        }
        return UnixSocketOptions(mode: mode, group: nonEmpty("otlp.socket-group"))
    }

    private mutating func address(_ name: String) -> ListenAddress? {
        do throws(ListenAddress.Invalid) {
            return try ListenAddress(settings[name].text)
        } catch {
            refuse(name, error.problem)
            return nil
        }
    }

    private mutating func forwarderOptions() -> ForwarderOptions? {
        let endpoint = settings["tempo.endpoint"].text
        if endpoint == "none" || endpoint.isEmpty { return nil }
        let scheme = ["http://", "https://"].first { endpoint.hasPrefix($0) }
        guard let scheme, endpoint != scheme else {
            refuse("tempo.endpoint", "allowed is http://host:port, https://host:port or none")
            return nil
        }
        let traces: TraceEndpoint
        do throws(TraceEndpoint.Invalid) {
            traces = try TraceEndpoint(base: endpoint, serverName: nonEmpty("tempo.tls.server-name"))
        } catch {
            refuse("tempo.endpoint", error.problem)
            return nil
        }
        guard let compression = ForwardCompression(rawValue: settings["tempo.compression"].text) else {
            return nil  // Another word was refused when the key was read.
        }
        var options = ForwarderOptions(endpoint: traces, userAgent: "asynq-collector/\(BuildInfo.version)")
        if scheme == "https://" { options.tls = tempoTLS() }
        options.headers = ValueParsing.list(settings["tempo.headers"].text).map { pair in
            let name = pair.prefix { $0 != "=" }
            return (ValueParsing.trimmed(name), ValueParsing.trimmed(pair[name.endIndex...].dropFirst()))
        }
        options.compression = compression
        options.timeoutNanoseconds = duration("tempo.timeout")
        options.maxBatchBytes = size("tempo.batch.max-bytes")
        options.maxBatchSpans = integer("tempo.batch.max-spans")
        options.maxDelayNanoseconds = duration("tempo.batch.max-delay")
        options.maxDrainSpansPerSecond = integer("tempo.drain.max-spans-per-second")
        options.retryInitialNanoseconds = duration("tempo.retry.initial")
        options.retryMaxNanoseconds = max(duration("tempo.retry.max"), options.retryInitialNanoseconds)
        options.refused = RefusedRequestsOptions(
            spoolDirectory: settings["spool.directory"].text, spoolBytes: size("spool.max-bytes"))
        return options
    }

    private mutating func tempoTLS() -> ForwarderTLS {
        var options = ForwarderTLS()
        options.caFile = nonEmpty("tempo.tls.ca-file")
        options.certificateFile = nonEmpty("tempo.tls.cert-file")
        options.keyFile = nonEmpty("tempo.tls.key-file")
        options.skipsVerification = settings["tempo.tls.insecure-skip-verify"].text == "true"
        if options.keyFile != nil && options.certificateFile == nil {
            refuse("tempo.tls.key-file", "needs tempo.tls.cert-file")
        }
        if let problem = options.problem { problems.append(ConfigurationProblem("tempo.tls: \(problem)")) }
        return options
    }

    private mutating func spoolOptions() -> SpoolOptions? {
        let sync: SpoolSync
        switch settings["spool.sync"].text {
        case "always": sync = .always
        case "never": sync = .never
        case let text:
            guard let nanoseconds = ValueParsing.duration(text), nanoseconds > 0 else {
                refuse("spool.sync", "allowed is always, never, or an interval such as 200ms")
                return nil
            }
            sync = .interval(nanoseconds: nanoseconds)
        }
        let age = settings["spool.max-age"].text
        if !settings["spool.directory"].text.hasPrefix("/") { refuse("spool.directory", "allowed is an absolute path") }
        return SpoolOptions(
            maxBytes: size("spool.max-bytes"),
            maxAgeNanoseconds: age == "none" ? nil : ValueParsing.duration(age).map { Int64(clamping: $0) },
            whenFull: settings["spool.when-full"].text == "drop-oldest" ? .dropOldest : .refuse, sync: sync)
    }

    private mutating func waitBuckets() -> HistogramBounds? {
        let texts = ValueParsing.list(settings["metrics.wait-buckets"].text)
        let values = texts.compactMap { Double($0) }
        guard values.count == texts.count, !values.isEmpty, values.count <= 100, let bounds = HistogramBounds(values)
        else {
            refuse("metrics.wait-buckets", "allowed are 1 to 100 ascending numbers of seconds")
            return nil
        }
        return bounds
    }

    private mutating func waitAttributes() -> [TaskAttributeTable.WaitAttribute] {
        let texts = ValueParsing.list(settings["wait.attributes"].text)
        if texts.isEmpty { return TaskAttributeTable.defaultWaitAttributes }
        var attributes: [TaskAttributeTable.WaitAttribute] = []
        for text in texts {
            let colon = text.lastIndex(of: ":") ?? text.endIndex
            let unit = TaskAttributeTable.WaitAttribute.Unit(rawValue: String(text[colon...].dropFirst()))
            guard let unit, colon > text.startIndex, attributes.count < 100 else {
                refuse(
                    "wait.attributes", "\(text): allowed is NAME:UNIT with unit s, ms, us or ns, at most 100 of them")
                continue
            }
            attributes.append(.init(name: String(text[..<colon]), unit: unit))
        }
        return attributes
    }
}
