import AsynqRedis
import Redis

/// `redis.*`: where Redis is, and how it is asked.
struct RedisKeys: KeySection {
    static let title = "Redis"

    let url = Key(
        "redis.url", .redisURL, default: "redis://127.0.0.1:6379/0",
        example: "redis-sentinel://sentinel-1:26379,sentinel-2:26379/0?master=queues",
        help:
            "redis://[user:pass@]host:port/db, redis-sentinel://h1:p1,h2:p2/db?master=NAME, redis-cluster://h1:p1,h2:p2, "
            + "rediss… for TLS, unix:///path?db=0, or none for a pure span sidecar")
    let username = Key(
        "redis.username", .text, default: "", example: "collector", help: "ACL user, overrides the url")
    let password = Key("redis.password", .secret, default: "", example: "swordfish", help: "overrides the url")
    let sentinelUsername = Key(
        "redis.sentinel-username", .text, default: "", example: "scout", help: "ACL user of the sentinels")
    let sentinelPassword = Key(
        "redis.sentinel-password", .secret, default: "", example: "swordfish", help: "of the sentinels")
    let tls = TLSKeys("redis.tls", serverName: .text)
    let interval = Key(
        "redis.interval", .duration(atLeast: .milliseconds(100)), default: "5s", example: "15s",
        help: "time between scrapes")
    let lookAhead = Key(
        "redis.look-ahead", .integer(0...100_000), default: "100", example: "500",
        help: "next tasks of each queue that the sampler looks at; 0 = off")
    let lookInterval = Key(
        "redis.look-interval", .duration(atLeast: .milliseconds(100), or: "0"), default: "1s", example: "500ms",
        help: "how often the sampler looks; 0 = off")
    let timeout = Key(
        "redis.timeout", .duration(), default: "3s", example: "1s", help: "budget of one whole scrape")
    let queuesInclude = Key(
        "redis.queues.include", .regularExpression, default: "", example: "^mail",
        help: "only queues that match", isReloadable: true)
    let queuesExclude = Key(
        "redis.queues.exclude", .regularExpression, default: "", example: "-test$",
        help: "no queues that match", isReloadable: true)
    let memorySampling = Key(
        "redis.memory-sampling", .duration(atLeast: .seconds(1), or: "off"), default: "off", example: "60s",
        help: "interval of MEMORY USAGE sampling, or off")

    static let rules = [
        TLSKeys.keyNeedsCertificate(\.redis.tls),
        // Files that are missing or no certificates are told now, not at the first scrape.
        SettingRule { settings in
            guard settings[\.redis.url]?.endpoint.tls != nil, let problem = RedisTLSOptions(settings).problem else {
                return []
            }
            return [ConfigurationProblem("redis.tls: \(problem)")]
        },
    ]
}

extension RedisMonitorOptions? {
    init(_ settings: Settings) {
        guard let target = RedisTarget?(settings) else {
            self = nil
            return
        }
        var options = RedisMonitorOptions(
            target: target, interval: settings[\.redis.interval], timeout: settings[\.redis.timeout],
            filter: QueueFilter(settings))
        if settings[\.redis.lookAhead] > 0, let interval = settings[\.redis.lookInterval] {
            options.lookAhead = LookAheadOptions(count: settings[\.redis.lookAhead], interval: interval)
        }
        options.contextKeys = TaskContextKeys(settings)
        options.memoryInterval = settings[\.redis.memorySampling]
        self = options
    }
}

extension RedisTarget? {
    init(_ settings: Settings) {
        let (url, password) = (settings.secret(\.redis.url), settings.secret(\.redis.password))
        let sentinelPassword = settings.secret(\.redis.sentinelPassword)
        @Sendable func target() -> RedisTarget? {
            guard var target = url?.current ?? settings[\.redis.url] else { return nil }
            if let username = settings[\.redis.username] { target.endpoint.username = username }
            if let password = password?.current ?? settings[\.redis.password] { target.endpoint.password = password }
            if let username = settings[\.redis.sentinelUsername] { target.sentinels?.username = username }
            if let password = sentinelPassword?.current ?? settings[\.redis.sentinelPassword] {
                target.sentinels?.password = password
            }
            if target.endpoint.tls != nil { target.endpoint.tls = RedisTLSOptions(settings) }
            return target
        }
        guard var first = target() else {
            self = nil
            return
        }
        if url != nil || password != nil || sentinelPassword != nil {
            first.reread = { [first] in target() ?? first }
        }
        self = first
    }
}

extension QueueFilter {
    init(_ settings: Settings) {
        self.init(include: settings[\.redis.queuesInclude], exclude: settings[\.redis.queuesExclude])
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

extension ValueForm where Value == RedisTarget? {
    /// `none` is nil.
    fileprivate static var redisURL: Self {
        Self(.url(allowed: "a Redis url, or none")) { text throws(UnacceptableText) in
            if text == "none" { return nil }
            do throws(RedisURL.Invalid) {
                return try RedisURL.parse(text)
            } catch {
                throw UnacceptableText(error.problem)
            }
        }
    }
}
