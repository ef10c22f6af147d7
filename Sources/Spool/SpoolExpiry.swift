import Model
import Platform

// `spool.max-age`: whole segments are dropped by the sync thread; single frames are passed over where they are read
// (SpoolReading.swift) or read again (SpoolRereading.swift).

extension SpoolOptions {
    /// Whether what was received at `time` is older than `max-age`.
    func isExpired(_ time: WallTime, at now: WallTime) -> Bool {
        maxAge.map { now.duration(since: time) > $0 } ?? false
    }
}

extension Spool {
    /// Drops the oldest segments, as long as all that is in them is too old.
    func dropExpired() {
        let options = options
        let now = clock.wall()
        withState { state in
            while let oldest = state.segments.first, let newest = oldest.newest, options.isExpired(newest, at: now) {
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
