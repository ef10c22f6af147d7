import Redis
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("Counting what enters an archive")
struct ArchiveArrivalsTests {
    private func member(_ id: String, _ score: Int64) -> ScoredMember {
        ScoredMember(member: Array(id.utf8), score: score)
    }

    @Test("A task counts once, however often it is seen, and again when it dies again")
    func onceEach() {
        var arrivals = ArchiveArrivals()
        #expect(arrivals.countArrivals(in: [member("a", 100), member("b", 100)], at: 101).count == 2)
        #expect(arrivals.countArrivals(in: [member("a", 100), member("b", 100)], at: 102).isEmpty)
        #expect(arrivals.countArrivals(in: [member("b", 100), member("a", 103)], at: 103) == [member("a", 103)])
        #expect(arrivals.total == 3)
    }

    @Test("Two deaths in one second, one on each side of a look, are two")
    func sameSecond() {
        var arrivals = ArchiveArrivals()
        _ = arrivals.countArrivals(in: [member("a", 100)], at: 100)
        #expect(arrivals.countArrivals(in: [member("a", 100), member("b", 100)], at: 105) == [member("b", 100)])
    }

    @Test("The clock of a worker may be behind by the overlap")
    func behind() {
        var arrivals = ArchiveArrivals()
        _ = arrivals.countArrivals(in: [member("a", 100)], at: 100)
        #expect(arrivals.readFrom(at: 100) == 90)
        #expect(arrivals.countArrivals(in: [member("late", 91), member("a", 100)], at: 105) == [member("late", 91)])
    }

    @Test("The overlap's first second counts, the one before it does not")
    func edgeOfOverlap() {
        var arrivals = ArchiveArrivals()
        _ = arrivals.countArrivals(in: [member("a", 100)], at: 100)
        let found = [member("before", 89), member("first", 90), member("a", 100)]
        #expect(arrivals.countArrivals(in: found, at: 105) == [member("first", 90)])
    }

    @Test("A stamp from the future hides nothing that comes after it")
    func future() {
        var arrivals = ArchiveArrivals()
        _ = arrivals.countArrivals(in: [member("wrong", 9_999_999_999)], at: 100)
        #expect(arrivals.readFrom(at: 100) == 90)
        #expect(
            arrivals.countArrivals(in: [member("b", 101), member("wrong", 9_999_999_999)], at: 102) == [
                member("b", 101)
            ])
        #expect(arrivals.total == 2)
    }

    @Test("A stamp from the future hides nothing that died long before the next look")
    func futureAndPause() {
        var arrivals = ArchiveArrivals()
        let wrong = member("wrong", 9_999_999_999)
        _ = arrivals.countArrivals(in: [wrong], at: 100)
        #expect(arrivals.readFrom(at: 160) == 90, "from the last look on, not from this one")
        #expect(arrivals.countArrivals(in: [member("b", 105), wrong], at: 160) == [member("b", 105)])
    }

    @Test("Dead, run, seen to be gone, and dead again under the stamp it had: that is two deaths")
    func sameStampAgain() {
        var arrivals = ArchiveArrivals()
        #expect(arrivals.countArrivals(in: [member("a", 100)], at: 100).count == 1)
        #expect(arrivals.countArrivals(in: [], at: 101).isEmpty)
        #expect(arrivals.countArrivals(in: [member("a", 100)], at: 102).count == 1)
        #expect(arrivals.total == 2)
    }

    @Test("What a look had no space for is not forgotten")
    func incomplete() {
        var arrivals = ArchiveArrivals()
        let later = member("later", 108)
        _ = arrivals.countArrivals(in: [member("a", 100), later], at: 110)
        #expect(
            arrivals.countArrivals(in: [member("a", 100), member("b", 101)], at: 111, isComplete: false) == [
                member("b", 101)
            ])
        #expect(arrivals.countArrivals(in: [member("a", 100), member("b", 101), later], at: 112).isEmpty)
    }

    @Test("A clock that is turned back counts nothing twice, and what comes after it counts")
    func turnedBack() {
        var arrivals = ArchiveArrivals()
        let dead = [member("a", 945), member("b", 985), member("c", 1000)]
        _ = arrivals.countArrivals(in: dead, at: 1000)
        #expect(arrivals.countArrivals(in: dead, at: 950).isEmpty)
        #expect(arrivals.total == 3)
        #expect(
            arrivals.countArrivals(in: [member("a", 945), member("d", 951)] + dead.dropFirst(), at: 952) == [
                member("d", 951)
            ])
    }

    @Test("The baseline does not count")
    func baseline() {
        var arrivals = ArchiveArrivals()
        arrivals.begin([member("old", 95), member("newest", 100)], at: 100)
        #expect(arrivals.total == 0)
        #expect(
            arrivals.countArrivals(in: [member("old", 95), member("newest", 100), member("new", 100)], at: 101).count
                == 1)
    }

    @Test("An archive that is trimmed, emptied by hand and filled again counts every death once")
    func randomArchive() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var arrivals = ArchiveArrivals()
        var archive: [ScoredMember] = []
        var deaths: UInt64 = 0
        var now: Int64 = 1_000_000
        for step in 0..<3000 {
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                deaths += 1
                archive.append(member("t\(deaths)", now - Int64.random(in: 0...4, using: &random)))
            }
            // A look comes before anything that died since the last one is trimmed or deleted.
            archive.sort { ($0.score, $0.member.count) < ($1.score, $1.member.count) }
            let from = arrivals.readFrom(at: now) ?? .min
            _ = arrivals.countArrivals(in: archive.filter { $0.score >= from }, at: now)
            #expect(arrivals.total == deaths, "seed \(seed), step \(step)")
            if archive.count > 100 { archive.removeFirst(archive.count - 100) }
            if Int.random(in: 0..<50, using: &random) == 0 { archive = [] }
            now += Int64.random(in: 0...5, using: &random)
        }
    }
}
