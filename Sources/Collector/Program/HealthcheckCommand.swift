import HTTPService
import Top
import WebClient

/// `healthcheck`: asks a running collector whether it is ready, or with `--live` whether it lives; for containers that
/// have no curl.
enum HealthcheckCommand {
    private static let timeout = Duration.seconds(5)

    static func run(_ invocation: Invocation, environment: [(name: String, value: String)]) -> Int32 {
        let isLive = invocation.value(of: "--live") != nil
        guard let (address, _) = CollectorAddress.read(invocation, environment: environment) else {
            return ExitCode.usage
        }
        let path = isLive ? "/-/healthy" : "/-/ready"
        do throws(WebClient.Failure) {
            let answer = try WebClient(address, timeout: timeout).get(path)
            guard answer.status == 200 else {
                let reason = answer.firstLine.isEmpty ? "" : ": \(TerminalText.escaped(answer.firstLine))"
                Program.printError("asynq-collector: \(address.shown)\(path) answers \(answer.status)\(reason)")
                return ExitCode.failure
            }
            print(TerminalText.escaped(answer.firstLine))
            return ExitCode.ok
        } catch {
            Program.printError("asynq-collector: \(address.shown)\(path) does not answer: \(error.reason)")
            return ExitCode.failure
        }
    }
}

/// The address that `top` and `healthcheck` ask: `--url`, or else the address at which `metrics.listen` puts the
/// collector of this machine.
enum CollectorAddress {
    /// Returns the address, and the credentials that the configuration has for it; nil where flags or configuration are
    /// wrong, which is then printed.
    static func read(
        _ invocation: Invocation, environment: [(name: String, value: String)]
    ) -> (WebAddress, WebClient.Credentials?)? {
        let url = invocation.value(of: "--url")
        let settings = Settings(flags: invocation.flags, environment: environment)
        var problems = invocation.problems + settings.problems
        var address: WebAddress?
        do throws(WebAddress.Invalid) {
            address =
                if let url { try WebAddress(url) } else { try WebAddress(ofListeners: settings[\.metrics.listen]) }
        } catch {
            let origin = url.map { _ in "--url" } ?? "metrics.listen"
            problems.append(ConfigurationProblem("\(origin): \(error.problem)"))
        }
        for problem in problems { Program.printError("asynq-collector: \(problem)") }
        return problems.isEmpty ? address.map { ($0, credentials(settings)) } : nil
    }

    private static func credentials(_ settings: Settings) -> WebClient.Credentials? {
        if let token = settings[\.metrics.bearerToken] { return .token(token) }
        guard let name = settings[\.metrics.username], let password = settings[\.metrics.password] else { return nil }
        return .user(name, password: password)
    }
}

extension WebAddress {
    /// The address for messages. It holds no `@` but that of a socket; where the one of a URL is missing, a password may stand in the place
    /// of the port.
    var shown: String { text.contains("@") ? text : EffectiveConfiguration.redactedURL(text) }

    /// Makes the address of the first listener; for one on every address it is the loopback one.
    ///
    /// - Throws: `Invalid` for an empty list, and for port 0, behind which the system's choice can't be known.
    init(ofListeners listeners: [ListenAddress]) throws(Invalid) {
        switch listeners.first {
        case nil: throw Invalid(problem: "there are no web endpoints; give --url")
        case .unix(let path)?: self.init(socket: path)
        case .anyAddress(0)?, .tcp(_, 0)?:
            throw Invalid(problem: "with port 0 the system chooses where the collector listens; give --url")
        case .anyAddress(let port)?: try self.init("http://127.0.0.1:\(port)")
        case .tcp(let host, let port)?:
            let loopback = ["0.0.0.0": "127.0.0.1", "::": "::1"]
            try self.init("http://\(ListenAddress.tcp(host: loopback[host] ?? host, port: port))")
        }
    }
}
