import Glibc
import Model
import Platform
import Synchronization
import Top
import WebClient

/// `top`: the live view of a running collector in a terminal. It asks for the document that the status page shows.
enum TopCommand {
    private static let interval = Duration.seconds(2)
    /// The time between frames that follow one another as text, where a terminal can't be drawn on.
    private static let textInterval = Duration.seconds(5)
    private static let timeout = Duration.seconds(5)

    static func run(_ invocation: Invocation, environment: [(name: String, value: String)]) -> Int32 {
        var invocation = invocation
        let isOnce = invocation.value(of: "--once") != nil
        let isJSON = invocation.value(of: "--json") != nil
        if isJSON && !isOnce {
            invocation.problems.append(ConfigurationProblem("--json goes with --once"))
        }
        let canDraw = !isOnce && TerminalKind.canDraw(environment)
        // This comes before the first thread is made.
        let signals = canDraw ? ProgramSignals(TopScreen.signals) : ProgramSignals()
        do throws(TopFailure) {
            guard let origin = try Origin(invocation, environment) else { return ExitCode.usage }
            defer { origin.end() }
            if isOnce { return try printOnce(origin.source, isJSON: isJSON, environment) }
            var state = TopState()
            state.clockText = { TopClock.local($0) }
            state.show(try TopFeed.overview(origin.source), at: Clock.system.wall())
            return canDraw
                ? try draw(origin.source, state: state, environment: environment)
                : printFrames(state, source: origin.source, environment: environment) {
                    signals.wait(timeout: textInterval) != nil
                }
        } catch {
            Program.printError("asynq-collector: \(error.reason)")
            return ExitCode.failure
        }
    }

    /// The source of the documents: a running collector, or Redis itself.
    private struct Origin {
        let source: TopSource
        let end: () -> Void

        /// Makes the source; returns nil where flags or configuration are wrong, which is then printed.
        ///
        /// - Throws: `TopFailure` where Redis can't be read.
        init?(_ invocation: Invocation, _ environment: [(name: String, value: String)]) throws(TopFailure) {
            if invocation.flags.contains(where: { $0.name == "--redis-url" }) {
                var invocation = invocation
                if invocation.value(of: "--url") != nil {
                    invocation.problems.append(ConfigurationProblem("--url and --redis-url: one of them"))
                }
                guard let options = TopCommand.redisOptions(invocation, environment) else { return nil }
                let collector = try Collector.readingRedis(options)
                source = collector.topSource
                end = { collector.stop() }
            } else {
                guard let (address, credentials) = CollectorAddress.read(invocation, environment: environment) else {
                    return nil
                }
                source = try TopCommand.source(address, credentials)
                end = {}
            }
        }
    }

    /// Returns options in which only the keys of Redis count: nothing is received, stored or sent.
    static func redisOptions(
        _ invocation: Invocation, _ environment: [(name: String, value: String)]
    ) -> CollectorOptions? {
        let settings = Settings(
            flags: invocation.flags, environment: environment, defaults: [DefaultOverride(\.redis.interval, "2s")])
        var options = Program.options(settings, besides: invocation.problems)
        options?.forwarder = nil
        options?.otlpListen = []
        return options
    }

    /// Returns a source that asks for documents over HTTP.
    /// - Throws: `TopFailure` where libcurl has no memory.
    static func source(
        _ address: WebAddress, _ credentials: WebClient.Credentials?
    ) throws(TopFailure) -> TopSource {
        let client: SharedWebClient
        do throws(WebClient.Failure) {
            client = try SharedWebClient(address, credentials, timeout: timeout)
        } catch {
            throw TopFailure(error.reason)
        }
        let answers = TopAnswers(from: address)
        return { question throws(TopFailure) in
            let answer: WebClient.Answer
            do throws(WebClient.Failure) {
                answer = try client.get(question.path, unless: answers.knownTag(of: question))
            } catch {
                throw TopFailure("\(address.shown) does not answer: \(error.reason)")
            }
            return try answers.reply(to: question, answer)
        }
    }

    private static func printOnce(
        _ source: TopSource, isJSON: Bool, _ environment: [(name: String, value: String)]
    ) throws(TopFailure) -> Int32 {
        var text: String
        if isJSON {
            guard case .document(let bytes) = try source(.overview) else { return ExitCode.failure }
            text = String(decoding: bytes, as: UTF8.self)
            if !text.hasSuffix("\n") { text += "\n" }
        } else {
            var state = TopState()
            state.clockText = { TopClock.local($0) }
            state.show(try TopFeed.overview(source), at: Clock.system.wall())
            text = frameText(state, environment)
        }
        return TerminalOutput.write(text) ? ExitCode.ok : ExitCode.failure
    }

