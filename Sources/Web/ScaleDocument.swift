package import Model
import Text

extension QueueDocuments {
    /// Returns the JSON of `/api/v1/scale/{queue}`, which KEDA's `metrics-api` scaler reads; without the numbers that
    /// can't be known.
    package static func scale(_ advice: ScaleAdvice, of queue: QueueName) -> [UInt8] {
        var object = JSONObject()
        object.add("queue", queue)
        if let pending = advice.pending { object.add("pending", pending) }
        if let seconds = advice.oldestWaitSeconds { object.add("oldest_wait_seconds", seconds) }
        object.add("wait_p95_seconds", advice.waitP95Seconds)
        if let workers = advice.desiredWorkers { object.add("desired_workers", workers) }
        return Array((object.text + "\n").utf8)
    }
}
