import AsynqRedis
import HTTPService
import Model
import Testing
import Top

@testable import Collector
@testable import WebClient

@Suite("What a collector's answers mean to top")
struct TopAnswersTests {
    private let answers: TopAnswers

    init() throws {
        answers = TopAnswers(from: try WebAddress("http://u:p@web-7:9464"))
    }

    private func answer(_ status: Int, _ body: String = "", etag: String? = nil) -> WebClient.Answer {
        WebClient.Answer(status: status, body: Array(body.utf8), etag: etag)
    }

    /// The document as text, "unchanged", or the reason of the failure.
    private func reply(_ question: TopQuestion, _ answer: WebClient.Answer) -> String {
        do throws(TopFailure) {
            switch try answers.reply(to: question, answer) {
            case .document(let bytes): return String(decoding: bytes, as: UTF8.self)
            case .unchanged: return "unchanged"
            }
        } catch {
            return error.reason
        }
    }

    @Test("The tag of the last overview is sent with the next question for it, and with no other")
    func tags() {
        #expect(answers.knownTag(of: .overview) == nil)
        #expect(reply(.overview, answer(200, "{}", etag: "\"1\"")) == "{}")
        #expect(answers.knownTag(of: .overview) == "\"1\"" && answers.knownTag(of: .queue("q")) == nil)
        #expect(reply(.queue("q"), answer(200, "{1}", etag: "\"2\"")) == "{1}")
        #expect(reply(.overview, answer(304, etag: "\"3\"")) == "unchanged")
        #expect(reply(.overview, answer(503, etag: "\"4\"")).contains("503"))
        #expect(answers.knownTag(of: .overview) == "\"1\"")
        #expect(reply(.overview, answer(200, "{2}")) == "{2}")
        #expect(answers.knownTag(of: .overview) == nil)
    }

    @Test("Any other status is a failure that names address, status and the first line, without escapes or a password")
    func failures() {
        #expect(
            reply(.overview, answer(401, "no\u{1B}[2J token\nmore"))
                == "http://web-7:9464/api/v1/overview answers 401: no\\u{1b}[2J token")
        #expect(reply(.queue("a b"), answer(404)) == "http://web-7:9464/api/v1/queues/a%20b answers 404")
        #expect(reply(.overview, answer(201, "x")).hasSuffix("answers 201: x"))
    }

    @Test("A collector that does not answer is named without a password; nothing listens at the port")
    func noAnswer() throws {
        let source = try TopCommand.source(try WebAddress("http://u:p@127.0.0.1:1"), nil)
        let failure = #expect(throws: TopFailure.self) { try source(.overview) }
        #expect(failure?.reason.hasPrefix("http://127.0.0.1:1 does not answer: ") == true)
    }
}

@Suite("The terminal, as far as the environment tells")
struct TerminalKindTests {
    @Test(
        "Frames are drawn in place on a terminal that can move its cursor",
        arguments: [
            ("xterm-256color", true, true), ("dumb", true, false), ("", true, false), (nil, true, false),
            ("xterm", false, false),
        ] as [(String?, Bool, Bool)])
    func canDraw(term: String?, isTerminal: Bool, canDraw: Bool) {
        let environment = term.map { [("TERM", $0)] } ?? []
        #expect(TerminalKind.canDraw(environment, isTerminal: isTerminal) == canDraw)
        #expect(TerminalKind.looks(environment, isTerminal: isTerminal).hasColours == canDraw)
    }

    @Test("NO_COLOR takes the colours, whatever its value; an empty one does not")
    func noColours() {
        for (value, hasColours) in [("1", false), ("0", false), ("", true)] {
            let looks = TerminalKind.looks([("TERM", "xterm"), ("NO_COLOR", value)], isTerminal: true)
            #expect(looks.hasColours == hasColours)
        }
    }

    @Test(
        "The first variable of the locale that has a value decides whether UTF-8 is shown",
        arguments: [
            ([], false), ([("LANG", "de_DE.UTF-8")], true), ([("LANG", "en_US.utf8")], true), ([("LANG", "C")], false),
            ([("LC_ALL", "C"), ("LANG", "C.UTF-8")], false), ([("LC_ALL", ""), ("LANG", "C.UTF-8")], true),
            ([("LC_ALL", "C.UTF-8"), ("LC_CTYPE", "C")], true), ([("LC_CTYPE", "C"), ("LANG", "C.UTF-8")], false),
            ([("LC_CTYPE", "C.UTF-8"), ("LANG", "C")], true), ([("LC_MESSAGES", "C.UTF-8")], false),
        ] as [([Pair], Bool)])
    func locale(environment: [Pair], isUTF8: Bool) {
        #expect(TerminalKind.looks(environment, isTerminal: true).isUTF8 == isUTF8)
    }

    @Test(
        "A text is as wide as the terminal, or as COLUMNS from 20 to 1000, or has 80 columns",
        arguments: [
            (133, "100", 133), (nil, "100", 100), (nil, nil, 80), (nil, "many", 80), (nil, "19", 20), (nil, "20", 20),
            (nil, "1000", 1000), (nil, "1001", 1000), (nil, "-5", 20),
        ] as [(Int?, String?, Int)])
    func columns(terminal: Int?, variable: String?, columns: Int) {
        let environment = variable.map { [("COLUMNS", $0)] } ?? []
        #expect(TopCommand.columns(ofTerminal: terminal, environment) == columns)
    }

