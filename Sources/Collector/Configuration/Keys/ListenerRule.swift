import HTTPService
import OTLPClient

extension SettingRule {
    /// Refuses an address that another entry has, of the same list or of another key: only one of them could be bound.
    static let oneListenerEach = SettingRule { settings in
        let listeners = Listener.all(settings)
        return ListenConflict.all(in: listeners.map(\.addresses)).map { conflict in
            var (taken, owner) = (conflict.second, conflict.first)
            // The value that was given is the one to change.
            if listeners[taken.list].isDefault && !listeners[owner.list].isDefault { swap(&taken, &owner) }
            let place = taken.list == owner.list ? "in the same list" : "in \(listeners[owner.list].name)"
            return listeners[taken.list].problem(
                "\(taken.address): the address is already in use, by \(owner.address) \(place)")
        }
    }
}

extension OTLPEndpoint {
    /// Returns why the endpoint can't be a backend's: one of the collector's own listeners has its address, so that the collector would
    /// send to itself. Returns nil where it is elsewhere.
    func problem(besideListeners settings: Settings) -> String? {
        let listeners = Listener.all(settings)
        guard let (host, port) = hostAndPort, let port = Int(port),
            let own = ListenConflict.listener(at: host, port: port, in: listeners.map(\.addresses))
        else { return nil }
        let key = listeners[own.list].name
        return "the collector itself listens there, at \(own.address) in \(key), and would send to itself; "
            + "give the backend's address, or another one to \(key)"
    }
}

/// A key that names listeners.
private struct Listener {
    let name: String
    let addresses: [ListenAddress]
    let isDefault: Bool
    let problem: (String) -> ConfigurationProblem

    /// Returns the listeners that the settings ask for.
    static func all(_ settings: Settings) -> [Listener] {
        [
            Listener(\.otlp.socket, settings) { [$0].compactMap(\.self) }, Listener(\.otlp.listen, settings) { $0 },
            Listener(\.metrics.listen, settings) { $0 },
        ]
    }

    private init<Value>(
        _ path: KeyPath<KeyTable, Key<Value>>, _ settings: Settings, addresses: (Value) -> [ListenAddress]
    ) {
        name = KeyTable.shared[keyPath: path].name
        self.addresses = addresses(settings[path])
        isDefault = settings.setting(path).origin == .default
        problem = { settings.problem(path, is: $0) }
    }
}
