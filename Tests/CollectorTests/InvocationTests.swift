import Testing

@testable import Collector

@Suite("The command line")
struct InvocationTests {
    @Test("The demo's own flags are no keys, in either form; the last one wins")
    func ownFlags() {
        let invocation = Invocation([
            "demo", "--duration", "1s", "--log-level=debug", "--duration=2s", "--tasks-per-second=5",
        ])
        #expect(invocation.value(of: "--duration") == "2s" && invocation.value(of: "--tasks-per-second") == "5")
        #expect(invocation.flags.map(\.name) == ["--log-level"] && invocation.problems == [])
        #expect(Invocation(["demo", "--duration"]).problems.count == 1)
    }

    private static let misfits: [(arguments: [String], problem: String)] = [
        (["completion"], "completion needs an argument: SHELL"),
        (["completion", "csh"], "csh: allowed is bash, zsh, fish"),
        (["completion", "bash", "zsh"], "unexpected argument zsh"),
        (["completion", "bash", "--log-level=info"], "completion takes no --log-level"),
        (["run", "stray"], "unexpected argument stray"),
        (["help", "run", "scrape"], "unexpected argument scrape"),
        (["completio"], "unknown command completio; did you mean completion?"),
        (["--once"], "run takes no --once; it belongs to top"),
        (["run", "--duration", "1s"], "run takes no --duration; it belongs to demo"),
        (["scrape", "--url", "http://a"], "scrape takes no --url; it belongs to top and healthcheck"),
        (["top", "--onse"], "unknown key --onse; did you mean --once?"),
        (["healthcheck", "--liv"], "unknown key --liv; did you mean --live?"),
        (["demo", "--tasks-per-secnd", "5"], "unknown key --tasks-per-secnd; did you mean --tasks-per-second?"),
        (["--redis-ulr"], "unknown key --redis-ulr; did you mean --redis-url?"),
        (["run", "--redis-ulr", "redis://a"], "unknown key --redis-ulr; did you mean --redis-url?"),
        (["run", "--confg=a.yaml"], "unknown key --confg; did you mean --config?"),
        (["completion", "bash", "--verbose"], "completion takes no --verbose"),
        (["run", "--redis-url"], "--redis-url has no value; write --redis-url VALUE or --redis-url=VALUE"),
    ]

    @Test("What does not fit the command is a problem", arguments: misfits.indices)
    func doesNotFit(index: Int) {
        #expect(
            Invocation(Self.misfits[index].arguments).problems.map(\.description) == [Self.misfits[index].problem])
    }

    @Test("help takes a command or a key in any form; COMMAND --help is help COMMAND")
    func help() {
        for topic in ["scrape", "redis.url", "--redis-url", "ASYNQ_COLLECTOR_REDIS_URL"] {
            let invocation = Invocation(["help", topic])
            #expect(invocation.command == .help && invocation.argument == topic && invocation.problems == [])
        }
        #expect(Invocation(["demo", "--help"]).argument == "demo")
        #expect(Invocation(["completion", "--help"]).problems == [])
        #expect(Invocation(["--help"]).argument == nil && Invocation(["help"]).problems == [])
        #expect(Invocation(["--log-level=info", "--help"]).argument == nil)
    }

    @Test("Every command says what it is; a flag has the form of a flag and is no key's")
    func declarations() {
        for command in Command.allCases {
            let declaration = command.declaration
            #expect(!declaration.summary.isEmpty && !declaration.summary.hasSuffix("."))
            for flag in declaration.flags {
                #expect(flag.name.hasPrefix("--") && flag.help.hasSuffix("."))
                #expect(!KeyTable.all.contains { $0.flag == flag.name })
            }
        }
        #expect(Command.listed.contains(.run) && !Command.listed.contains(.reference))
    }
}
