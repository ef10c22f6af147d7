import Metrics
import Testing

@testable import Collector

@Suite("The reference that is made from the tables")
struct ReferenceTests {
    private static let example = ExampleFile.text.split(separator: "\n")

    /// The lines with keys, without their comment sign.
    private static var withKeys: String {
        let lines = example.map { line -> String in
            let text = line.drop { $0 == " " }
            let isKey =
                text.hasPrefix("# ")
                && KeyTable.all.contains { key in
                    text.dropFirst(2).hasPrefix(key.name.split(separator: ".").last.map { "\($0): " } ?? "-")
                }
            return isKey ? String(line.prefix(line.count - text.count) + text.dropFirst(2)) : String(line)
        }
        return lines.joined(separator: "\n")
    }

    @Test("The example file as it is sets nothing")
    func exampleSetsNothing() throws {
        #expect(try problems(yaml: ExampleFile.text) == [])
        #expect(try settings(yaml: ExampleFile.text).texts == settings().texts)
    }

    @Test("Without its comment signs it sets every key, to its default or to its example")
    func exampleHasEveryKey() throws {
        let found = try settings(yaml: Self.withKeys)
        #expect(found.problems == [])
        for key in KeyTable.all {
            #expect(found.text(of: key) == (key.defaultText.isEmpty ? key.example : key.defaultText))
            #expect(found.origin(key.name).contains(" line "), "\(key.name)")
        }
    }

    @Test("The man page and the page of settings have every key with its help")
    func pages() {
        let man = ReferencePart.man.text
        for key in KeyTable.all {
            let flag = key.flag.map { $0 == "-" ? #"\-"# : String($0) }.joined()
            #expect(man.contains(".B \(flag) "), "\(key.name)")
            #expect(ReferencePart.settings.text.contains("### `\(key.name)`\n\n\(key.help)\n"))
            #expect(ReferencePart.settings.text.contains("**Environment** `\(key.environment)`"))
        }
        for line in man.split(separator: "\n") where line.hasPrefix("'") || line.hasPrefix(".") {
            #expect(
                [".\\\"", ".TH", ".SH", ".SS", ".TP", ".B ", ".BR", ".br", ".IP", ".RS", ".RE", ".nh", ".ad l"].contains
                {
                    line.hasPrefix($0)
                })
        }
        #expect(man.unicodeScalars.allSatisfy { $0.isASCII })
    }

    @Test("Every flag and command is in the completions of each shell", arguments: Shell.allCases)
    func completions(shell: Shell) {
        let script = shell.completionScript
        for key in KeyTable.all {
            let name = shell == .fish ? " -l \(key.flag.dropFirst(2)) " : key.flag
            #expect(script.contains(name), "\(key.name)")
        }
        for command in Command.listed { #expect(script.contains(command.rawValue)) }
        #expect(!script.contains("reference"))
    }

    @Test("Each family is declared once, with a setting that exists, and a HELP that fits a cell")
    func families() {
        let families = FamilyTable.allCases.flatMap(\.families)
        #expect(Set(families.map(\.name)).count == families.count && families.count > 60)
        for family in families {
            #expect(!family.help.isEmpty && !family.help.contains("|") && !family.help.contains("\n"), "\(family.name)")
            if let setting = family.setting { #expect(KeyTable.key(named: setting) != nil, "\(setting)") }
            let hasTotal = family.name.hasSuffix("_total")
            #expect(
                (family.kind == .counter) == hasTotal
                    || FamilyTable.asynqmon.families.contains { $0.name == family.name })
        }
    }
}
