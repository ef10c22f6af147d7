/// The number of requests that passed when they were sent first, and of those that met a fault of the backend.
struct FirstTries: Equatable {
    var accepted: UInt64 = 0
    var faulted: UInt64 = 0

    /// The least number of faults, while others pass, that makes a refusal. With pauses of 1, 2, 4, 8, … seconds the
    /// fifth comes half a minute after the first: a backend that restarts is back by then.
    static let minSuspicions = 5
    /// The largest probability that bytes as good as all others met that many faults in a row.
    static let maxChance = 1e-9

    /// Returns true if a number of faults in a row is the fault of the bytes. It is not if every second request meets
    /// one, as behind a balancer with one broken backend of two.
    func condemns(suspicions: Int, since before: FirstTries) -> Bool {
        guard suspicions >= Self.minSuspicions else { return false }
        let (accepted, faulted) = (Double(accepted - before.accepted), Double(faulted - before.faulted))
        // This is Laplace's rule: without any evidence a half.
        let share = (faulted + 1) / (accepted + faulted + 2)
        var chance = 1.0
        for _ in 0..<min(suspicions, 10_000) where chance >= Self.maxChance { chance *= share }
        return chance < Self.maxChance
    }
}
