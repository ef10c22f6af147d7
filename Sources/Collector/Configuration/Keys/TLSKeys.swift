/// `redis.tls.*`, `tempo.tls.*`: what a client needs for TLS to one peer.
struct TLSKeys: Sendable {
    let caFile: Key<String?>
    let certFile: Key<String?>
    let keyFile: Key<String?>
    let serverName: Key<String?>
    let insecureSkipVerify: Key<Bool>

    init(_ prefix: String, serverName: ValueForm<String?>) {
        caFile = Key(
            prefix + ".ca-file", .text, default: "", example: "/etc/ssl/private-ca.pem",
            help: "PEM file of the authorities; the system's without one")
        certFile = Key(
            prefix + ".cert-file", .text, default: "", example: "/etc/asynq-collector/client.pem",
            help: "client certificate")
        keyFile = Key(
            prefix + ".key-file", .text, default: "", example: "/etc/asynq-collector/client.key", help: "its key")
        self.serverName = Key(
            prefix + ".server-name", serverName, default: "", example: "peer.example.com", help: "expected name")
        insecureSkipVerify = Key(
            prefix + ".insecure-skip-verify", .flag, default: "false", example: "true", help: "trust any certificate")
    }

    /// The rule between the keys at `path`.
    static func keyNeedsCertificate(_ path: any KeyPath<KeyTable, TLSKeys> & Sendable) -> SettingRule {
        SettingRule { settings in
            let keyFile = path.appending(path: \.keyFile)
            let certFile = path.appending(path: \.certFile)
            guard settings[keyFile] != nil, settings[certFile] == nil else { return [] }
            return [settings.problem(keyFile, is: "needs \(KeyTable.shared[keyPath: certFile].name)")]
        }
    }
}
