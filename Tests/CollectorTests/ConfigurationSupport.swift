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
    var builder = OptionsBuilder(try settings(arguments, environment: environment, yaml: yaml))
    let options = builder.build()
    let found = builder.problems.map(\.description)
    return options == nil && found.isEmpty ? ["no options and no problem"] : found
}

func options(_ arguments: [String] = [], environment: [Pair] = [], yaml: String? = nil) throws -> CollectorOptions? {
    var builder = OptionsBuilder(try settings(arguments, environment: environment, yaml: yaml))
    return builder.build()
}
