import Model

/// The time in which something happened: after `from`, not after `to`.
struct LookWindow: Equatable {
    let from: WallTime
    let to: WallTime

    var middle: WallTime { WallTime(nanoseconds: from.nanoseconds + to.nanoseconds(since: from) / 2) }

    /// Returns the middle of the window's part in the second that begins at `second`; of the whole window where they do
    /// not meet.
    func middle(inSecond second: Int64) -> WallTime {
        let low = max(from, WallTime(seconds: second))
        let high = min(to, WallTime(seconds: second + 1))
        return low < high ? LookWindow(from: low, to: high).middle : middle
    }

    /// Returns true if a worker's stamp can be of this window, as far as clocks of two machines agree.
    func mayHold(_ stamp: WallTime) -> Bool {
        stamp.duration(since: from) > .seconds(-1) && stamp.duration(since: to) < .seconds(1)
    }
}

/// A task that has been started: the time since which it could have been, and that at which it was.
struct StartedTask: Equatable {
    let queue: QueueName
    let id: [UInt8]
    let ready: WallTime
    let window: LookWindow
    /// The best guess within the window.
    let start: WallTime
    /// True if it runs still, as far as is known, and its worker may be asked when it began.
    let isRunning: Bool
}
