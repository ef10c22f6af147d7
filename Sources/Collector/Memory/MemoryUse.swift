import Text
import Web

/// The bytes that each part of the ledger takes now.
struct MemoryUse: Sendable {
    let ledger: MemoryLedger
    private let readers: [MemoryLedger.Part: @Sendable () -> Int]

    init(_ ledger: MemoryLedger, _ readers: [MemoryLedger.Part: @Sendable () -> Int]) {
        self.ledger = ledger
        self.readers = readers
    }

    /// The parts that are on, in the order of the ledger.
    var parts: [MemoryPart] {
        ledger.parts.compactMap { part in
            readers[part].map { MemoryPart(part: part.rawValue, bytes: $0(), limitBytes: ledger[part]) }
        }
    }
}

extension MemoryLedger: CustomStringConvertible {
    /// The shares, for the log: `bodies 44 MiB, requests 48 MiB, …`.
    var description: String {
        parts.map { "\($0.rawValue) \(humanBytes(self[$0]))" }.joined(separator: ", ")
    }
}
