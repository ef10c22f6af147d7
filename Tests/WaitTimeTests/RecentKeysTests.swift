import Testing

@testable import WaitTime

@Suite("The keys that are remembered to tell what comes again")
struct RecentKeysTests {
    @Test("They are the last ones that came, and the oldest makes room, however many come", arguments: [1, 2, 3, 7])
    func lastOnes(capacity: Int) {
        var keys = RecentKeys<Int>(capacity: capacity)
        for key in 0..<5 * capacity {
            let isNew = keys.insert(key)
            #expect(isNew)
            let remembered = max(0, key - capacity + 1)...key
            // A key that comes again is not inserted once more, and keeps its place.
            for known in remembered {
                let isNewAgain = keys.insert(known)
                #expect(!isNewAgain, "\(known) after \(key)")
            }
        }
    }

    @Test("A key that was forgotten is a new one, and is remembered again")
    func forgotten() {
        var keys = RecentKeys<Int>(capacity: 3)
        // Behind the first three each takes the place of the oldest, which is the one that comes next.
        let areNew = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1].map { keys.insert($0) }
        #expect(!areNew.contains(false))
        let areNewAgain = [3, 0, 1, 2].map { keys.insert($0) }
        #expect(areNewAgain == [false, false, false, true])
    }
}
