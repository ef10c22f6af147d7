import Forwarder
import Glibc
import MetricsPush
import OTLPClient
import Platform
import Redis
import SpanReceiver
import Synchronization
import Testing

@testable import AsynqRedis
@testable import Collector

@Suite("Secrets")
struct SecretTests {
    private static let secret = "s3cr3t!%41/?#"

    @Test("What is printed holds no secret, wherever it was given")
    func redaction() throws {
        let found = try settings(
            [
                "--redis-password", "hush1", "--otlp-bearer-token=hush2", "--tempo-headers",
                "Authorization=Basic hush3, X=hush4=",
                "--redis-url", "redis://joe:hush5@h:1/2", "--tempo-endpoint", "https://joe:hush6@h/otlp",
                "--external-url-grafana", "http://joe:hush7@g", "--redis-sentinel-password", "hush8",
            ])
        let yaml = EffectiveConfiguration.yaml(found)
        #expect(!yaml.contains("hush"), "\(yaml)")
        #expect(yaml.contains("redis://joe:<redacted>@h:1/2"))
        #expect(yaml.contains("https://joe:<redacted>@h/otlp"))
        #expect(yaml.contains("Authorization=<redacted>,X=<redacted>"))
    }

    @Test(
        "Urls keep all but what stands before the @",
        arguments: [
            ("redis://u:p@h:1/0", "redis://u:<redacted>@h:1/0"), ("redis://:p@h", "redis://:<redacted>@h"),
            ("redis://p@h", "redis://<redacted>@h"), ("redis://u:a@b:c@h", "redis://u:<redacted>@h"),
            ("unix://u:p@/x/y?db=1", "unix://u:<redacted>@/x/y?db=1"), ("unix:///run/a@b.sock", "unix:///run/a@b.sock"),
            ("redis://h:1", "redis://h:1"), ("none", "none"), ("", ""), ("http://[::1]:2/x", "http://[::1]:2/x"),
        ])
    func urls(text: String, shown: String) {
        #expect(EffectiveConfiguration.redactedURL(text) == shown)
    }

    @Test(
        "Of a query, values are not shown whose names say that they are secrets",
        arguments: [
            ("http://h/?api_token=hush&x=1", "http://h/?api_token=<redacted>&x=1"),
            ("http://h/v1?X-Amz-Signature=hush&&KEY=a=b", "http://h/v1?X-Amz-Signature=<redacted>&&KEY=<redacted>"),
            ("http://u:hush@h?authorization=hush", "http://u:<redacted>@h?authorization=<redacted>"),
            ("redis-sentinel://h:1/0?master=NAME&db=2", "redis-sentinel://h:1/0?master=NAME&db=2"),
            ("http://h/?", "http://h/?"), ("http://h/?token", "http://h/?token"), ("http://h/key=1", "http://h/key=1"),
        ])
    func queries(text: String, shown: String) {
        #expect(EffectiveConfiguration.redactedURL(text) == shown)
    }

