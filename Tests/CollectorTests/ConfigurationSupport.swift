import Glibc
import Platform

@testable import Collector

/// A file with the given text, removed at the end.
final class TemporaryFile {
    let path: String

    init(_ text: String) throws {
        var template = Array("/tmp/collector-tests-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw SystemError("mkstemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let bytes = Array(text.utf8)
        let written = write(descriptor, bytes, bytes.count)
        close(descriptor)
        if written != bytes.count { throw SystemError("write") }
    }

    deinit {
        unlink(path)
    }
}

typealias Pair = (name: String, value: String)

/// Settings from arguments as on a command line, an environment and the text of a file.
func settings(_ arguments: [String] = [], environment: [Pair] = [], yaml: String? = nil) throws -> Settings {
    let file = try yaml.map { try TemporaryFile($0) }
    var flags = Invocation(arguments).flags
    if let file { flags.append(("--config", file.path)) }
    return withExtendedLifetime(file) { Settings(flags: flags, environment: environment) }
}

/// Every problem of such a configuration.
func problems(_ arguments: [String] = [], environment: [Pair] = [], yaml: String? = nil) throws -> [String] {
    let settings = try settings(arguments, environment: environment, yaml: yaml)
    let unread = Invocation(arguments).problems.map(\.description)
    do throws(ConfigurationProblems) {
        _ = try CollectorOptions(settings)
        return unread
    } catch {
        return unread + error.list.map(\.description)
    }
}

/// The options of such a configuration; nil if it has problems.
func options(_ arguments: [String] = [], environment: [Pair] = [], yaml: String? = nil) throws -> CollectorOptions? {
    let settings = try settings(arguments, environment: environment, yaml: yaml)
    do throws(ConfigurationProblems) {
        return try CollectorOptions(settings)
    } catch {
        return nil
    }
}

/// A key, for arguments of tests.
struct NamedKey: CustomStringConvertible, Sendable {
    let key: any DeclaredKey

    static let all = KeyTable.all.map { NamedKey(key: $0) }

    static func all(where isMeant: (any DeclaredKey) -> Bool) -> [NamedKey] { all.filter { isMeant($0.key) } }

    var description: String { key.name }
}

extension Settings {
    func text(_ name: String) -> String { KeyTable.key(named: name).map { text(of: $0) } ?? "no key is called so" }

    func origin(_ name: String) -> String { KeyTable.key(named: name).map { "\(origin(of: $0))" } ?? "none" }

    /// The texts of all keys by name.
    var texts: [String: String] {
        Dictionary(uniqueKeysWithValues: KeyTable.all.map { ($0.name, text(of: $0)) })
    }
}
