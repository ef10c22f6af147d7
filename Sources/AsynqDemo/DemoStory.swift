/// The story of what goes wrong in the demo's shop, and is put right again, in three minutes that repeat.
package struct DemoStory: Sendable {
    package enum Event: Equatable, Sendable {
        /// Many emails at once.
        case burst
        case mailServerFails
        case mailServerWorks
        /// One task of `report:monthly` fails for the last time.
        case deadLetter
        case pause
        case resume
        /// The worker of emails, thumbnails and reports ends as by `kill -9`, while it runs tasks.
        case workerKilled
        case workerStarted
        /// The tasks of the killed worker are taken back.
        case recovery
        case backendDown
        case backendUp
    }

    package static let roundSeconds = 180.0

    /// The time of each event, in seconds since the round began. A lease lasts 30 s, so orphans exist from 30 s after
    /// the kill at the latest.
    package static let script: [(second: Double, event: Event)] = [
        (6, .burst), (30, .mailServerFails), (55, .mailServerWorks), (60, .deadLetter), (66, .pause), (92, .resume),
        (98, .workerKilled), (112, .workerStarted), (122, .backendDown), (142, .backendUp), (160, .recovery),
    ]

    /// The number of events told so far, over all rounds.
    private var told = 0
    /// True if the trace backend is the demo's own, which can be stopped.
    private let hasBackend: Bool

    package init(hasBackend: Bool) {
        self.hasBackend = hasBackend
    }

    /// Returns the events that are due since the last call.
    package mutating func due(at seconds: Double) -> [Event] {
        var events: [Event] = []
        while true {
            let (round, index) = told.quotientAndRemainder(dividingBy: Self.script.count)
            let next = Self.script[index]
            guard Double(round) * Self.roundSeconds + next.second <= seconds else { return events }
            told += 1
            let isOfBackend = next.event == .backendDown || next.event == .backendUp
            if hasBackend || !isOfBackend { events.append(next.event) }
        }
    }
}
