/// What goes wrong in the demo's shop, and is put right again: a story of three minutes that repeats.
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
        /// The worker of emails, thumbnails and reports ends as by `kill -9`, with what it runs.
        case workerKilled
        case workerStarted
        /// What the killed worker ran is taken back.
        case recovery
        case backendDown
        case backendUp
    }

    package static let roundSeconds = 180.0

    /// When each event happens, in seconds since the round began. A lease lasts 30 s, so orphans are there from 30 s after the
    /// kill at the latest.
    package static let script: [(second: Double, event: Event)] = [
        (6, .burst), (30, .mailServerFails), (55, .mailServerWorks), (60, .deadLetter), (66, .pause), (92, .resume),
        (98, .workerKilled), (112, .workerStarted), (122, .backendDown), (142, .backendUp), (160, .recovery),
    ]

    /// Events told so far, over all rounds.
    private var told = 0
    /// Whether the trace backend is the demo's own, which can be taken down.
    private let hasBackend: Bool

    package init(hasBackend: Bool) {
        self.hasBackend = hasBackend
    }

    /// The events that are due since the last call.
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
