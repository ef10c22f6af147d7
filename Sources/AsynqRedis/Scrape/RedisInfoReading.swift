import Model

extension RedisInfo {
    /// Returns the sum over the nodes of a Cluster; absent where one node does not say it, because a counter must not
    /// fall.
    func adding(_ other: RedisInfo) -> RedisInfo {
        func sum(_ value: KeyPath<RedisInfo, Int64?>) -> Int64? {
            guard let mine = self[keyPath: value], let others = other[keyPath: value] else { return nil }
            return mine &+ others
        }
        var total = RedisInfo()
        total.usedMemoryBytes = sum(\.usedMemoryBytes)
        total.maxMemoryBytes = sum(\.maxMemoryBytes)
        total.evictedKeys = sum(\.evictedKeys)
        total.connectedClients = sum(\.connectedClients)
        return total
    }

    /// Reads lines of `name:value`.
    mutating func read(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = Int64(line[line.index(after: colon)...])
            switch line[..<colon] {
            case "used_memory": usedMemoryBytes = value
            case "maxmemory": maxMemoryBytes = value
            case "evicted_keys": evictedKeys = value
            case "connected_clients": connectedClients = value
            case "server_time_usec": timeMicroseconds = value
            default: continue
            }
        }
    }
}
