import Testing

@testable import Forwarder

@Suite("Whether faults in a row are the fault of the bytes")
struct FirstTriesTests {
    /// How first tries went meanwhile, counted on from some that went before.
    private func condemns(_ suspicions: Int, accepted: UInt64, faulted: UInt64 = 0) -> Bool {
        let before = FirstTries(accepted: 7, faulted: 900)
        return FirstTries(accepted: 7 + accepted, faulted: 900 + faulted).condemns(
            suspicions: suspicions, since: before)
    }

    @Test("Five are needed, however well others fare: a backend that restarts is back by then")
    func least() {
        #expect(!condemns(4, accepted: 1_000_000) && condemns(5, accepted: 1_000_000))
        #expect(!condemns(0, accepted: 1_000_000))
    }

    @Test("Where every second request meets a fault, thirty are needed; where all do, no number is enough")
    func chance() {
        #expect(!condemns(29, accepted: 10, faulted: 10) && condemns(30, accepted: 10, faulted: 10))
        #expect(!condemns(29, accepted: 0) && condemns(30, accepted: 0), "without any evidence a half")
        #expect(!condemns(10_000, accepted: 0, faulted: 1_000_000))
    }
}
