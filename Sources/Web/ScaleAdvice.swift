import Glibc
import Model

/// The numbers of one queue for an autoscaler (`/api/v1/scale/{queue}`). A number that can't be known is nil.
package struct ScaleAdvice: Equatable, Sendable {
    package var pending: Int64?
    package var oldestWaitSeconds: Double?
    package var waitP95Seconds: Double
    package var desiredWorkers: Int64?

    package init(pending: Int64?, oldestWaitSeconds: Double?, waitP95Seconds: Double, desiredWorkers: Int64?) {
        self.pending = pending
        self.oldestWaitSeconds = oldestWaitSeconds
        self.waitP95Seconds = waitP95Seconds
        self.desiredWorkers = desiredWorkers
    }

    /// Returns the number of workers by Little's law: tasks that run at a time = arrivals per second × seconds that
    /// each takes. The 95th percentile of the run time stands in the place of the mean, and workers are busy for a
    /// share of the time only, so that uneven arrivals fit.
    ///
    ///     desired = ⌈arrivals per second × p95 of the run time ÷ target utilization⌉
    ///
    /// but at least one while a task is pending or active, or the last one would never be done. If one of the two is
    /// unknown (just started; long tasks of which none has ended), it is the number of tasks that run now: each worker
    /// that runs one is needed.
    package static func desiredWorkers(
        arrivalsPerSecond: Double?, runSeconds: Double?, targetUtilization: Double, pending: Int64, active: Int64
    ) -> Int64 {
        let least: Int64 = pending > 0 || active > 0 ? 1 : 0
        guard let arrivalsPerSecond, let runSeconds else { return max(least, active) }
        let workers = (arrivalsPerSecond * runSeconds / targetUtilization).rounded(.up)
        guard workers.isFinite else { return max(least, active) }
        return max(least, Int64(min(max(0, workers), 1e9)))
    }
}
