import Model
import Testing

@testable import Attention

@Suite("Texts from outside in sentences")
struct ShownTextTests {
    private func text(_ count: Int) -> ForeignText { ForeignText(String(repeating: "x", count: count)) }

    @Test("A name or a word is cut to 120 characters, a reason to 400; what is as long as that is whole")
    func lengths() {
        for (count, shown) in [(120, 120), (121, 120), (1000, 120)] {
            #expect(text(count).shown.count == shown && text(count).shownName.count == shown)
        }
        for (count, shown) in [(400, 400), (401, 400), (1000, 400)] { #expect(text(count).shownProblem.count == shown) }
    }

    @Test("They stand on one line")
    func lines() {
        let text = ForeignText("a\nb")
        #expect(text.shown == "a b" && text.shownName == "a b" && text.shownProblem == "a b")
    }
}