    @Test(
        "A password with / ? or # that should have been percent-encoded is not shown either",
        arguments: [
            "http://u:hu/sh@h:1", "http://u:hu?sh@h", "http://u:hu#sh@h/x", "http://u:/hush@h",
        ])
    func unencoded(text: String) {
        let shown = EffectiveConfiguration.redactedURL(text)
        #expect(
            !shown.contains("sh@") && !shown.contains("hu/") && !shown.contains("hu?") && !shown.contains("hu#"),
            "\(shown)")
    }

    @Test(
        "What stands in the place of a port and is none is not shown: a URL that was cut off ends in its password",
        arguments: [
            ("redis://:hu", "redis://:<redacted>"), ("redis://user:hush", "redis://user:<redacted>"),
            ("redis://hush:h:6379", "redis://<redacted>"), ("redis://:123456", "redis://:<redacted>"),
            ("redis-sentinel://u:hush,h2:1/0?master=m", "redis-sentinel://u:<redacted>,h2:1/0?master=m"),
            ("redis-sentinel://h1:1,u:hush,h2:2", "redis-sentinel://h1:1,u:<redacted>,h2:2"),
            ("redis-sentinel://u:hu,sh,h2:2", "redis-sentinel://u:<redacted>"),
            ("redis-sentinel://u:hush,b:hush/0", "redis-sentinel://u:<redacted>"),
            (":hush", ":<redacted>"), ("user:hush", "user:<redacted>"), ("redis:user:hush", "redis:user:<redacted>"),
            ("http://user:hush", "http://user:<redacted>"), ("http://user:hush/v1", "http://user:<redacted>"),
            ("redis://:hu/sh", "redis://:<redacted>"), ("redis://:hu?sh", "redis://:<redacted>"),
            ("redis://:hu#sh", "redis://:<redacted>"), ("redis://:/hush", "redis://:<redacted>"),
            ("redis://:hush/0", "redis://:<redacted>/0"), ("http://[::1]:hush", "http://[::1]:<redacted>"),
            ("redis:hush", "redis:<redacted>"), ("redis//user:hush", "redis//user:<redacted>"),
            ("redis:///user:hush", "redis:///user:<redacted>"), ("http:/user:hush", "http:/user:<redacted>"),
            ("REDIS://user:hush", "REDIS://user:<redacted>"), ("unix://user:hush/r", "unix://user:<redacted>"),
            ("unix:user:hush", "unix:user:<redacted>"), ("redis://user:1234x/hush", "redis://user:<redacted>"),
            ("redis://h:63x9", "redis://h:<redacted>"), ("redis://h:+1", "redis://h:<redacted>"),
            ("redis://:123,hush", "redis://:<redacted>"), ("redis://user:12/hush", "redis://user:<redacted>"),
            ("user:12/hush", "user:<redacted>"), ("redis://:12?hush", "redis://:<redacted>"),
            ("redis://user:99/0/hush", "redis://user:<redacted>"), ("http://user:12,hush", "http://user:<redacted>"),
            ("redis-sentinel://u:12,hush,h2:2", "redis-sentinel://u:<redacted>"),
            ("redis-cluster://h1:1,u:22/hush", "redis-cluster://h1:1,u:<redacted>"),
            ("unix://user:12/hush", "unix://user:<redacted>"), ("redis:user:12/hush", "redis:user:<redacted>"),
            ("redis-cluster://u:12,hush", "redis-cluster://u:<redacted>"), ("user:12hush", "user:<redacted>"),
            ("http://user:1h2u3", "http://user:<redacted>"), ("http://user:h1234", "http://user:<redacted>"),
            ("http://h:hush:1", "http://<redacted>"),
            // What is a host, a port, an address or a path is shown, and a port that is typed wrong.
            ("http://tempo:43l8", "http://tempo:43l8"),
            ("https://t.example.com:443x/otlp", "https://t.example.com:443x/otlp"),
            ("http://tempo:4318:4318", "http://tempo:4318:4318"), ("collector:4318:4318", "collector:4318:4318"),
            ("http://http://tempo:4318", "http://http://tempo:4318"),
            ("http://https://u:hush", "http://https://u:<redacted>"),
            ("rediss://x:6380/0?ssl=true", "rediss://x:6380/0?ssl=true"),
            ("redis-cluster://a:7000,b", "redis-cluster://a:7000,b"),
            ("redis://localhost:6379/mydb", "redis://localhost:6379/mydb"),
            ("redis://10.0.0.1:1/db", "redis://10.0.0.1:1/db"),
            ("redis://cache:6379/mydb", "redis://cache:6379/mydb"), ("http://h:1/v1/x", "http://h:1/v1/x"),
            ("redis-sentinel://h1:1,h2/0?master=m", "redis-sentinel://h1:1,h2/0?master=m"),
            ("redis://h:1/3?db=2", "redis://h:1/3?db=2"), ("tempo:4318/v1/traces", "tempo:4318/v1/traces"),
            ("redis://h:99999", "redis://h:99999"), ("redis://h:", "redis://h:"), ("redis://h:/0", "redis://h:/0"),
            ("redis://::1:6379", "redis://::1:6379"), ("redis://[::1", "redis://[::1"), ("::1", "::1"),
            ("2001:db8:0:0:0:0:0:1:6379", "2001:db8:0:0:0:0:0:1:6379"), ("localhost:6379", "localhost:6379"),
            ("redis://h1:1,h2:2", "redis://h1:1,h2:2"), ("redis:h:6379", "redis:h:6379"),
            ("http:/h:1/x:y", "http:/h:1/x:y"), ("unix:///run/a:b", "unix:///run/a:b"), ("unix:/r", "unix:/r"),
            ("redis:6379", "redis:6379"), ("redis", "redis"), ("unix:/run/a:b", "unix:/run/a:b"),
            ("http://h:1/a:b?x=c:d", "http://h:1/a:b?x=c:d"),
        ])
    func cutOff(text: String, shown: String) {
        #expect(EffectiveConfiguration.redactedURL(text) == shown)
        #expect(!shown.contains("hu"))
    }

    @Test("A URL that is put into another key keeps its password to itself, in the value and in the reason")
    func otherKeys() throws {
        for (flag, value) in [
            ("metrics-listen", "http://u:hush@h:1"), ("otlp-listen", "127.0.0.1:1,u:hush@h:2"),
            ("metrics-allowed-hosts", "https://u:hush@h"), ("otlp-cors-allowed-origins", "https://u:hush@h/x"),
            ("redis-interval", "redis://u:hush@h"), ("wait-attributes", "redis://u:hush@h"),
            ("spool-directory", "http://u:hush@h"), ("metrics-listen", "127.0.0.1:1,u:hush@h"),
        ] {
            let found = try problems(["--\(flag)=\(value)"])
            #expect(!found.isEmpty && found.allSatisfy { !$0.contains("hush") && $0.contains("@h") }, "\(found)")
        }
    }

    @Test("The same where the URL is cut off before its @, and of a listener that may be a user and a password")
    func cutOffElsewhere() throws {
        for (flag, value) in [
            ("spool-directory", "redis://:hush"), ("metrics-listen", "user:hush"), ("metrics-listen", ":hush"),
            ("otlp-listen", "127.0.0.1:1,user:hush"), ("otlp-listen", "redis://:hush"),
            ("otlp-socket", "redis://u:hush"),
            ("redis-interval", "redis://:12,hush"), ("metrics-allowed-hosts", "user:hush"),
            ("metrics-allowed-hosts", "redis://:hush"), ("otlp-cors-allowed-origins", "redis://u:hush"),
            ("otlp-max-body", "http://u:hush"), ("log-level", "redis://u:12/hush"),
            ("wait-attributes", "redis://:hush"),
            ("external-url-grafana", "redis://:hush"),
        ] {
            let found = try problems(["--\(flag)=\(value)"])
            #expect(!found.isEmpty && found.allSatisfy { !$0.contains("hush") }, "\(found)")
        }
        for (flag, value) in [
            ("otlp-listen", "127.0.0.1:notaport"), ("metrics-listen", "localhost:70000"), ("otlp-listen", "[::1]:x"),
            ("metrics-listen", "here"), ("otlp-listen", "http://0.0.0.0:4318"), ("metrics-allowed-hosts", "http://b"),
        ] {
            let found = try problems(["--\(flag)=\(value)"])
            #expect(!found.isEmpty && found.allSatisfy { $0.contains("\"\(value)\"") }, "\(found)")
        }
    }

    @Test(
        "A secret that is run into its name is not shown",
        arguments: [
            ("redis: {password:hush}", "redis.password…"), ("redis: {password hush}", "redis.password…"),
            ("redis: {password:hu.sh}", "redis.password…"), ("redis: {password=hush}", "redis.password=…"),
            ("redis: {password;hush}", "redis.password…"), ("redis: {password：hush}", "redis.password…"),
            ("redis: {password-file:hush}", "redis.password-file…"), ("{bearer-token:hush}", "bearer-token…"),
            ("{redis.password:hush}", "redis.password…"), ("tempo: {headers:hush=x}", "tempo.headers…"),
            ("otlp: {bearer-token:hush, socket: none}", "otlp.bearer-token…"),
            ("redis:\n  password:hush", "redis.password…"), ("redis: {url:redis://:hush@h}", "redis.url…"),
            ("metrics: {push: {headers:Authorization=hush}}", "metrics.push.headers…"),
            ("redis://joe:hush@h: x", "redis…"),
        ])
    func joinedNames(yaml: String, shown: String) throws {
        let found = try problems(yaml: yaml)
        #expect(found.count == 1 && found[0].hasPrefix("unknown key \(shown) (/tmp/"), "\(found)")
        #expect(!found[0].contains("hush") && !found[0].contains("hu.sh"), "\(found)")
        let lacksBlank = shown.contains(".") && yaml.contains("\(shown.split(separator: ".").last?.dropLast() ?? "x"):")
        #expect(found[0].hasSuffix("; a blank is missing behind the colon") == lacksBlank, "\(found)")
    }

    @Test("The same on a command line, and in the environment")
    func joinedFlags() throws {
        for argument in [
            "--redis-password:hush", "--redis-password hush", "-redis-password hush", "redis-password:hush",
            "redis-password hush", "--redis.password:hush", "--redis-passwort hush", "redis.url redis://:hush@h",
        ] {
            for arguments in [["run", argument], ["completion", "bash", argument]] {
                let found = Invocation(arguments).problems.map(\.description)
                #expect(found.count == 1 && !found[0].contains("hush") && found[0].contains("redis"), "\(found)")
            }
        }
        for arguments in [["run", "redis-password", "hush"], ["run", "redis.password:", "hush"]] {
            let found = Invocation(arguments).problems.map(\.description)
            #expect(found.count == 1 && !found[0].contains("hush"), "\(found)")
        }
        let found = try problems(environment: [("ASYNQ_COLLECTOR_REDIS_PASSWORD:hush", "x")])
        #expect(found.count == 1 && found[0].hasPrefix("unknown key ASYNQ_COLLECTOR_REDIS_PASSWORD…; "), "\(found)")
    }

    @Test("A token has no blanks at its ends and no control characters, at the start and in a file that is read again")
    func tokens() throws {
        for key in ["otlp-bearer-token", "metrics-bearer-token"] {
            for (token, fault) in [
                ("  ", "begin or end with a blank"), (" ", "begin or end with a blank"),
                ("hush\u{A0}", "begin or end with a blank"), (" hush", "begin or end with a blank"),
                ("hush\n", "holds no line breaks"), ("\thush", "holds no line breaks"),
                ("hu\u{1}sh", "holds no line breaks"), ("hush\u{7F}", "holds no line breaks"),
            ] {
                let found = try problems(["--\(key)=\(token)"])
                #expect(found.count == 1 && found[0].contains(fault), "\(token.debugDescription): \(found)")
                #expect(!found[0].contains("hush"))
            }
            #expect(try problems(["--\(key)=let me in"]) == [])
            let blank = try TemporaryFile("  \n")
            #expect(try problems(["--\(key)-file", blank.path]).count == 1)
            let file = try TemporaryFile("hush\n")
            #expect(try problems(["--\(key)-file", file.path]) == [])
        }
        let file = try TemporaryFile("first\n")
        let found = try #require(try options(["--otlp-bearer-token-file", file.path]))
        try Files.replace(file.path, with: Array(" second\n".utf8))
        #expect(found.receiver.rereadBearerToken?() == "first")
    }

    @Test("Problems do not repeat secrets")
    func problemTexts() throws {
        let found = try problems(
            [
                "--redis-url", "redis-cluster://u:hush@h/1", "--tempo-endpoint=ftp://u:hush@h",
                "--tempo-headers=hush,A=B",
                "--redis-password-file=/tmp/not/there",
            ])
        #expect(found.count >= 4)
        #expect(found.allSatisfy { !$0.contains("hush") }, "\(found)")
    }

    @Test("Secrets come from files by flag, environment and file key, without their final line end")
    func files() throws {
        let contents = [
            ("hush\n", "hush"), ("hush\r\n", "hush"), ("hush", "hush"), (" a b \n\n", " a b "), ("a\nb\n", "a\nb"),
        ]
        for (content, value) in contents {
            let file = try TemporaryFile(content)
            #expect(try settings(["--redis-password-file", file.path]).text("redis.password") == value)
            let environment: [Pair] = [("ASYNQ_COLLECTOR_REDIS_PASSWORD_FILE", file.path)]
            #expect(try settings(environment: environment).text("redis.password") == value)
            #expect(try settings(yaml: "redis: {password-file: \(file.path)}").text("redis.password") == value)
            #expect(try options(["--redis-password-file", file.path])?.redis?.target.endpoint.password == value)
        }
        let url = try TemporaryFile("redis://joe:hush@h:7\n")
        #expect(try options(["--redis-url-file", url.path])?.redis?.target.endpoint.description == "h:7")
        let headers = try TemporaryFile("A=B, C=D=E\n")
        let forwarder = try options(["--tempo-endpoint=http://h", "--tempo-headers-file", headers.path])?.forwarder
        let sent = try #require(forwarder?.backend.headers)
        #expect(sent.map(\.name) == ["A", "C"] && sent.map(\.value) == ["B", "D=E"])
    }

    @Test("A secret file that is missing or a directory is a problem that names the key; other keys have none")
    func badFiles() throws {
        #expect(try problems(["--redis-password-file", "/tmp/no/such/file"])[0].contains("redis.password"))
        #expect(try problems(["--redis-password-file", "/tmp"]).count == 1)
        #expect(try problems(["--redis-password-file", "/dev/zero"]).count == 1, "an endless file is cut off")
        #expect(try problems(["--log-level-file", "/tmp/x"])[0].contains("unknown key"))
    }

    @Test("User and password override those of the url")
    func overrides() throws {
        let endpoint = try #require(
            try options(["--redis-url=redis://a:b@h", "--redis-username=c", "--redis-password", Self.secret])?
                .redis?.target.endpoint)
        #expect(endpoint.username == "c" && endpoint.password == Self.secret)
    }
}

