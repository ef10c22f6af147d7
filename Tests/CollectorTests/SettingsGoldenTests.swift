import Forwarder
import Glibc
import Metrics
import OTLPClient
import Platform
import Redis
import SpanReceiver
import Testing

@testable import Collector

/// `Tests/Fixtures/settings.txt`: each key as users know it, and what its example changes in the options of the parts.
///
/// After a change of the table, `UPDATE_GOLDEN=1 swift test --filter SettingsGoldenTests` writes the file; its diff is what
/// to review.
@Suite("What each setting is and does")
struct SettingsGoldenTests {
    private static let path =
        #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
        + "/Fixtures/settings.txt"

    /// All parts on, so that each key has an effect.
    private static let everythingOn = [
        "--redis-url=redis-sentinel://h/0?master=m", "--tempo-endpoint=https://t", "--tempo-tls-server-name=t",
        "--metrics-push-endpoint=https://t", "--metrics-push-tls-server-name=t",
        // What auto gives depends on the machine.
        "--memory-limit=256MiB",
    ]

    private static func kind(_ key: any DeclaredKey) -> String {
        switch key.kind {
        case .text: "text"
        case .path: "path"
        case .secret: "secret"
        case .url: "url, secret"
        case .secretPairs: "pairs, secret"
        case .pairs: "pairs"
        case .duration(let range, let word):
            "duration from \(DurationText.text(range.lowerBound))" + (word.map { ", or \($0)" } ?? "")
        case .size(let range, let word): "size \(range)" + (word.map { ", or \($0)" } ?? "")
        case .integer(let range): "integer \(range)"
        case .number(let range): "number \(range)"
        case .flag: "flag"
        case .choice(let words): words.joined(separator: ", ")
        case .list, .addresses: "list"
        case .regularExpression: "regular expression"
        }
    }

    /// The fields of a value by their paths.
    private static func fields(_ value: Any, _ path: String = "") -> [String: String] {
        if let limit = value as? BodyLimit { return [path: "\(limit.bytes)"] }
        if let bounds = value as? HistogramBounds { return [path: "\(bounds.values)"] }
        if let duration = value as? Duration { return [path: DurationText.text(duration)] }
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional {
            return mirror.children.first.map { fields($0.value, path) } ?? [path: "nil"]
        }
        guard mirror.displayStyle == .struct, !mirror.children.isEmpty else { return [path: "\(value)"] }
        var found: [String: String] = [:]
        for child in mirror.children {
            let name = child.label ?? ""
            found.merge(fields(child.value, path.isEmpty ? name : path + "." + name)) { first, _ in first }
        }
        return found
    }

    private static func effect(_ key: any DeclaredKey) throws -> [String] {
        // Paths of files are seen in the options of TLS only, because a part that is on would read the files.
        let isFile = ["ca-file", "cert-file", "key-file"].contains(where: key.name.hasSuffix)
        let certificate =
            isFile ? ["--redis-tls-cert-file=/c", "--tempo-tls-cert-file=/c", "--metrics-push-tls-cert-file=/c"] : []
        let isCredential = ["metrics.username", "metrics.password"].contains(key.name)
        let credentials = isCredential ? ["--metrics-username=a", "--metrics-password=a"] : []
        func found(_ arguments: [String]) throws -> [String: String] {
            let settings = try settings(everythingOn + certificate + credentials + arguments)
            var found = fields(RedisTLSOptions(settings), "redis.tls")
            let tls = [
                ("forwarder", ClientTLS(settings, \.tempo.backend, for: .traces)),
                ("push", ClientTLS(settings, \.metrics.push.backend, for: .metrics)),
            ]
            for (part, tls) in tls where isFile {
                found.merge(fields(tls, part + ".backend.tls")) { first, _ in first }
            }
            if !isFile { found.merge(fields(try CollectorOptions(settings))) { first, _ in first } }
            return found
        }
        let before = try found([])
        let after = try found([key.flag, key.example])
        return Set(before.keys).union(after.keys).sorted().filter { before[$0] != after[$0] }.map { path in
            "    \(path): \(before[path] ?? "-") -> \(after[path] ?? "-")"
        }
    }

    @Test("Names, defaults, ranges, reload and effect are those of the golden file")
    func golden() throws {
        var lines: [String] = []
        for group in KeyTable.groups {
            lines.append("# \(group.title)")
            for key in group.keys {
                let value = key.defaultText.isEmpty ? "" : " " + key.defaultText
                let reload = key.isReloadable ? "; reloadable" : ""
                lines.append("\(key.name) =\(value)  (\(Self.kind(key))\(reload))")
                let effect = try Self.effect(key)
                #expect(!effect.isEmpty, "\(key.name) = \(key.example) changes no option")
                lines += ["  \(key.example)"] + effect
            }
        }
        let text = lines.joined(separator: "\n") + "\n"
        if getenv("UPDATE_GOLDEN") != nil {
            let file = try #require(fopen(Self.path, "w"))
            fputs(text, file)
            fclose(file)
        }
        let golden = String(decoding: try Files.read(Self.path), as: UTF8.self).split(separator: "\n")
        for (line, expected) in zip(lines, golden) where line != expected {
            Issue.record("\(line)\nis not, as in the golden file,\n\(expected)")
            break
        }
        #expect(lines.count == golden.count)
    }
}
