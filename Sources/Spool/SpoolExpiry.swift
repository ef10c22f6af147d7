import Model
import Platform

// This is `spool.max-age`. The sync thread drops whole segments; single frames are passed over where they are read
// (SpoolReading.swift) or read again (SpoolRereading.swift). The age of what this process received goes by the
// monotonic clock: setting the wall clock makes nothing old. What an earlier process left has only its wall time.

/// The age that frames may have, at one moment.
struct SpoolAges {
    let maxAge: Duration?
    let now: ClockReading

    /// - Parameter clockOffset: The offset of the frame's segment.
    func isExpired(_ time: WallTime, clockOffset: Int64?) -> Bool {
        maxAge.map { age(of: time, clockOffset: clockOffset) > $0 } ?? false
    }

    func age(of time: WallTime, clockOffset: Int64?) -> Duration {
        now.wall(byOffset: clockOffset).duration(since: time)
    }
}

extension Spool {
    var ages: SpoolAges { SpoolAges(maxAge: options.maxAge, now: ClockReading(clock)) }

    /// Drops the oldest segments, as long as all that is in them is too old.
    func dropExpired() {
        let ages = ages
        withState { state in
            while let oldest = state.segments.first, let newest = oldest.newest,
                ages.isExpired(newest, clockOffset: oldest.clockOffset)
            {
                do throws(SystemError) {
                    try state.drop(oldest, reason: .expired, fileSystem)
                } catch {
                    state.disk.record(error)
                    return
                }
            }
        }
    }
}
