/// `memory.*`: the memory that all parts together may take.
struct MemoryKeys: KeySection {
    static let title = "Memory"
    static let page = "docs/MEMORY.md"

    let limit = Key(
        "memory.limit", .size(MemoryLedger.leastLimit...1 << 40, or: "auto"), default: "auto", example: "128MiB",
        help: """
            What tables, bodies, pages and buffers together may take; each has its share, which the log names at the start. auto is \
            three quarters of the cgroup's limit, at most 512MiB. Without a cgroup it is 256MiB, or more where otlp.max-body, \
            tempo.batch.max-bytes or traces.recent-max-bytes needs more. Give the container a third more.
            """)

    static let rules = [
        SettingRule { settings in
            do throws(ConfigurationProblems) {
                _ = try MemoryLedger(settings)
                return []
            } catch {
                return error.list
            }
        }
    ]

    /// Returns the limit that `auto` stands for.
    static func automaticLimit(inCgroupOf bytes: Int?) -> Int {
        guard let bytes else { return ordinaryLimit }
        return max(MemoryLedger.leastLimit, min(bytes / 4 * 3, 512 << 20))
    }

    /// The limits that `auto` may rise to where no cgroup limits the process and other keys ask for more than the least
    /// of these.
    fileprivate static let limitsWithoutCgroup = [ordinaryLimit, 512 << 20, 1 << 30, 2 << 30, 4 << 30]
    /// The least limit with which each key's default holds.
    fileprivate static let ordinaryLimit = 256 << 20
}

extension MemoryLedger {
    /// - Throws: `ConfigurationProblems` with the keys that ask for more than the limit.
    init(_ settings: Settings) throws(ConfigurationProblems) {
        try self.init(settings, inCgroupOf: CgroupMemory.limit())
    }

    /// - Parameter bytes: The cgroup's limit; nil without one.
    /// - Throws: `ConfigurationProblems` with the keys that ask for more than the limit.
    init(_ settings: Settings, inCgroupOf bytes: Int?) throws(ConfigurationProblems) {
        let limit = settings[\.memory.limit] ?? MemoryKeys.automaticLimit(inCgroupOf: bytes)
        let isBound = settings[\.memory.limit] != nil || bytes != nil
        let demands = MemoryDemands(settings)
        // The default of otlp.max-body is met first, like one that was set, where the limit allows it.
        var ordinary = demands
        if ordinary.bodyBytes == 0 { ordinary.bodyBytes = settings[\.otlp.maxBody] }
        for limit in isBound ? [limit] : MemoryKeys.limitsWithoutCgroup {
            for demands in limit < MemoryKeys.ordinaryLimit ? [demands] : [ordinary, demands] {
                do throws(MemoryShortage) {
                    try self.init(limit: limit, demands)
                    return
                } catch {
                    continue
                }
            }
        }
        throw ConfigurationProblems(Self.problems(settings, limit))
    }

    /// Names the keys that ask for too much by themselves; if each of them alone would fit, it names the limit.
    private static func problems(_ settings: Settings, _ limit: Int) -> [ConfigurationProblem] {
        let all = MemoryDemands(settings)
        var none = all
        (none.bodyBytes, none.batchBytes) = (0, 0)
        none.recentSpanBytes = nil
        func problem<Value>(
            _ key: KeyPath<KeyTable, Key<Value>>, _ asked: Int, _ ask: (inout MemoryDemands, Int) -> Void
        ) -> ConfigurationProblem? {
            func fits(_ bytes: Int) -> Bool {
                var demands = none
                ask(&demands, bytes)
                do throws(MemoryShortage) {
                    _ = try MemoryLedger(limit: limit, demands)
                    return true
                } catch {
                    return false
                }
            }
            if fits(asked) { return nil }
            var range = 0..<asked
            while range.count > 1 << 10 {
                let middle = range.lowerBound + range.count / 2
                range = fits(middle) ? middle..<range.upperBound : range.lowerBound..<middle
            }
            let most = range.lowerBound >> 20 == 0 ? "none" : "\(range.lowerBound >> 20)MiB"
            return settings.problem(
                key, is: "with a memory.limit of \(SizeText.text(limit)) the most is \(most); raise memory.limit")
        }
        let found = [
            problem(\.otlp.maxBody, all.bodyBytes) { $0.bodyBytes = $1 },
            problem(\.tempo.batchMaxBytes, all.batchBytes) { $0.batchBytes = $1 },
            problem(\.traces.recentMaxBytes, all.recentSpanBytes ?? 0) { $0.recentSpanBytes = $1 },
        ].compactMap { $0 }
        if !found.isEmpty { return found }
        return [
            settings.problem(
                \.memory.limit,
                is: "\(SizeText.text(limit)) is too little for otlp.max-body, tempo.batch.max-bytes and "
                    + "traces.recent-max-bytes together")
        ]
    }
}

extension MemoryDemands {
    init(_ settings: Settings) {
        func ifGiven(_ path: KeyPath<KeyTable, Key<Int>>) -> Int {
            settings.origin(of: KeyTable.shared[keyPath: path]) == .default ? 0 : settings[path]
        }
        let hasBackend = settings[\.tempo.backend.endpoint] != nil
        let recent = settings.setting(\.traces.recentMaxBytes)
        self.init(
            hasRedis: settings[\.redis.url] != nil, hasBackend: hasBackend,
            bodyBytes: ifGiven(\.otlp.maxBody), batchBytes: ifGiven(\.tempo.batchMaxBytes),
            keepsRecentSpans: !hasBackend || recent.value != nil,
            recentSpanBytes: recent.origin == .default ? nil : recent.value,
            pushes: settings[\.metrics.push.backend.endpoint] == nil ? nil : settings[\.metrics.push.temporality])
    }
}
