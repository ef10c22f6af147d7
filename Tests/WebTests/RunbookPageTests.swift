import Attention
import Testing

@testable import Web

@Suite("The runbook as a page")
struct RunbookPageTests {
    @Test("Each condition has its section")
    func sections() {
        let page = String(decoding: RunbookPage.html, as: UTF8.self)
        for condition in Condition.allCases {
            // One for all keys that can't be read stands beside those of the alerts.
            let level = condition.runbook == "unreadable-keys" ? 2 : 3
            #expect(page.contains("<h\(level) id=\"\(condition.runbook)\">"), "\(condition)")
        }
        #expect(!page.contains("**") && !page.contains("](") && !page.contains("`"))
    }

    @Test(
        "Markdown becomes HTML, and markup in it is text",
        arguments: [
            ("# A b\n\ntext", "<h1 id=\"a-b\">A b</h1>\n<p>text</p>\n"), ("one\ntwo", "<p>one\ntwo</p>\n"),
            ("one\n\ntwo", "<p>one</p>\n<p>two</p>\n"), (" a", "<p> a</p>\n"), ("#a", "<p>#a</p>\n"),
            ("**Cause.** *x* `a*b*<c>`", "<p><strong>Cause.</strong> <em>x</em> <code>a*b*&lt;c&gt;</code></p>\n"),
            ("[Here](#here), [there](OTHER.md)", "<p><a href=\"#here\">Here</a>, there</p>\n"),
            ("Two:\n- *a*\n- b\n  c\n\nd", "<p>Two:</p>\n<ul>\n<li><em>a</em></li>\n<li>b\nc</li>\n</ul>\n<p>d</p>\n"),
            ("- a\n## b\n- c\nd", "<ul>\n<li>a</li>\n</ul>\n<h2 id=\"b\">b</h2>\n<ul>\n<li>c</li>\n</ul>\n<p>d</p>\n"),
            ("-a\n- [b](#b)", "<p>-a</p>\n<ul>\n<li><a href=\"#b\">b</a></li>\n</ul>\n"),
            ("2 * 3 <script>", "<p>2 * 3 &lt;script&gt;</p>\n"), ("<a id=\"X\"></a>\n\n### X", "<h3 id=\"x\">X</h3>\n"),
        ])
    func markdown(text: String, html: String) {
        #expect(RunbookPage.body(text) == html)
    }
}
