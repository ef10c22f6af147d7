import Glibc
import Metrics
import Platform

/// Returns the lines of the series in the text page, without the heads of their families, from those whose names begin so.
func series(_ families: [MetricFamily], named prefix: String = "") -> [String] {
    let page = String(decoding: PageFormat.text.encode(families.filter { !$0.samples.isEmpty }), as: UTF8.self)
    return page.split(separator: "\n").filter { $0.hasPrefix(prefix) && !$0.hasPrefix("#") }.map(String.init)
}

/// A directory of a test's own, removed at the end.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/collector-tests-XXXXXX".utf8CString)
        if mkdtemp(&template) == nil { throw SystemError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        Files.removeTree(path)
    }
}
