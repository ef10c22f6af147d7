import Foundation
import Model
import Testing

@testable import Attention

/// What the collector judges by itself against the rules that Prometheus is given.
@Suite("The shipped alerts")
struct RulesTests {
    private struct Rule {
        var name = ""
        /// Without comments.
        var expression = ""
        var duration = Duration.zero
        var severity = ""
        var anchor = ""
    }

    private static func file(_ name: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "prometheus/rules/" + name), encoding: .utf8)
    }

    /// The sections of the runbook that are about no alert.
    private static func sections() throws -> [String] {
        try file("../../docs/RUNBOOK.md").components(separatedBy: "\n## ").dropFirst().map { section in
            section.components(separatedBy: "\n")[0].lowercased().replacingOccurrences(of: " ", with: "-")
        }
    }

    private static func rules() throws -> [Rule] {
        try file("asynq-alerts.yml").components(separatedBy: "      - alert: ").dropFirst().map { part in
            var rule = Rule()
            rule.expression = part.components(separatedBy: "\n        annotations:")[0]
            for (number, line) in part.components(separatedBy: "\n").enumerated() {
                let words = line.split(separator: " ").map(String.init)
                if number == 0 { rule.name = words[0] }
                switch words.first {
                case "for:"?: rule.duration = .seconds((Int(words[1].dropLast()) ?? 0) * 60)
                case "severity:"? where rule.severity.isEmpty: rule.severity = words[1]
                case "runbook_url:"? where rule.anchor.isEmpty: rule.anchor = words[1].components(separatedBy: "#")[1]
                default: break
                }
            }
            return rule
        }
    }

    /// What one collector can't judge: more than an hour of history, other collectors, Prometheus and Tempo themselves.
    private static let notJudged: Set = [
        "AsynqWaitBudgetBurningSlow", "AsynqWaitObjectiveNotMeasured", "AsynqCollectorDown", "AsynqCollectorAbsent",
        "AsynqSpansDiscardedByTempo", "AsynqCollectorsReadDifferentRedis",
    ]

    @Test("Each is judged here under its name, or named as one that can't be")
    func names() throws {
        let names = Set(try Self.rules().map(\.name))
        #expect(names.count > 30)
        let judged = Set(Condition.allCases.compactMap(\.alert))
        #expect(judged.union(Self.notJudged) == names && judged.isDisjoint(with: Self.notJudged))
    }

    @Test("Severity, duration and section of the runbook are those of the rule", arguments: Condition.allCases)
    func rules(condition: Condition) throws {
        guard let alert = condition.alert else {
            let anchors = try Self.rules().map(\.anchor) + Self.sections()
            #expect(anchors.contains(condition.runbook))
            return
        }
        // Of two rules of one name the first is the faster one.
        let rule = try #require(try Self.rules().first { $0.name == alert })
        #expect(condition.severity.rawValue == rule.severity)
        #expect(condition.duration == rule.duration)
        #expect(condition.runbook == rule.anchor)
    }

    @Test(
        "The thresholds are the numbers of the expressions",
        arguments: [
            ("AsynqOldestPendingTooOld", "(asynq_queue_latency_seconds) > ", [Thresholds.oldestObjectives]),
            ("AsynqOldestPendingTooOld", "group_left () ", [Thresholds.oldestObjectives]),
            ("AsynqOldestPendingTooOld", "asynq_queue_paused[", [Thresholds.oldestPause.inSeconds]),
            (
                "AsynqWaitBudgetBurningFast", "ratio_rate",
                [Thresholds.longBurn.inSeconds, Thresholds.shortBurn.inSeconds]
            ),
            ("AsynqWaitBudgetBurningFast", "> ", [Thresholds.fastBurn, Thresholds.fastBurn]),
            ("AsynqWaitBudgetBurningFast", ":count", [Thresholds.longBurn.inSeconds]),
            ("AsynqWaitBudgetBurningFast", ">= ", [Thresholds.leastWaits]),
            ("AsynqWaitBudgetBurningFast", "asynq_queue_paused[", [Thresholds.budgetPause.inSeconds]),
            ("AsynqRetryBacklogGrowing", "> ", [Thresholds.leastRetries, Thresholds.retryGrowth]),
            ("AsynqRetryBacklogGrowing", "[", [Thresholds.retryWindow.inSeconds]),
            ("AsynqDeadLetters", "increase(asynq_tasks_dead_lettered_total[", [Thresholds.events.inSeconds]),
            ("AsynqArchiveNearlyFull", "> ", [Thresholds.archiveFill]),
            ("AsynqQueueNotRegistered", "[", [Thresholds.events.inSeconds]),
            ("AsynqQueueStalled", "[", [Thresholds.stallWindow.inSeconds]),
            ("AsynqOverdueTasks", "resets(asynq_queue_overdue_tasks[", [Thresholds.overdueFall.inSeconds]),
            ("AsynqFailureRatioHigh", "[", [Double](repeating: Thresholds.failureWindow.inSeconds, count: 3)),
            ("AsynqFailureRatioHigh", "> ", [Thresholds.failureShare]),
            ("AsynqFailureRatioHigh", ">= ", [Thresholds.leastAttempts]),
            ("AsynqSchedulerEntryOverdue", "> ", [Thresholds.entryLateSeconds]),
            ("AsynqSchedulerNotEnqueueing", "_seconds) - ", [Thresholds.tickTolerance.inSeconds]),
            ("AsynqSchedulerEntryTwice", "> ", [Double(Thresholds.schedulers)]),
            ("AsynqScrapeStale", "> ", [Thresholds.staleSeconds]),
            ("AsynqSpoolFilling", "> ", [Thresholds.spoolFill]),
            ("AsynqSpoolWillBeFull", "asynq_collector_spool_bytes[", [Thresholds.spoolWindow.inSeconds]),
            ("AsynqSpoolWillBeFull", "], ", [Thresholds.spoolFullSeconds]),
            ("AsynqSpoolWillBeFull", "> ", [Thresholds.spoolLeastFill]),
            ("AsynqSpansDropped", "[", [Thresholds.events.inSeconds]),
            ("AsynqSpansRefusedByTempo", "[", [Thresholds.events.inSeconds]),
            ("AsynqSpansNotAccepted", "[", [Thresholds.events.inSeconds, Thresholds.events.inSeconds]),
            ("AsynqForwardingFails", "> ", [Thresholds.failedRequests]),
            (
                "AsynqForwardingFails", "[",
                [Thresholds.requestWindow.inSeconds, Thresholds.requestWindow.inSeconds]
            ),
            ("AsynqMetricsNotPushed", "> ", [Thresholds.failedRequests, 0, 0, 0]),
            (
                "AsynqMetricsNotPushed", "[",
                [
                    Thresholds.requestWindow.inSeconds, Thresholds.requestWindow.inSeconds, 1800,
                    Thresholds.requestWindow.inSeconds,
                ]
            ),
            ("AsynqRedisMemoryNearLimit", " > ", [0, Thresholds.redisMemory]),
            ("AsynqRedisEvictingKeys", "[", [Thresholds.events.inSeconds]),
        ] as [(String, String, [Double])])
    func numbers(alert: String, before: String, expected: [Double]) throws {
        let rule = try #require(try Self.rules().first { $0.name == alert })
        #expect(Self.numbers(in: rule.expression, after: before) == expected, "\(rule.expression)")
    }

    /// All numbers that stand behind a text: `0.9`, `15m`, `4 * 3600`; windows in seconds.
    private static func numbers(in text: String, after before: String) -> [Double] {
        text.components(separatedBy: before).dropFirst().compactMap { rest in
            let factors = rest.components(separatedBy: " * ").map { factor -> Double? in
                let digits = factor.prefix { $0.isNumber || $0 == "." }
                let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
                return Double(digits).map { $0 * (factor.dropFirst(digits.count).first.flatMap { units[$0] } ?? 1) }
            }
            guard let first = factors[0] else { return nil }
            // `4 * 3600` is one number, `30 * scalar(…)` has one.
            let isWhole = rest.hasPrefix(rest.prefix { $0.isNumber || $0 == "." } + " * ")
            return first * (isWhole && factors.count > 1 ? factors[1] ?? 1 : 1)
        }
    }

    @Test(
        "What is counted is what the expressions count",
        arguments: [
            ("AsynqDeadLetters", "dead_lettered_total[15m])) > 0"), ("AsynqOverdueTasks", "overdue_tasks[5m])) == 0"),
            ("AsynqSchedulerNotEnqueueing", "prev_enqueue_timestamp_seconds) - 5"),
            ("AsynqSpansDropped", "reason!~\"rejected|refused|unsynced\"}[15m]"),
            ("AsynqSpansRefusedByTempo", "reason=~\"rejected|refused\"}[15m]"),
            ("AsynqSpansNotAccepted", "reason=~\"spool_full|unavailable\"}[15m]"),
            ("AsynqRedisEvictingKeys", "evicted_keys_total[15m])) > 0"),
        ])
    func counted(alert: String, expression: String) throws {
        let rule = try #require(try Self.rules().first { $0.name == alert })
        #expect(rule.expression.contains(expression), "\(alert)")
    }

    @Test("The objective and the limit of a run are those of the recording rules")
    func objective() throws {
        let text = try Self.file("asynq-recording.yml")
        #expect(
            Self.numbers(in: text, after: "asynq:task_wait_objective:seconds\n        expr: vector(")
                == [Thresholds.objectiveSeconds])
        let ratios = Self.numbers(in: text, after: "asynq:task_wait_objective:ratio\n        expr: vector(")
        #expect(ratios == [1 - Thresholds.budget])
        let limits = Self.numbers(
            in: text, after: "expr: 0 * max by (redis, queue) (asynq_queue_longest_running_seconds) + ")
        #expect(limits == [Thresholds.runSeconds])
    }
}