    private static func draw(
        _ source: @escaping TopSource, state: TopState, environment: [(name: String, value: String)]
    ) throws(TopFailure) -> Int32 {
        do throws(SystemError) {
            let feed = try TopFeed(source, every: interval, clock: .system)
            try feed.start()
            defer { feed.stop() }
            var screen = TopScreen(feed, state, looks: TerminalKind.looks(environment), clock: .system)
            _ = try screen.run { _ in true }
            return ExitCode.ok
        } catch {
            throw TopFailure(error.description)
        }
    }

    /// Writes frames one after the other, each with the overview as it is then, or with the reason why there is none.
    ///
    /// - Parameters:
    ///   - write: Returns false where a frame can't be written, which is the end.
    ///   - awaitEnd: Waits until the next frame is due, or returns true where a signal ends it.
    static func printFrames(
        _ state: TopState, source: TopSource, environment: [(name: String, value: String)],
        write: (String) -> Bool = { TerminalOutput.write($0) }, awaitEnd: () -> Bool
    ) -> Int32 {
        var state = state
        while true {
            if !write(frameText(state, environment) + "\n") { return ExitCode.failure }
            if awaitEnd() { return ExitCode.ok }
            do throws(TopFailure) {
                state.show(try TopFeed.overview(source), at: Clock.system.wall())
            } catch {
                state.recordFailure(error.reason)
            }
        }
    }

    /// Returns a frame with all queues, as wide as the terminal, or as `COLUMNS` or 80 where there is none.
    static func frameText(_ state: TopState, _ environment: [(name: String, value: String)]) -> String {
        let columns = columns(ofTerminal: TerminalOutput.size?.columns, environment)
        let frame = TopFrame(state, columns: columns, rows: nil, at: Clock.system.wall())
        return FrameWriter(TerminalKind.looks(environment)).text(frame.lines)
    }

    static func columns(ofTerminal columns: Int?, _ environment: [(name: String, value: String)]) -> Int {
        let wished = environment.first { $0.name == "COLUMNS" }.flatMap { Int($0.value) }
        return columns ?? wished.map { min(max($0, 20), 1000) } ?? 80
    }
}

/// The meaning of a collector's answers, and the tag of the overview that it answered last.
final class TopAnswers: Sendable {
    private let address: WebAddress
    private let overviewTag = Mutex<String?>(nil)

    init(from address: WebAddress) {
        self.address = address
    }

    /// Returns the tag of the document that is known; nil where none is.
    func knownTag(of question: TopQuestion) -> String? {
        guard case .overview = question else { return nil }
        return overviewTag.withLock { $0 }
    }

    /// - Throws: `TopFailure` with the status and the first line of an answer that is not a document.
    func reply(to question: TopQuestion, _ answer: WebClient.Answer) throws(TopFailure) -> TopReply {
        if answer.status == 304 { return .unchanged }
        if answer.status == 200 {
            if case .overview = question { overviewTag.withLock { $0 = answer.etag } }
            return .document(answer.body)
        }
        let reason = answer.firstLine.isEmpty ? "" : ": \(TerminalText.escaped(answer.firstLine))"
        throw TopFailure("\(address.shown)\(question.path) answers \(answer.status)\(reason)")
    }
}

/// The kind of standard output, as far as the environment tells.
enum TerminalKind {
    /// True if standard output leads to a terminal.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) != 0 }

    /// Returns true if frames can be drawn in place.
    static func canDraw(_ environment: [(name: String, value: String)], isTerminal: Bool = isTerminal) -> Bool {
        isTerminal && !["", "dumb"].contains(value("TERM", environment))
    }

    static func looks(
        _ environment: [(name: String, value: String)], isTerminal: Bool = isTerminal
    ) -> FrameWriter.Looks {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.map { value($0, environment) }.first { !$0.isEmpty } ?? ""
        let isUTF8 = locale.lowercased().contains("utf-8") || locale.lowercased().contains("utf8")
        return FrameWriter.Looks(
            hasColours: canDraw(environment, isTerminal: isTerminal) && value("NO_COLOR", environment).isEmpty,
            isUTF8: isUTF8)
    }

    private static func value(_ name: String, _ environment: [(name: String, value: String)]) -> String {
        environment.first { $0.name == name }?.value ?? ""
    }
}