@Suite("Secrets that are rotated")
struct RotatedSecretTests {
    private static func write(_ text: String, to file: TemporaryFile) throws {
        try Files.replace(file.path, with: Array(text.utf8))
    }

    @Test("Redis' user and passwords are those that the files hold when a connection is made")
    func redis() throws {
        let (password, sentinel, url) = (
            try TemporaryFile("one"), try TemporaryFile("two"),
            try TemporaryFile(
                "redis-sentinel://joe@h/0?master=m")
        )
        let target = try #require(
            try options([
                "--redis-url-file", url.path, "--redis-password-file", password.path, "--redis-sentinel-password-file",
                sentinel.path, "--redis-sentinel-username=scout",
            ])?.redis?.target)
        #expect(target.endpoint.password == "one" && target.endpoint.username == "joe")
        #expect(target.sentinels?.password == "two" && target.sentinels?.username == "scout")
        try Self.write("three\n", to: password)
        try Self.write("four\n", to: sentinel)
        try Self.write("redis-sentinel://jim@h2/3?master=m", to: url)
        let now = try #require(target.reread?())
        #expect(now.endpoint.password == "three" && now.endpoint.username == "jim" && now.endpoint.database == 3)
        #expect(now.sentinels?.password == "four" && now.sentinels?.addresses == [.tcp(host: "h2", port: 26379)])
        #expect(try options(["--redis-password=x"])?.redis?.target.reread == nil, "nothing to read again")
    }

    @Test("So are Tempo's endpoint and headers, and the token of OTLP")
    func others() throws {
        let (headers, token, endpoint) = (
            try TemporaryFile("A=1"), try TemporaryFile("first"), try TemporaryFile("https://joe:one@h")
        )
        let found = try #require(
            try options([
                "--tempo-endpoint-file", endpoint.path, "--tempo-headers-file", headers.path,
                "--otlp-bearer-token-file", token.path, "--tempo-tls-server-name=other",
            ]))
        try Self.write("A=2,B=3", to: headers)
        try Self.write("second\n", to: token)
        try Self.write("https://joe:two@h", to: endpoint)
        let now = try #require(found.forwarder?.backend.reread?())
        #expect(now.headers.map(\.value) == ["2", "3"])
        #expect(now.endpoint == (try OTLPEndpoint(base: "https://joe:two@h", for: .traces, serverName: "other")))
        #expect(found.receiver.bearerToken == "first" && found.receiver.rereadBearerToken?() == "second")
    }

    @Test("A file that can't be read, is empty or holds nonsense takes nothing away, and is told once")
    func unreadable() throws {
        let file = try TemporaryFile("A=1")
        let found = try #require(try options(["--tempo-endpoint=http://h", "--tempo-headers-file", file.path]))
        let reports = Mutex<[String]>([])
        found.secretReports.use { report in reports.withLock { $0.append(report) } }
        func values() -> [String] { found.forwarder?.backend.reread?().headers.map(\.value) ?? [] }
        for wrong in ["", "\n", "nonsense"] {
            try Self.write(wrong, to: file)
            for _ in 0..<2 { #expect(values() == ["1"]) }
        }
        unlink(file.path)
        for _ in 0..<2 { #expect(values() == ["1"]) }
        try Self.write("A=2", to: file)
        #expect(values() == ["2"])
        let told = reports.withLock { $0 }
        #expect(
            told.count == 3 && told.allSatisfy { $0.contains("tempo.headers-file") && $0.contains(file.path) },
            "\(told)")
    }

    @Test(
        "A file that turns off what was on at the start takes nothing away: what was read last stays, and it is told",
        arguments: ["none", "none\n"])
    func turnedOff(text: String) throws {
        let (tempo, push, redis) = (
            try TemporaryFile("http://a"), try TemporaryFile("http://a"), try TemporaryFile("redis://a")
        )
        let found = try #require(
            try options([
                "--tempo-endpoint-file", tempo.path, "--metrics-push-endpoint-file", push.path, "--redis-url-file",
                redis.path,
            ]))
        let reports = Mutex<[String]>([])
        found.secretReports.use { report in reports.withLock { $0.append(report) } }
        for file in [tempo, push] { try Self.write("http://b", to: file) }
        try Self.write("redis://b", to: redis)
        func current() -> [String] {
            [
                found.forwarder?.backend.reread?().endpoint.url ?? "", found.push?.backend.reread?().endpoint.url ?? "",
                found.redis?.target.reread?().url ?? "",
            ]
        }
        let rotated = current()
        #expect(rotated.allSatisfy { $0.contains("//b") }, "\(rotated)")
        for file in [tempo, push, redis] { try Self.write(text, to: file) }
        for _ in 0..<2 { #expect(current() == rotated) }
        #expect(reports.withLock { $0.count { $0.contains("none takes effect at a restart only") } } == 3)
    }

    @Test("An endpoint that a file turns into the collector's own listener is not taken, and it is told")
    func ownListener() throws {
        for section in ["tempo", "metrics-push"] {
            let file = try TemporaryFile("http://a")
            let found = try #require(try options(["--\(section)-endpoint-file", file.path]))
            let reports = Mutex<[String]>([])
            found.secretReports.use { report in reports.withLock { $0.append(report) } }
            let backend = try #require(section == "tempo" ? found.forwarder?.backend : found.push?.backend)
            try Self.write("http://b", to: file)
            let before = try #require(backend.reread?().endpoint.url)
            #expect(before.hasPrefix("http://b/"))
            try Self.write("http://localhost:4318", to: file)
            for _ in 0..<2 { #expect(backend.reread?().endpoint.url == before) }
            let told = reports.withLock { $0 }
            #expect(
                told.count == 1 && told[0].contains("-file \(file.path): the collector itself listens there"), "\(told)"
            )
        }
    }

    @Test("An endpoint that a file turns into one with TLS has the certificates that are configured")
    func laterTLS() throws {
        let (file, authorities) = (try TemporaryFile("http://a"), try TemporaryFile("x"))
        for section in ["tempo", "metrics-push"] {
            let found = try #require(
                try options(["--\(section)-endpoint-file", file.path, "--\(section)-tls-ca-file", authorities.path]))
            let backend = try #require(section == "tempo" ? found.forwarder?.backend : found.push?.backend)
            #expect(backend.tls.caFile == authorities.path)
        }
    }

    @Test("Where a file that was rotated can't be read any more, what was read last stays, not what the start has read")
    func lastRead() throws {
        let file = try TemporaryFile("first")
        let found = try #require(try options(["--otlp-bearer-token-file", file.path]))
        func token() -> String? { found.receiver.rereadBearerToken?() }
        try Self.write("second", to: file)
        #expect(token() == "second")
        try Self.write("\n", to: file)
        #expect(token() == "second")
        unlink(file.path)
        #expect(token() == "second")
        try Self.write("third", to: file)
        #expect(token() == "third")
    }

    @Test("SIGHUP names no secret from a file for the next start, and refuses one that is gone")
    func reload() throws {
        let file = try TemporaryFile("one")
        let arguments = ["--redis-password-file", file.path]
        let started = try settings(arguments)
        try Self.write("two", to: file)
        #expect(try Reload(started: started, new: try settings(arguments)).keysForNextStart == [])
        #expect(
            try Reload(started: started, new: try settings(["--redis-password=two"])).keysForNextStart
                == ["redis.password"])
        unlink(file.path)
        #expect(try problems(arguments).count == 1)
        try Self.write("x", to: file)
    }

    @Test("An empty environment variable counts as unset, for every key", arguments: NamedKey.all)
    func emptyVariable(named: NamedKey) throws {
        let key = named.key
        let names = [key.environment] + (key.kind.isSecret ? [key.environment + "_FILE"] : [])
        let found = try settings(environment: names.map { ($0, "") })
        #expect(found.problems.isEmpty && found.text(of: key) == key.defaultText && found.origin(of: key) == .default)
    }
}

