import Glibc
import Model
import Platform
import Testing

@testable import Spool

@Suite("Whether the disk takes frames")
struct DiskHealthTests {
    private static let old = SystemError("writing", path: "old", code: ENOSPC)
    private static let new = SystemError("syncing", path: "new", code: EIO)

    /// The states, each with the old error.
    private static let states: [String: DiskHealth] = [
        "well": .well, "failing old": .failing(old.description), "unsynced old": .unsynced(old.description),
        "refusing old, says old": .refusing(old, message: old.description),
    ]

    private static let events: [String: @Sendable (inout DiskHealth) -> Void] = [
        "append": { $0.recordAppend() }, "failed append": { $0.recordFailedAppend(new) },
        "failed sync": { $0.recordFailedSync(new) }, "refusal": { $0.refuse(new) },
        "clean, synced": { $0.recordClean(hasSynced: true) }, "clean": { $0.recordClean(hasSynced: false) },
    ]

    /// The state that follows, by state and event. Where none stands, the state stays.
    private static let table: [String: [String: String]] = [
        "well": [
            "failed append": "failing new", "failed sync": "unsynced new", "refusal": "refusing new, says new",
        ],
        "failing old": [
            "append": "well", "failed append": "failing new", "failed sync": "unsynced new",
            "refusal": "refusing new, says new",
        ],
        "unsynced old": [
            "failed append": "unsynced new", "failed sync": "unsynced new", "refusal": "refusing new, says new",
            "clean, synced": "well",
        ],
        "refusing old, says old": [
            "failed append": "refusing old, says new", "failed sync": "refusing old, says new",
            "refusal": "refusing new, says new", "clean, synced": "well", "clean": "unsynced old",
        ],
    ]

    private static func words(_ health: DiskHealth) -> String {
        func name(_ text: String?) -> String {
            text == old.description ? "old" : text == new.description ? "new" : "\(text ?? "nothing")"
        }
        return switch health {
        case .well: "well"
        case .failing(let message): "failing \(name(message))"
        case .unsynced(let message): "unsynced \(name(message))"
        case .refusing(let error, let message): "refusing \(name(error.description)), says \(name(message))"
        }
    }

    @Test("Each event leads from each state to the one of the table, and an append proves nothing after a failed sync")
    func transitions() {
        for (state, health) in Self.states {
            #expect(Self.words(health) == state)
            for (event, perform) in Self.events {
                var health = health
                perform(&health)
                #expect(Self.words(health) == Self.table[state]?[event] ?? state, "\(state): \(event)")
            }
        }
    }

    @Test("Only a disk that refuses throws at an append, and each state but well has a message", arguments: states.keys)
    func reasons(state: String) {
        #expect((Self.states[state]?.refusal != nil) == state.hasPrefix("refusing"))
        #expect((Self.states[state]?.message != nil) == (state != "well"))
    }

    @Test("A probe that reached the disk makes it well, whatever it was before")
    func probe() {
        let failures: [(inout SpoolDisk) -> Void] = [
            { $0.recordFailedAppend(Self.new) }, { $0.recordFailedSync(Self.new) },
            { $0.recordFailedCopy(Self.new, isOfTheDisk: true) },
        ]
        for (index, fail) in failures.enumerated() {
            var disk = SpoolDisk()
            fail(&disk)
            #expect(disk.health.message != nil && disk.errors == 1)
            #expect((disk.health.refusal != nil) == (index == 2))
            disk.recordProbe()
            #expect(disk.health.message == nil && disk.errors == 1)
        }
    }

    @Test("A copy that fails for its own file says nothing of the disk; a second failed sync of the directory does")
    func refusals() {
        var disk = SpoolDisk()
        disk.recordFailedCopy(Self.new, isOfTheDisk: false)
        #expect(disk.health.refusal == nil && disk.health.message == Self.new.description)
        for count in 1...2 {
            disk.recordFailedDirectorySync(Self.new)
            #expect((disk.health.refusal != nil) == (count == 2))
        }
        disk.recordDirectorySync()
        disk.recordProbe()
        disk.recordFailedDirectorySync(Self.new)
        #expect(disk.health.refusal == nil, "they count in a row")
    }
}
