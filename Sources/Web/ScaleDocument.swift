package import Model
import Text

extension QueueDocuments {
    /// Returns the JSON of `/api/v1/scale/{queue}`, which KEDA's `metrics-api` scaler reads.
    package static func scale(_ advice: ScaleAdvice, of queue: QueueName) -> [UInt8] {
        var object = JSONObject()
        object.add("queue", queue)
        object.add("pending", advice.pending)
        object.add("oldest_wait_seconds", advice.oldestWaitSeconds)
        object.add("wait_p95_seconds", advice.waitP95Seconds)
        object.add("desired_workers", advice.desiredWorkers)
        return Array((object.text + "\n").utf8)
    }
}
