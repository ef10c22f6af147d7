/// `redis.tls.*`, `tempo.tls.*`: the keys that a client needs for TLS to one peer.
struct TLSKeys: Sendable {
    let caFile: Key<String?>
    let certFile: Key<String?>
    let keyFile: Key<String?>
    let serverName: Key<String?>
    let insecureSkipVerify: Key<Bool>

    /// - Parameters:
    ///   - peer: The name of the peer in texts.
    ///   - page: The page that explains all of them.
    init(_ prefix: String, of peer: String, serverName: ValueForm<String?>, page: String) {
        caFile = Key(
            prefix + ".ca-file", .path, default: "", example: "/etc/ssl/private-ca.pem",
            help:
                "A PEM file with the authorities that verify the certificate of \(peer). Without it, the system's.",
            page: page)
        certFile = Key(
            prefix + ".cert-file", .path, default: "", example: "/etc/asynq-collector/client.pem",
            help: "A PEM file with the client certificate that is shown to \(peer), where it wants one.", page: page)
        keyFile = Key(
            prefix + ".key-file", .path, default: "", example: "/etc/asynq-collector/client.key",
            help: "A PEM file with the key of the client certificate, not encrypted.", page: page)
        self.serverName = Key(
            prefix + ".server-name", serverName, default: "", example: "peer.example.com",
            help: "The name that the certificate of \(peer) has to bear, where it is not the host of the URL.",
            page: page)
        insecureSkipVerify = Key(
            prefix + ".insecure-skip-verify", .flag, default: "false", example: "true",
            help: "Accepts any certificate. The connection can then be read and changed by others; for tests only.",
            page: page)
    }

    /// Returns the rule between the keys at `path`.
    static func keyNeedsCertificate(_ path: any KeyPath<KeyTable, TLSKeys> & Sendable) -> SettingRule {
        SettingRule { settings in
            let keyFile = path.appending(path: \.keyFile)
            let certFile = path.appending(path: \.certFile)
            guard settings[keyFile] != nil, settings[certFile] == nil else { return [] }
            return [settings.problem(keyFile, is: "needs \(KeyTable.shared[keyPath: certFile].name)")]
        }
    }
}
