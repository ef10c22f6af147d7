import Model
import NIOCore
import Platform

/// Tells whether the loops and threads that users depend on still move. A delay that a hung disk causes does not count:
/// readiness tells of the disk, and a restart would not help.
struct LifeSigns: Sendable {
    /// An event loop, which is asked, and has answered once a task of ours has run on it.
    private struct Loop: Sendable {
        let name: String
        let loop: any EventLoop
        let answer = Heartbeat()

        func ask(answerBy moment: MonotonicTime) {
            if !answer.isResting { return }
            answer.promise(by: moment)
            loop.execute { answer.promise(by: nil) }
        }
    }

    private struct Thread: Sendable {
        let name: String
        let heartbeat: Heartbeat
        /// Returns true if the thread may be late because of the disk.
        let isExcused: @Sendable () -> Bool
    }

    private var loops: [Loop] = []
    private var threads: [Thread] = []

    mutating func watch(_ loop: any EventLoop, as name: String) {
        loops.append(Loop(name: name, loop: loop))
    }

    mutating func watch(
        _ heartbeat: Heartbeat, as name: String, isExcused: @escaping @Sendable () -> Bool = { false }
    ) {
        threads.append(Thread(name: name, heartbeat: heartbeat, isExcused: isExcused))
    }

    /// Returns the names of those that do not move, and asks the event loops for the next sign.
    ///
    /// - Parameter patience: The time that a loop has to answer, and that a thread may be late.
    func missing(at now: MonotonicTime, patience: Duration) -> [String] {
        let silent = loops.filter { $0.answer.isOverdue(at: now) }.map(\.name)
        let late = threads.filter { $0.heartbeat.isOverdue(at: now, grace: patience) && !$0.isExcused() }
        for loop in loops { loop.ask(answerBy: now.advanced(by: patience)) }
        return silent + late.map(\.name)
    }
}