    @Test("A frame as text has all queues, and a line for each")
    func frameText() {
        let text = TopCommand.frameText(TopState(), [("COLUMNS", "40")])
        #expect(text.hasPrefix("asynq-collector\nwaiting for the first answer\n") && text.hasSuffix("\n"))
    }
}

@Suite("Frames that follow one another as text")
struct PrintedFramesTests {
    private let frames = LinesOfText()
    private let overviews = LinesOfText()

    /// Prints frames of a collector that does not answer, until there are so many, or until one can't be written.
    private func print(atMost count: Int, canWrite: Bool = true) -> Int32 {
        let (frames, overviews) = (frames, overviews)
        return TopCommand.printFrames(
            TopState(),
            source: { _ throws(TopFailure) in
                overviews.add("asked")
                throw TopFailure("http://h:1 does not answer")
            },
            environment: [],
            write: {
                frames.add($0)
                return canWrite
            },
            awaitEnd: { frames.all.count == count })
    }

    @Test("Each has what is known when it is due; a signal between two of them is an orderly end")
    func failures() {
        #expect(print(atMost: 3) == ExitCode.ok)
        #expect(frames.all.count == 3 && overviews.all.count == 2)
        #expect(frames.all.map { $0.contains("http://h:1 does not answer") } == [false, true, true])
        #expect(frames.all.allSatisfy { $0.hasPrefix("asynq-collector") && $0.hasSuffix("\n\n") })
    }

    @Test("One that can't be written ends it with a failure, and nothing is asked any more")
    func unwritten() {
        #expect(print(atMost: 3, canWrite: false) == ExitCode.failure)
        #expect(frames.all.count == 1 && overviews.all.isEmpty)
    }
}

@Suite("The address that top and healthcheck ask")
struct CollectorAddressTests {
    private func problem(_ listeners: [ListenAddress]) -> String? {
        #expect(throws: WebAddress.Invalid.self) { try WebAddress(ofListeners: listeners) }?.problem
    }

    @Test(
        "It is that of the first listener; of one on every address, the loopback one",
        arguments: [
            ("127.0.0.1:9464", "http://127.0.0.1:9464"), ("10.0.0.7:80", "http://10.0.0.7:80"),
            ("0.0.0.0:80", "http://127.0.0.1:80"), ("[::]:80", "http://[::1]:80"), (":80", "http://127.0.0.1:80"),
            ("[fd00::1]:80", "http://[fd00::1]:80"), ("unix:///run/a.sock", "unix:///run/a.sock"),
            ("unix:@a", "unix:@a"),
        ])
    func listeners(text: String, address: String) throws {
        let listeners = [try ListenAddress(text), .tcp(host: "other", port: 1)]
        #expect(try WebAddress(ofListeners: listeners).text == address)
    }

    @Test("Without a listener, or with a port of the system's choice, it has to be named")
    func unknown() {
        #expect(problem([]) == "there are no web endpoints; give --url")
        let chosen = "with port 0 the system chooses where the collector listens; give --url"
        #expect(problem([.tcp(host: "a", port: 0)]) == chosen && problem([.anyAddress(port: 0)]) == chosen)
    }

    @Test("The credentials of the configuration come with it: a token, or a user with a password")
    func credentials() throws {
        func read(_ arguments: String...) throws -> (WebAddress, WebClient.Credentials?)? {
            CollectorAddress.read(Invocation(["top"] + arguments), environment: [])
        }
        #expect(try #require(try read()).1 == nil)
        let token = try #require(try read("--url", "http://a:1", "--metrics-bearer-token", "t0k"))
        #expect(token.1 == .token("t0k") && token.0.text == "http://a:1")
        let user = try #require(try read("--metrics-username", "ann", "--metrics-password", "pw"))
        #expect(user.1 == .user("ann", password: "pw"))
        #expect(try read("--url", "ftp://a") == nil)
        #expect(try read("--metrics-listen", "none") == nil)
        #expect(try read("--no-such-flag") == nil)
    }

    @Test("In messages it has no password")
    func shown() throws {
        #expect(try WebAddress("http://u:p@h:1").shown == "http://h:1")
        #expect(try WebAddress("unix:@name").shown == "unix:@name")
    }
}

@Suite("What top reads Redis with")
struct TopOptionsTests {
    @Test("With --redis-url nothing is received, stored or sent, and Redis is read every two seconds")
    func redis() throws {
        let invocation = Invocation(["top", "--redis-url", "redis://h:1", "--redis-timeout", "3s"])
        let options = try #require(
            TopCommand.redisOptions(invocation, [("ASYNQ_COLLECTOR_TEMPO_ENDPOINT", "http://tempo:4318")]))
        #expect(options.forwarder == nil && options.otlpListen.isEmpty)
        #expect(options.redis?.interval == .seconds(2) && options.redis?.timeout == .seconds(3))
        let wished = Invocation(["top", "--redis-url", "redis://h:1", "--redis-interval", "7s"])
        #expect(TopCommand.redisOptions(wished, [])?.redis?.interval == .seconds(7))
    }

    @Test("A problem of the flags leaves no options")
    func problems() {
        var invocation = Invocation(["top", "--redis-url", "redis://h:1"])
        invocation.problems.append(ConfigurationProblem("--url and --redis-url: one of them"))
        #expect(TopCommand.redisOptions(invocation, []) == nil)
        #expect(TopCommand.redisOptions(Invocation(["top", "--redis-url", "redis://h:99999"]), []) == nil)
    }
}
