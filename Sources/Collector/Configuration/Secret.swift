import Platform
import Synchronization

/// The value of a key whose text may stand in a file (`redis.password-file`). The file is read again for each use, as
/// certificates are, so that a secret that was rotated counts from then on. The part that uses it gets a closure:
/// `RedisTarget.reread`, `ForwarderOptions.reread`, `ReceiverOptions.rereadBearerToken`.
///
///     use     the file is read → the new value, which is remembered
///             it can't be read, is empty, holds no such value, or one that takes a restart or breaks a rule →
///             the value that was read last, and a report
final class Secret<Value: Sendable>: Sendable {
    private let file: String
    private let key: Key<Value>
    private let reports: SecretReports
    private let problem: @Sendable (Value) -> String?
    private let last: Mutex<Value>

    /// - Parameter problem: Returns what is wrong with a new value, though the key may have it; nil where nothing is.
    init(
        _ value: Value, file: String, key: Key<Value>, reports: SecretReports,
        problem: @escaping @Sendable (Value) -> String? = { _ in nil }
    ) {
        self.file = file
        self.key = key
        self.reports = reports
        self.problem = problem
        last = Mutex(value)
    }

    var current: Value {
        do throws(ConfigurationProblem) {
            let value = try read()
            last.withLock { $0 = value }
            reports.record(nil, file: file)
            return value
        } catch {
            reports.record(error.description, file: file)
            return last.withLock { $0 }
        }
    }

    private func read() throws(ConfigurationProblem) -> Value {
        let text = try SecretFile.read(file, of: key)
        let value: Value
        do throws(UnacceptableText) {
            value = try key.form.read(text)
        } catch {
            throw ConfigurationProblem("\(key.name)-file \(file): \(error.reasons.joined(separator: "; "))")
        }
        if let problem = problem(value) { throw ConfigurationProblem("\(key.name)-file \(file): \(problem)") }
        return value
    }
}

extension Settings {
    /// Returns the value of a key now; nil for one whose text is not in a file.
    func secret<Value>(_ path: KeyPath<KeyTable, Key<Value>>) -> Secret<Value>? {
        let setting = setting(path)
        return setting.file.map {
            Secret(setting.value, file: $0, key: KeyTable.shared[keyPath: path], reports: secretReports)
        }
    }

    /// Does the same for a key that may have no value. One that has a value at the start goes on having one.
    func secret<Value>(_ path: KeyPath<KeyTable, Key<Value?>>) -> Secret<Value?>? {
        secret(path) { _ in nil }
    }

    /// Does the same where a rule says more of a new value.
    ///
    /// - Parameter problem: Returns what is wrong with a new value; nil where nothing is.
    func secret<Value>(
        _ path: KeyPath<KeyTable, Key<Value?>>, problem: @escaping @Sendable (Value?) -> String?
    ) -> Secret<Value?>? {
        let setting = setting(path)
        let isOn = setting.value != nil
        return setting.file.map {
            Secret(setting.value, file: $0, key: KeyTable.shared[keyPath: path], reports: secretReports) {
                isOn && $0 == nil ? "none takes effect at a restart only" : problem($0)
            }
        }
    }
}

enum SecretFile {
    private static let maxBytes = 64 << 10

    /// Returns the content of the file without its last line ends.
    ///
    /// - Throws: `ConfigurationProblem` where the file can't be read, is larger than 64 KiB, or is empty: a secret that
    ///   is not there yet must not switch the protection off.
    static func read(_ path: String, of key: any DeclaredKey) throws(ConfigurationProblem) -> String {
        var content: String
        do throws(SystemError) {
            content = String(decoding: try Files.read(path, limit: maxBytes), as: UTF8.self)
        } catch {
            throw ConfigurationProblem("\(key.name)-file: \(error.description)")
        }
        while let last = content.last, last == "\n" || last == "\r\n" || last == "\r" { content.removeLast() }
        if content.isEmpty { throw ConfigurationProblem("\(key.name)-file: \(path) is empty") }
        return content
    }
}

/// Reports files of secrets that can't be read: each problem once, for as long as it stays the same.
final class SecretReports: Sendable {
    private let problems = Mutex<[String: String]>([:])
    private let report = Mutex<(@Sendable (String) -> Void)?>(nil)

    func use(_ report: @escaping @Sendable (String) -> Void) {
        self.report.withLock { $0 = report }
    }

    /// Records the problem of a file; nil says that it was read.
    fileprivate func record(_ problem: String?, file: String) {
        let isNews = problems.withLock { problems in
            defer { problems[file] = problem }
            return problems[file] != problem
        }
        if let problem, isNews { report.withLock { $0 }?(problem) }
    }
}
