import NIOCore
import Synchronization

/// The clients that are reading streamed answers. When they are too many, the client that has taken nothing for the
/// longest time is cut off for another one, so that clients that do not read keep no other out.
final class StreamReaders: Sendable {
    /// The time within which a client that took a piece counts as reading.
    private static let patience = TimeAmount.seconds(1)

    private struct Reader {
        let channel: any Channel
        var lastPiece: NIODeadline
    }

    private let readers = Mutex<[ObjectIdentifier: Reader]>([:])

    /// Records that a client has taken a piece.
    func recordPiece(_ channel: any Channel, at now: NIODeadline) {
        readers.withLock { $0[ObjectIdentifier(channel)] = Reader(channel: channel, lastPiece: now) }
    }

    func remove(_ channel: any Channel) {
        readers.withLock { $0[ObjectIdentifier(channel)] = nil }
    }

    /// Closes the connection of the client that has taken nothing for the longest time. Returns false where all are reading.
    func closeStalest(at now: NIODeadline) -> Bool {
        let stalest = readers.withLock { readers in
            let stalest = readers.min { $0.value.lastPiece < $1.value.lastPiece }
            guard let stalest, now - stalest.value.lastPiece >= Self.patience else { return nil as (any Channel)? }
            readers[stalest.key] = nil
            return stalest.value.channel
        }
        stalest?.close(promise: nil)
        return stalest != nil
    }
}
