import AsynqRedis
import Platform
import Redis

/// `redis.*`: the address of Redis, and the way in which it is asked.
struct RedisKeys: KeySection {
    static let title = "Redis"
    static let page = "docs/REDIS.md"

    let url = Key(
        "redis.url", .redisURL, default: "redis://127.0.0.1:6379/0",
        example: "redis-sentinel://sentinel-1:26379,sentinel-2:26379/0?master=queues",
        help: """
            Where Asynq's Redis is: redis://[user:password@]host:port/db, unix:///path?db=0, \
            redis-sentinel://host:port,…/db?master=NAME or redis-cluster://host:port,…; rediss://, rediss-sentinel:// and \
            rediss-cluster:// for TLS. none makes a pure span sidecar, which reads no Redis.
            """)
    let username = Key(
        "redis.username", .text, default: "", example: "collector",
        help: "The user of Redis' ACL. It takes the place of the one in redis.url.",
        page: "docs/REDIS.md#a-user-of-its-own")
    let password = Key(
        "redis.password", .secret, default: "", example: "swordfish",
        help:
            "The password of Redis. It takes the place of the one in redis.url; redis.password-file keeps it out of both.",
        page: "docs/REDIS.md#a-user-of-its-own")
    let sentinelUsername = Key(
        "redis.sentinel-username", .text, default: "", example: "scout",
        help: "The user of the sentinels' ACL, where they want a login.", page: "docs/REDIS.md#sentinel")
    let sentinelPassword = Key(
        "redis.sentinel-password", .secret, default: "", example: "swordfish",
        help: "The password of the sentinels, where they want a login.", page: "docs/REDIS.md#sentinel")
    let tls = TLSKeys("redis.tls", of: "Redis", serverName: .text, page: "docs/REDIS.md#tls")
    let interval = Key(
        "redis.interval", .duration(atLeast: .milliseconds(100)), default: "5s", example: "15s",
        help:
            "The time between two scrapes of Redis: how old the numbers of queues get. Raise it where commands are billed.",
        page: "docs/REDIS.md#what-it-costs")
    let lookAhead = Key(
        "redis.look-ahead", .integer(0...100_000), default: "100", example: "500",
        help: """
            How many of the next tasks of each queue the look-ahead reads. It gives the wait of spans without a stamp and of retries; \
            0 switches it off.
            """,
        page: "docs/REDIS.md#the-look-ahead")
    let lookInterval = Key(
        "redis.look-interval", .duration(atLeast: .milliseconds(100), or: "0"), default: "1s", example: "500ms",
        help: """
            The time between two look-ahead samples: waits shorter than this are seen by chance. 0 switches the look-ahead off.
            """,
        page: "docs/REDIS.md#the-look-ahead")
    let timeout = Key(
        "redis.timeout", .duration(), default: "3s", example: "1s",
        help: "The time that one whole scrape may take, connecting included. A scrape that takes longer has failed.",
        page: "docs/REDIS.md#while-redis-is-unavailable")
    let queuesInclude = Key(
        "redis.queues.include", .regularExpression, default: "", example: "^mail",
        help: """
            A regular expression: only queues whose name matches are read and counted. Without it, all are. Several, of which one has \
            to match, stand on a line each; the file takes a list.
            """,
        isReloadable: true)
    let queuesExclude = Key(
        "redis.queues.exclude", .regularExpression, default: "", example: "-test$",
        help: """
            A regular expression: queues whose name matches are left out. Several, of which one has to match, stand on a line each; the \
            file takes a list.
            """,
        isReloadable: true)
    let memorySampling = Key(
        "redis.memory-sampling", .duration(atLeast: .seconds(1), or: "off"), default: "off", example: "60s",
        help: """
            The time between two estimates of the memory of each queue (MEMORY USAGE), or off. It costs Redis more than all else; \
            choose a minute or more.
            """,
        page: "docs/REDIS.md#memory")

    static let rules = [
        TLSKeys.keyNeedsCertificate(\.redis.tls),
        // Files that are missing or are not certificates are reported now, not at the first scrape.
        SettingRule { settings in
            guard settings[\.redis.url]?.endpoint.tls != nil, let problem = RedisTLSOptions(settings).problem else {
                return []
            }
            return [ConfigurationProblem("redis.tls: \(problem)")]
        },
    ]
}

extension RedisMonitorOptions? {
    init(_ settings: Settings, _ memory: MemoryLedger) {
        guard let target = RedisTarget?(settings, maxReplyBytes: memory[.redisReplies]) else {
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
        options.seenTasksBytes = memory[.lookAhead]
        options.queueBytes = memory[.redisReplies]
        options.memoryInterval = settings[\.redis.memorySampling]
        self = options
    }
}

extension RedisTarget? {
    init(_ settings: Settings, maxReplyBytes: Int) {
        let memory = ByteBudget(maxReplyBytes)
        let (url, password) = (settings.secret(\.redis.url), settings.secret(\.redis.password))
        let sentinelPassword = settings.secret(\.redis.sentinelPassword)
        @Sendable func target() -> RedisTarget? {
            guard var target = url?.current ?? settings[\.redis.url] else { return nil }
            target.endpoint.maxReplyBytes = maxReplyBytes
            target.endpoint.replyMemory = memory
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
    /// Reads the URL; `none` is nil.
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
