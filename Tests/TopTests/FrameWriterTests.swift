import Testing

@testable import Top

@Suite struct FrameWriterTests {
    private let colours = FrameWriter.Looks(hasColours: true, isUTF8: true)

    @Test func onlyLinesThatDifferAreSent() {
        var writer = FrameWriter(colours)
        let first = [Line("one"), Line("two", .warning), Line("three")]
        #expect(
            writer.update(to: first, columns: 80)
                == "\u{1B}[H\u{1B}[2J\u{1B}[1;1Hone\u{1B}[K\u{1B}[2;1H\u{1B}[33mtwo\u{1B}[m\u{1B}[K\u{1B}[3;1Hthree\u{1B}[K"
        )
        #expect(writer.update(to: first, columns: 80) == "")
        #expect(writer.update(to: [Line("one"), Line("2"), Line("three")], columns: 80) == "\u{1B}[2;1H2\u{1B}[K")
        #expect(writer.update(to: [Line("one")], columns: 80) == "\u{1B}[2;1H\u{1B}[J")
    }

    /// The cursor stays on the last cell of a line that is full; to clear from there would take that cell away.
    @Test func aFullLineIsNotCleared() {
        var writer = FrameWriter(colours)
        #expect(
            writer.update(to: [Line("abc"), Line("ab")], columns: 3)
                == "\u{1B}[H\u{1B}[2J\u{1B}[1;1Habc\u{1B}[2;1Hab\u{1B}[K")
    }

    @Test func aScreenThatWasForgottenIsSentWhole() {
        var writer = FrameWriter(colours)
        _ = writer.update(to: [Line("one")], columns: 80)
        writer.forget()
        #expect(writer.update(to: [Line("one")], columns: 80) == "\u{1B}[H\u{1B}[2J\u{1B}[1;1Hone\u{1B}[K")
    }

    @Test func withoutColoursOnlyWeightAndReverseAreLeft() {
        var selected = Line("a", .critical)
        selected.add("b", .good)
        selected.add("c")
        selected.isSelected = true
        var coloured = FrameWriter(colours)
        #expect(
            coloured.update(to: [selected], columns: 80).contains(
                "\u{1B}[7;1;31ma\u{1B}[m\u{1B}[7;32mb\u{1B}[m\u{1B}[7mc"))
        var plain = FrameWriter(.init(hasColours: false, isUTF8: true))
        #expect(plain.update(to: [selected], columns: 80).contains("\u{1B}[7;1ma\u{1B}[m\u{1B}[7mb\u{1B}[m\u{1B}[7mc"))
    }

    @Test func aTextWithoutColoursHasNoEscapes() {
        let line = Line("a\u{1B}[31mb", .critical)
        #expect(FrameWriter(.init(hasColours: false, isUTF8: true)).text([line, Line()]) == "a\\u{1b}[31mb\n\n")
    }

    /// Columns stay where they are: what replaces a character takes as many cells.
    @Test(arguments: [("é", "?"), ("漢字", "????"), ("█▌▏", "## "), ("a…–µ", "a~-u"), ("e\u{301}", "e"), ("↑↓", "^v")])
    func withoutUTF8TextIsASCII(_ text: String, _ ascii: String) {
        #expect(FrameWriter(.init(hasColours: false, isUTF8: false)).text([Line(text + "|")]) == ascii + "|\n")
        #expect(TerminalText.width(text) == TerminalText.width(ascii))
    }
}

@Suite struct LineTests {
    @Test func fieldsHaveTheirWidth() {
        var line = Line()
        line.add("ab", width: 4)
        line.add("漢字漢字", width: 5)
        line.add("9", width: 3, .right)
        #expect(line.text == "ab  漢字…  9")
        #expect(line.width == 12)
    }

    @Test func aTextWithoutCharactersIsNoPartOfALine() {
        var line = Line()
        line.add("", .bold)
        line.pad(to: 0)
        #expect(line.runs.isEmpty && line.width == 0)
        line.add("a", .bold)
        line.add("", .plain)
        line.add("b", .bold)
        line.pad(to: 2)
        #expect(line.runs.map(\.text) == ["ab"] && line.width == 2)
    }

    @Test func aLineIsCutAcrossItsStyles() {
        var line = Line("abc", .bold)
        line.add("def", .dim)
        #expect(line.cut(to: 6) == line)
        #expect(line.cut(to: 5).text == "abcd…")
        #expect(line.cut(to: 3).text == "ab…")
        #expect(line.cut(to: 0).text == "")
        #expect(line.cut(to: 4).width <= 4)
    }
}