@Suite("The effective configuration")
struct EffectiveConfigurationTests {
    @Test("What is printed, read back, gives the same settings")
    func roundTrip() throws {
        let awkward = [
            "", " ", "yes", "null", "~", "0", "007", "1e3", "a: b", "# no comment", "it's", "\"quoted\"", "back\\slash",
            "two\nlines", "tab\there", "&a", "*a", "!x", "- x", "[x]", "{x}", "é€😀", "a\rb", "\u{1}\u{1B}\u{7F}",
            "\u{85}\u{2028}\u{FEFF}",
            "trailing ", "%x", "@x", "`x", "|", ">", "?", "---", "...",
        ]
        for text in awkward {
            let before = try settings(["--otlp-socket-group=" + text, "--redis-username=" + text])
            let after = try settings(yaml: EffectiveConfiguration.yaml(before))
            #expect(after.problems.isEmpty, "\(text.debugDescription): \(after.problems)")
            #expect(after.texts == before.texts, "\(text.debugDescription)")
        }
    }

    @Test("The same for every key changed")
    func everyKey() throws {
        var arguments: [String] = []
        for key in KeyTable.all where !key.kind.isSecret {
            switch key.kind {
            case .text(let allowed) where allowed == "text":
                // Not every text is the name of a server.
                arguments += [key.flag, key.name.hasSuffix("name") ? key.example : "/a \"b\" \(key.name)"]
            case .regularExpression: arguments += [key.flag, "^a\\d+\\\\[\"']$"]
            default: arguments += [key.flag, key.example]
            }
        }
        let before = try settings(arguments)
        let after = try settings(yaml: EffectiveConfiguration.yaml(before))
        #expect(after.problems.isEmpty)
        #expect(after.texts == before.texts)
    }

    @Test("Each key is printed once, below its parents")
    func shape() throws {
        let yaml = EffectiveConfiguration.yaml(try settings())
        let entries = try ConfigurationFile.parse(Array(yaml.utf8))
        #expect(entries.map(\.key) == KeyTable.all.map(\.name))
        #expect(try problems(yaml: yaml) == [])
    }
}
