import Forwarder
import MetricsPush
import OTLPClient
import Testing

@testable import Collector

@Suite("Headers")
struct HeaderPairsTests {
    @Test(
        "A value in quotes holds commas, equals signs and blanks; without quotes it ends at the comma",
        arguments: [
            ("A=B, C=D=E", ["A: B", "C: D=E"]), ("A=\"x,y=z\",B=c", ["A: x,y=z", "B: c"]), ("A=\" x \"", ["A:  x "]),
            ("A=\"a\\\"b\\\\c\"", ["A: a\"b\\c"]), ("A=b\"c", ["A: b\"c"]), ("A=,B=\"\"", ["A: ", "B: "]),
            (" , A=b ,", ["A: b"]),
            ("Authorization=Basic eA==", ["Authorization: Basic eA=="]), ("A=\"\"", ["A: "]), ("", []),
        ])
    func pairs(text: String, expected: [String]) throws {
        #expect(try HeaderPairs.parse(text).map { "\($0.name): \($0.value)" } == expected)
    }

    @Test(
        "What may be a part of a secret becomes no name",
        arguments: [
            "Authorization=Basic a,SECRET==", "Authorization=Basic a,SECRET=", "A=Basic a,SEC/RET=x", "A=a,SECRET",
            "A=\"a", "A=\"a\"b", "a b=c",
            "A=a\r\nB: c", "=a",
        ])
    func refused(text: String) throws {
        let problem = #expect(throws: UnacceptableText.self) { _ = try HeaderPairs.parse(text) }
        #expect(problem?.reasons.allSatisfy { !$0.contains("SEC") } == true)
    }

    @Test("A wrong name is told from a comma in a value")
    func wrongNames() {
        let allowed = "allowed is NAME=VALUE,…"
        let comma = "a value that holds a comma stands in quotes (NAME=\"a,b\"); \(allowed)"
        let signs = "letters, digits and any of !#$%&'*+-.^_`|~"
        for (text, names, problem) in [
            ("Authorization: Basic YWJj=", .headers, "a name has \(signs), no colon and no blank; \(allowed)"),
            ("=x", .headers, "a name has \(signs), no colon and no blank; \(allowed)"),
            ("A=b,c d=e", .headers, comma),
            ("käse=1", .attributes, "a name has \(signs)/, no colon and no blank; \(allowed)"),
            ("a=1,b c=2", .attributes, "a name has \(signs)/, no colon and no blank; \(comma)"),
        ] as [(String, PairNames, String)] {
            let found = #expect(throws: UnacceptableText.self) { _ = try HeaderPairs.parse(text, names: names) }
            #expect(found?.reasons == [problem])
        }
    }

    @Test("A YAML map, a YAML list and quoted text give the same headers, whatever their values hold")
    func yaml() throws {
        let values = ["Authorization: Basic a,b==", "X: 'q\"\\'"]
        for yaml in [
            "tempo:\n  endpoint: http://h\n  headers:\n    Authorization: Basic a,b==\n    X: 'q\"\\'\n",
            "tempo:\n  endpoint: http://h\n  headers:\n    - Authorization=Basic a,b==\n    - 'X=q\"\\'\n",
            "tempo: {endpoint: 'http://h', headers: 'Authorization=\"Basic a,b==\",X=\"q\\\"\\\\\"'}",
        ] {
            let headers = try #require(try options(yaml: yaml)?.forwarder?.backend.headers)
            #expect(headers.map { "\($0.name): \($0.value)" } == [values[0], "X: q\"\\"], "\(yaml)")
            let shown = EffectiveConfiguration.yaml(try settings(yaml: yaml))
            #expect(shown.contains("Authorization=<redacted>,X=<redacted>") && !shown.contains("a,b"))
        }
    }

