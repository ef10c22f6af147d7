import Synchronization

/// An amount, of bytes or of descriptors, that the connections of several listeners hold together, so that none of them
/// locks the others out. Event loops share it.
///
/// | who            | may hold                                                                                        |
/// |----------------|-------------------------------------------------------------------------------------------------|
/// | all listeners  | the limit                                                                                       |
/// | one listener   | what the others leave of it; an eighth of the limit is kept free for each other one             |
/// | one connection | eight times what is left for its listener then                                                  |
///
/// By the last rule a connection that takes all it can get leaves a ninth of what it found.
package final class SharedLimit: Sendable {
    private static let greed = 8
    private static let keptForEach = 8

    private struct State {
        var limit: Int
        /// The held amounts by listener.
        var held: [Int] = []

        var total: Int { held.reduce(0, +) }

        /// Returns the amount that a listener may still hold.
        func free(for listener: Int) -> Int {
            let kept = limit / SharedLimit.keptForEach
            var free = limit
            for (index, held) in held.enumerated() { free -= index == listener ? held : max(held, kept) }
            return free
        }
    }

    private let state: Mutex<State>

    package init(_ limit: Int) {
        state = Mutex(State(limit: limit))
    }

    package var held: Int { state.withLock { $0.total } }

    /// Returns the largest amount that one connection can hold where this number of listeners shares the limit.
    package static func largest(within limit: Int, listeners: Int) -> Int {
        (limit - limit / keptForEach * max(0, listeners - 1)) / (greed + 1) * greed
    }

    /// Returns the number of a new listener.
    func addListener() -> Int {
        state.withLock { state in
            state.held.append(0)
            return state.held.count - 1
        }
    }

    /// Holds an amount, or returns false and holds nothing.
    ///
    /// - Parameters:
    ///   - connectionHolds: The amount that the asking connection holds; nil where its share does not matter.
    ///   - keeping: The amount that must be left beside that.
    func hold(_ amount: Int, for listener: Int, connectionHolds: Int? = nil, keeping kept: Int = 0) -> Bool {
        state.withLock { state in
            let left = state.free(for: listener) - amount - kept
            guard left >= 0 else { return false }
            if let connectionHolds, connectionHolds + amount > Self.greed * left { return false }
            state.held[listener] += amount
            return true
        }
    }

    func release(_ amount: Int, for listener: Int) {
        state.withLock { $0.held[listener] -= amount }
    }
}
