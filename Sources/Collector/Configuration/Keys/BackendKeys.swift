import OTLPClient

/// `tempo.*`, `metrics.push.*`: the keys that a client of OTLP/HTTP needs to reach a backend.
struct BackendKeys: Sendable {
    typealias Path = KeyPath<KeyTable, BackendKeys> & Sendable

    /// The texts in which one backend differs from another.
    struct Texts: Sendable {
        let endpointExample: String
        let endpointHelp: String
        let timeoutHelp: String
        /// The file that explains the keys; it has the sections `#the-endpoint` and `#tls`.
        let page: String
    }

    let endpoint: Key<OTLPEndpoint?>
    let headers: Key<OTLPBackend.Headers>
    let compression: Key<OTLPCompression>
    let timeout: Key<Duration>
    let tls: TLSKeys

    init(_ signal: OTLPSignal, _ texts: Texts) {
        let section = signal.section
        endpoint = Key(
            section + ".endpoint", .endpoint(for: signal), default: "none", example: texts.endpointExample,
            help: texts.endpointHelp, page: texts.page + "#the-endpoint")
        headers = Key(
            section + ".headers", .headers, default: "", example: "X-Scope-OrgID=team-a",
            help: "Headers that are sent with each request, as NAME=VALUE,…: a tenant, or a token of the backend.",
            page: texts.page + "#the-endpoint")
        compression = Key(
            section + ".compression", .choice(["gzip": .gzip, "zstd": .zstd, "none": .none]), default: "gzip",
            example: "zstd",
            help:
                "The compression of requests. Every backend takes gzip; zstd is smaller, where the backend takes it.",
            page: texts.page)
        timeout = Key(
            section + ".timeout", .duration(), default: "10s", example: "30s", help: texts.timeoutHelp,
            page: texts.page)
        tls = TLSKeys(
            section + ".tls", of: "the backend", serverName: .serverName(for: signal), page: texts.page + "#tls")
    }

    /// Returns the rules between the keys at `path`, which include `tls`.
    static func rules(_ path: any Path, tls: any KeyPath<KeyTable, TLSKeys> & Sendable) -> [SettingRule] {
        [
            TLSKeys.keyNeedsCertificate(tls),
            SettingRule { settings in
                let endpoint = path.appending(path: \.endpoint)
                guard let problem = settings[endpoint]?.problem(besideListeners: settings) else { return [] }
                return [settings.problem(endpoint, is: problem)]
            },
            // libcurl itself would report the fault of the files with the first request only.
            SettingRule { settings in
                guard let endpoint = settings[path.appending(path: \.endpoint)], endpoint.url.hasPrefix("https://"),
                    let problem = ClientTLS(settings, path, for: endpoint.signal).problem
                else { return [] }
                return [ConfigurationProblem("\(endpoint.signal.section).tls: \(problem)")]
            },
        ]
    }
}

extension OTLPBackend? {
    /// Makes the backend; returns nil where the endpoint is `none`.
    ///
    /// - Throws: `ConfigurationProblems` where the endpoint does not go with the server name of TLS.
    init(_ settings: Settings, _ path: any BackendKeys.Path) throws(ConfigurationProblems) {
        let endpointPath = path.appending(path: \.endpoint)
        let headersPath = path.appending(path: \.headers)
        guard var endpoint = settings[endpointPath] else {
            self = nil
            return
        }
        let serverName = settings[path.appending(path: \.tls.serverName)]
        do throws(OTLPEndpoint.Invalid) {
            endpoint = try endpoint.expecting(serverName)
        } catch {
            throw ConfigurationProblems([settings.problem(endpointPath, is: error.problem)])
        }
        let headers = settings[headersPath]
        var backend = OTLPBackend(
            endpoint: endpoint, headers: headers, compression: settings[path.appending(path: \.compression)],
            timeout: settings[path.appending(path: \.timeout)], userAgent: "asynq-collector/\(BuildInfo.version)")
        backend.show = { EffectiveConfiguration.redactedURL($0) }
        // A file may turn the endpoint into one with TLS.
        backend.tls = ClientTLS(settings, path, for: endpoint.signal)
        let secretURL = settings.secret(endpointPath) { $0?.problem(besideListeners: settings) }
        let secretHeaders = settings.secret(headersPath)
        if secretURL != nil || secretHeaders != nil {
            backend.reread = { [endpoint] in
                let current = secretURL?.current.map { url -> OTLPEndpoint in
                    do throws(OTLPEndpoint.Invalid) { return try url.expecting(serverName) } catch { return endpoint }
                }
                return (current ?? endpoint, secretHeaders?.current ?? headers)
            }
        }
        self = backend
    }
}

extension OTLPEndpoint {
    /// Returns the same endpoint, with another name for TLS to ask for and verify.
    /// - Throws: `Invalid` where the name can't be one.
    fileprivate func expecting(_ serverName: String?) throws(Invalid) -> OTLPEndpoint {
        guard let serverName else { return self }
        return try OTLPEndpoint(base: url, for: signal, serverName: serverName)
    }
}

extension ClientTLS {
    init(_ settings: Settings, _ path: any BackendKeys.Path, for signal: OTLPSignal) {
        self.init(for: signal)
        let tls = path.appending(path: \.tls)
        caFile = settings[tls.appending(path: \.caFile)]
        certificateFile = settings[tls.appending(path: \.certFile)]
        keyFile = settings[tls.appending(path: \.keyFile)]
        skipsVerification = settings[tls.appending(path: \.insecureSkipVerify)]
    }
}

extension ValueForm where Value == OTLPEndpoint? {
    /// Reads an endpoint; `none`, or an empty text, is nil.
    fileprivate static func endpoint(for signal: OTLPSignal) -> Self {
        let allowed = "http://host:port, https://host:port or none"
        return Self(.url(allowed: allowed)) { text throws(UnacceptableText) in
            if text == "none" || text.isEmpty { return nil }
            let lowercased = text.lowercased()
            let scheme = ["http://", "https://"].first { lowercased.hasPrefix($0) }
            if scheme == nil || lowercased == scheme { throw UnacceptableText("allowed is \(allowed)") }
            do throws(OTLPEndpoint.Invalid) {
                return try OTLPEndpoint(base: text, for: signal)
            } catch {
                throw UnacceptableText(error.problem)
            }
        }
    }
}

extension ValueForm where Value == String? {
    /// Reads a name that TLS can ask for.
    fileprivate static func serverName(for signal: OTLPSignal) -> Self {
        optional(.text(allowed: "a host's name or address")) { text in
            do throws(OTLPEndpoint.Invalid) {
                _ = try OTLPEndpoint(base: "https://localhost", for: signal, serverName: text)
                return true
            } catch {
                return false
            }
        }
    }
}

extension ValueForm where Value == OTLPBackend.Headers {
    fileprivate static var headers: Self { Self(.secretPairs, read: HeaderPairs.parse) }
}
