import Metrics
import Model

/// Names of Asynq's own exporter that differ from the collector's, for dashboards that were built for it and for asynqmon's charts
/// (`metrics.asynqmon-names`). They are on the page in the text format 0.0.4 only: two of them are gauges that end in
/// `_total`, which OpenMetrics forbids.
enum AsynqmonMetrics {
    static let families = AsynqmonFamilies()

    static func families(of queues: [QueueSnapshot], _ labels: [QueueLabelSets]) -> [MetricFamily] {
        var enqueued = MetricFamily(families.tasksEnqueuedTotal)
        var paused = MetricFamily(families.queuePausedTotal)
        var failed = MetricFamily(families.tasksFailedTotal)
        for (queue, labels) in zip(queues, labels) {
            labels.forEachState { state, labels in
                if state != .aggregating, let count = queue.size[state] { enqueued.add(count, labels) }
            }
            if let isPaused = queue.isPaused { paused.add(isPaused ? 1 : 0, labels.queue) }
            if let count = queue.failed { failed.add(count, labels.queue) }
        }
        var found = [enqueued, paused, failed]
        for index in found.indices { found[index].isTextOnly = true }
        return found
    }
}

/// The families that stand on the text page only.
struct AsynqmonFamilies: Sendable {
    let tasksEnqueuedTotal = FamilyDeclaration(
        "asynq_tasks_enqueued_total", .gauge, labels: ["queue", "state"], with: "metrics.asynqmon-names",
        "asynq_queue_size without aggregating, under the name of Asynq's own exporter.")
    let queuePausedTotal = FamilyDeclaration(
        "asynq_queue_paused_total", .gauge, labels: ["queue"], with: "metrics.asynqmon-names",
        "asynq_queue_paused, under the name of Asynq's own exporter.")
    let tasksFailedTotal = FamilyDeclaration(
        "asynq_tasks_failed_total", .counter, labels: ["queue"], with: "metrics.asynqmon-names",
        "asynq_tasks_processed_total with status failed, under the name of Asynq's own exporter.")
}
