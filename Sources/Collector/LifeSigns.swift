import AsynqRedis
import Forwarder
import Model
import NIOCore
import Platform
import SpanReceiver
import Spool

/// Tells whether the loops and threads that users depend on still move, to a service manager's watchdog and to liveness
/// probes. A delay that a hung disk causes does not count: readiness tells of the disk, and a restart would not help.
struct LifeSigns: Sendable {
    /// An event loop, which is asked, and has answered once a task of this check has run on it.
    private struct Loop: Sendable {
        let name: String
        let loop: any EventLoop
        let answer = Heartbeat()

        func ask(at now: MonotonicTime) {
            if !answer.isResting { return }
            answer.promise(by: now)
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
        let silent = loops.filter { $0.answer.isOverdue(at: now, grace: patience) }.map(\.name)
        let late = threads.filter { $0.heartbeat.isOverdue(at: now, grace: patience) && !$0.isExcused() }
        for loop in loops { loop.ask(at: now) }
        return silent + late.map(\.name)
    }
}

extension LifeSigns {
    /// Watches the loops and threads of a collector.
    init(
        web: any EventLoop, receiver: any EventLoop, receiverWork: SerialThread, redis: RedisSide?, tempo: TempoSide?,
        push: PushSide?
    ) {
        self.init()
        watch(web, as: "web endpoints")
        watch(receiver, as: "receiver")
        watch(receiverWork.heartbeat, as: "reading of long requests")
        if let redis {
            watch(redis.monitor.heartbeat, as: "redis")
            watch(redis.lookup.heartbeat, as: "task look-up")
        }
        if let tempo {
            let isDiskHanging: @Sendable () -> Bool = { tempo.spool.statistics(patience: Books.patience) == nil }
            watch(tempo.appends.heartbeat, as: "spool", isExcused: isDiskHanging)
            watch(tempo.forwarder.heartbeat, as: "forwarder", isExcused: isDiskHanging)
        }
        if let push { watch(push.heartbeat, as: "metrics push") }
    }
}