    @Test(
        "A name that can't be one in a YAML map is refused, with the key, the name and the line",
        arguments: ["a=b", "a,b", "a b", "", "ä", "Authorization=Basic x"])
    func names(name: String) throws {
        let found = try problems(yaml: "tempo:\n  headers:\n    X: y\n    '\(name)': hush\n")
        #expect(
            found.count == 1 && found[0].contains("line 4: tempo.headers: a name with other characters"), "\(found)")
        // The name may be the secret itself.
        #expect(!found[0].contains("hush") && !(name.count > 3 && found[0].contains(name)))
    }

    @Test(
        "Attributes are the same in every form, with slashes in their names and with empty values",
        arguments: [
            "resource: 'k8s.io/pod=a,b=1,c='", "resource: {k8s.io/pod: a, b: 1, c: \"\"}",
            "resource: [k8s.io/pod=a, b=1, 'c=']", "resource: 'k8s.io/pod=a,b=1,c=\"\"'",
            "resource:\n      k8s.io/pod: a\n      b: '1'\n      c: ''",
            "resource:\n      - k8s.io/pod=a\n      - b=1\n      - 'c=\"\"'",
        ])
    func attributes(yaml: String) throws {
        let found = try #require(
            try options(yaml: "metrics:\n  push:\n    endpoint: http://h\n    \(yaml)\n")?.push?.attributes)
        #expect(found.map { "\($0.name): \($0.value)" } == ["k8s.io/pod: a", "b: 1", "c: "])
    }

    @Test("An attribute may have no value wherever it stands; a value may be equals signs")
    func emptyAttributes() throws {
        func found(_ text: String) throws -> [String] {
            try HeaderPairs.parse(text, names: .attributes).map { "\($0.name): \($0.value)" }
        }
        #expect(try found("a=,b=1") == ["a: ", "b: 1"] && found("b=1,a=") == ["b: 1", "a: "])
        #expect(try found("b=1,a=,") == ["b: 1", "a: "] && found("b=1,a==") == ["b: 1", "a: ="])
        #expect(throws: UnacceptableText.self) { _ = try HeaderPairs.parse("a/b=1") }
    }

    @Test(
        "A name that no attribute can have is refused in a map, with the characters of names",
        arguments: [("metrics: {push: {resource: {a b: c}}}", true), ("tempo: {headers: {a/b: c}}", false)])
    func attributeNames(yaml: String, hasSlash: Bool) throws {
        let found = try problems(yaml: yaml)
        #expect(
            found.count == 1 && found[0].contains("any of !#$%&'*+-.^_`|~" + (hasSlash ? "/ in" : " in")), "\(found)")
    }

    @Test("A secret may begin with hyphens; what stands behind it by mistake is not shown")
    func commandLine() throws {
        #expect(Invocation(["--redis-password", "--hush"]).flags.map(\.value) == ["--hush"])
        let stray = Invocation(["--redis-password", "my", "hush"]).problems.map(\.description)
        #expect(stray == ["unexpected argument after --redis-password; quote a value that holds blanks"])
        #expect(Invocation(["--log-level", "info", "x"]).problems.map(\.description) == ["unexpected argument x"])
        for argument in [
            "redis://u:hush@h", "redis.password=hush", "-redis-password=hush", "http://h/?token=hush", "--no-such=hush",
            "--redis-paswod=hush", "redis://:hush", "user:hush",
        ] {
            for arguments in [[argument], ["run", argument], ["completion", argument]] {
                let told = Invocation(arguments).problems.map(\.description)
                #expect(told.count == 1 && !told[0].contains("hush"), "\(told)")
            }
        }
    }

    @Test("What follows an unknown flag is its value, and may be a secret")
    func valueOfUnknownFlag() {
        for arguments in [["-p", "hush"], ["run", "-a", "hush"], ["--pasword", "hush"]] {
            let told = Invocation(arguments).problems.map(\.description)
            #expect(told.count == 1 && !told[0].contains("hush"), "\(told)")
        }
    }

    @Test("What follows an argument that was not expected is not shown, whatever dash or word it stands behind")
    func afterUnexpected() {
        for (arguments, problem) in [
            (["-p", "hush", "hush"], "unexpected argument -p; flags have two hyphens, as --help lists them"),
            (
                ["check-config", "—redis-password", "hush"],
                "unexpected argument —redis-password; flags have two hyphens, as --help lists them"
            ),
            (
                ["check-config", "-redis-password", "--hush"],
                "unexpected argument -redis-password; flags have two hyphens, as --help lists them"
            ),
            (["–token", "hush"], "unexpected argument –token; flags have two hyphens, as --help lists them"),
            (["check-config", "token", "hush", "hush"], "unexpected argument token"),
            (["token", "hush"], "unknown command token; did you mean top?"),
        ] {
            #expect(Invocation(arguments).problems.map(\.description) == [problem])
        }
        let told = Invocation(["run", "token", "hush", "--no-such"]).problems.map(\.description)
        #expect(told.count == 2 && told[1].hasPrefix("unknown key --no-such"), "\(told)")
    }

    @Test(
        "Secrets that are written as keys are not shown",
        arguments: [
            "redis: {password: {hush}}", "redis: {password: {hush: 1}}", "redis:\n  password=hush: 1\n",
            "password=hush: 1",
            "tempo: {headers: {Authorization=Bearer hush}}", "tempo: {headers: {\"Bearer hush\": \"\"}}",
            "metrics:\n  bearer-token: {hush: hush}\n", "redis: {password-file: {hush: x}}",
            "tempo: {header: {hush: x}}", "redis: {passwords: {hush: x}}", "redis: {pw: {hush}}",
            "redis: {ulr: {a: {hush: x}}}", "metrics: {push: {hedders: {hush: x}}}", "otlp: {token: {hush: {}, x: y}}",
            "tempo: {header: {hush: x, hush: y}}", "headers: {hush: x}", "password: {hush}", "Bearer-Token: {hush: 1}",
            "tempo: {auth: {a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {hush: {o: x}}}}}}}}}}}}}}}}}",
        ])
    func keys(yaml: String) throws {
        let found = try problems(yaml: yaml)
        #expect(!found.isEmpty && !found.contains { $0.contains("hush") }, "\(found)")
    }

    @Test(
        "Of an unknown key the first part that no section has is named, else all of it",
        arguments: [
            ("tempo: {header: {A: x}}", "unknown key tempo.header", "tempo.headers"),
            ("redis: {passwords: {a: {b: x}}}", "unknown key redis.passwords", "redis.password"),
            ("metrics: {push: {hedders: {A: x}}}", "unknown key metrics.push.hedders", "metrics.push.headers"),
            ("exporters: {otlp: {endpoint: x}}", "unknown key exporters.otlp.endpoint", "tempo.endpoint"),
            ("redis: {ulr: x}", "unknown key redis.ulr", "redis.url"),
        ])
    func unknownNames(yaml: String, start: String, nearest: String) throws {
        let found = try problems(yaml: yaml)
        #expect(found.count == 1 && found[0].hasPrefix(start + " ("), "\(found)")
        #expect(found[0].hasSuffix("; did you mean \(nearest)?"), "\(found)")
    }

    @Test(
        "A value that YAML takes for none, or for a list, is refused with its key; in quotes it is what it is",
        arguments: [
            "metrics: {bearer-token: #abc\n  }", "otlp:\n  bearer-token: #abc\n", "redis: {password: ~}",
            "redis: {password: null}", "redis: {password: NULL}", "redis: {password: [abc]}", "redis: {password: []}",
            "redis: {url: #x\n  }", "redis: {password-file: #x\n  }", "redis: {password-file: [/x]}",
            "tempo:\n  headers: #abc\n", "metrics:\n  listen: #x\n", "redis:\n  interval:\n",
            "redis:\n  queues:\n    include: #^a\n", "redis: {interval: [5s]}", "log: {level: ~}",
            "metrics:\n  allowed-hosts: #a\n", "tempo:\n  headers: Authorization= #abc\n",
            "metrics: {password}", "metrics:\n  bearer-token: |\n  username: ''\n",
        ])
    func noValue(yaml: String) throws {
        let found = try problems(yaml: yaml)
        #expect(found.count == 1 && found[0].contains(" stands in quotes"), "\(found)")
        let key = try #require(
            [
                "bearer-token", "password-file", "password", "url", "headers", "listen", "interval", "include", "level",
                "hosts",
            ]
            .first { yaml.contains($0) })
        let line = yaml.split(separator: "\n").firstIndex { $0.contains(key) }.map { $0 + 1 } ?? 0
        #expect(found[0].contains(key + " (") && found[0].contains("line \(line)): "), "\(found)")
    }

    @Test(
        "So is one in a list or among pairs, with its line",
        arguments: [
            ("tempo:\n  headers:\n    Authorization: #abc\n", "line 3: tempo.headers: a name"),
            ("tempo:\n  headers: {A: x, B: ~}\n", "line 2: tempo.headers: a name"),
            ("tempo:\n  headers:\n    - #abc\n", "line 3: an item"),
            ("tempo:\n  headers:\n    - Authorization= #abc\n", "line 3: an item"),
            ("metrics:\n  allowed-hosts: [a, ~]\n", "line 2: an item"),
            ("metrics:\n  push:\n    resource: {a: #b\n    }\n", "line 3: metrics.push.resource: a name"),
        ])
    func noValues(yaml: String, part: String) throws {
        let found = try problems(yaml: yaml)
        #expect(found.count == 1 && found[0].contains(part + " has no value; one that "), "\(found)")
    }

    @Test("What stands in quotes is what it is; an empty one is no secret; sections may be empty")
    func quoted() throws {
        let found = try settings(
            yaml: """
                redis: {password: "~", username: 'null', sentinel-password: ""}
                otlp: {bearer-token: '#abc'}
                tempo: {headers: {A: "", B: "~", C: Basic eA==}}
                metrics: {allowed-hosts: [], push: }
                spool: ~
                log: # all of it is commented out
                """)
        #expect(found.problems.isEmpty, "\(found.problems)")
        #expect(found.text("redis.password") == "~" && found.text("redis.username") == "null")
        #expect(found.text("otlp.bearer-token") == "#abc" && found.text("redis.sentinel-password") == "")
        #expect(found.text("tempo.headers") == "A=\"\",B=\"~\",C=\"Basic eA==\"")
    }

    @Test(
        "What YAML would take out of a value is refused: the value stands in quotes",
        arguments: [
            ("bearer-token: !hush", "tags", "!"), ("bearer-token: !!str hush", "tags", "!"),
            ("bearer-token: &hush def", "anchors", "&"), ("bearer-token: *hush", "aliases", "*"),
            ("bearer-token: !hush {a: b}", "tags", "!"), ("allowed-hosts: !hush [a]", "tags", "!"),
            ("allowed-hosts: [!hush a]", "tags", "!"), ("&hush allowed-hosts: a", "anchors", "&"),
        ])
    func marks(line: String, what: String, sign: String) throws {
        let found = try problems(yaml: "metrics:\n  \(line)\n")
        #expect(
            found.count == 1
                && found[0].hasSuffix(
                    "line 2: \(what) are not read here; a value that begins with \(sign) stands in quotes"),
            "\(found)")
    }

    @Test(
        "Of a URL that is wrong, all is shown but what may be a secret",
        arguments: [
            ("tempo:4318", "tempo:4318"), ("HTTPX://tempo:4318", "HTTPX://tempo:4318"),
            ("joe:hush@tempo:4318", "<redacted>@tempo:4318"),
            ("ftp://h/?sas=hush&x=1", "ftp://h/?sas=<redacted>&x=1"), ("ftp://h/#token=hush", "ftp://h/#<redacted>"),
        ])
    func urls(text: String, shown: String) throws {
        let found = try problems(["--tempo-endpoint=\(text)"])
        #expect(
            found.count == 1 && found[0].hasPrefix("tempo.endpoint = \"\(shown)\" (--tempo-endpoint): "), "\(found)")
    }
}
