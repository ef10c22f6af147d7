@testable import HTTPService

extension HTTPLimits {
    convenience init(maxBodyBytes: Int, streamBytes: Int = 64 << 20) {
        self.init(memory: HTTPMemory(bodyBytes: maxBodyBytes, streamBytes: streamBytes))
    }

    var heldBodyBytes: Int { memory.heldBodyBytes }
    var heldStreamBytes: Int { memory.heldStreamBytes }

    /// What a connection may hold that comes over a listener of its own.
    func share() -> ConnectionShare { ConnectionShare(ListenerLimits(self)) }
}
