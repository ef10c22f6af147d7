import Foundation
import Testing

@testable import Attention

/// What the collector judges by itself against the rules that Prometheus is given.
@Suite("The shipped alerts")
struct RulesTests {
    private struct Rule {
        var name = ""
        var text = ""
        var duration = Duration.zero
        var severity = ""
        var anchor = ""
    }

    private static func file(_ name: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "prometheus/rules/" + name), encoding: .utf8)
    }

    private static func rules() throws -> [Rule] {
        try file("asynq-alerts.yml").components(separatedBy: "      - alert: ").dropFirst().map { part in
            var rule = Rule()
            rule.text = part.components(separatedBy: "\n      - record:")[0]
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
            let anchors = try Self.rules().map(\.anchor)
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
        "The thresholds are those of the expressions",
        arguments: [
            ("AsynqOldestPendingTooOld", "> 30 * scalar(asynq:task_wait_objective:seconds)"),
            ("AsynqOldestPendingTooOld", "max_over_time(asynq_queue_paused[15m])"),
            ("AsynqWaitBudgetBurningFast", "ratio_rate1h > 14.4 * "), ("AsynqWaitBudgetBurningFast", "count1h >= 100"),
            ("AsynqRetryBacklogGrowing", "{state=\"retry\"}) > 50"),
            ("AsynqRetryBacklogGrowing", "{state=\"retry\"}[15m]"), ("AsynqRetryBacklogGrowing", "> 0.2 * "),
            ("AsynqDeadLetters", "dead_lettered_total[15m])) > 0"), ("AsynqArchiveNearlyFull", "fill_ratio) > 0.9"),
            ("AsynqQueueStalled", "processed_total[5m]"), ("AsynqOverdueTasks", "overdue_tasks[5m])) == 0"),
            ("AsynqFailureRatioHigh", "> 0.2"), ("AsynqFailureRatioHigh", "[10m]))) >= 20"),
            ("AsynqSchedulerEntryOverdue", "> 120"),
            ("AsynqSchedulerNotEnqueueing", "prev_enqueue_timestamp_seconds) - 5"),
            ("AsynqSchedulerEntryTwice", "> 1"), ("AsynqScrapeStale", "> 120"), ("AsynqSpoolFilling", "> 0.8"),
            ("AsynqSpoolWillBeFull", "spool_bytes[30m], 4 * 3600)"), ("AsynqSpoolWillBeFull", "> 0.1 * "),
            ("AsynqSpansDropped", "reason!~\"rejected|refused|unsynced\"}[15m]"),
            ("AsynqSpansRefusedByTempo", "reason=~\"rejected|refused\"}[15m]"), ("AsynqForwardingFails", "> 0.5"),
            ("AsynqSpansNotAccepted", "reason=~\"spool_full|unavailable\"}[15m]"),
            ("AsynqRedisMemoryNearLimit", "> 0.9"), ("AsynqRedisEvictingKeys", "evicted_keys_total[15m])) > 0"),
        ])
    func thresholds(alert: String, expression: String) throws {
        let rule = try #require(try Self.rules().first { $0.name == alert })
        #expect(rule.text.contains(expression), "\(alert)")
    }

    @Test("The objective and the limit of a run are those of the recording rules")
    func objective() throws {
        let text = try Self.file("asynq-recording.yml")
        #expect(
            text.contains(
                "asynq:task_wait_objective:seconds\n        expr: vector(\(Int(Thresholds.objectiveSeconds)))"))
        #expect(text.contains("asynq:task_wait_objective:ratio\n        expr: vector(\(1 - Thresholds.budget))"))
        #expect(text.contains("asynq_queue_longest_running_seconds) + \(Int(Thresholds.runSeconds))"))
    }
}
