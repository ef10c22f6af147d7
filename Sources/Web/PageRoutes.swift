import HTTPService
import Model
import NIOHTTP1
import Text

extension WebRoute {
    /// | path                    | answer                                                                       |
    /// |-------------------------|------------------------------------------------------------------------------|
    /// | `/`                     | the status page; `?queues=all`: its table for browsers without script in full |
    /// | `/trace/{id}`           | the same page, where it shows one trace                                      |
    /// | `/assets/{hash}/{name}` | its files                                                                    |
    /// | `/runbook`              | docs/RUNBOOK.md, to which its troubles link                                  |
    static let page = [
        WebRoute(path: "/") { question, state in
            let content = state.overviewContent
            let plain = PlainPage(content, showsAllQueues: question.parameter("queues") == "all")
            return document(root: "", title: plain.title, plain: plain.html)
        },
        WebRoute(path: "/trace/{id}") { question, state in
            let id = PlainHTML.escaped(String(decoding: question.rest, as: UTF8.self))
            let plain =
                "<p>Without script, the spans of a trace are JSON: <a href=\"../api/v1/traces/\(id)\">"
                + "/api/v1/traces/\(id)</a></p>"
                + (state.overviewContent.links.nothingKept(of: TraceID(hex: question.encodedRest)).map {
                    "\n<p>\($0)</p>"
                } ?? "")
            return document(root: "../", title: "trace · asynq-collector", plain: plain)
        },
        WebRoute(path: "/assets/{hash}/{name}") { question, _ in .plain(PageFiles.answer(to: question)) },
        WebRoute(path: "/runbook") { _, _ in
            .compressible(HTTPResponse(.ok, contentType: "text/html; charset=utf-8", body: RunbookPage.html))
        },
    ]

    private static func document(root: String, title: String, plain: String) -> WebAnswer {
        var response = HTTPResponse(
            .ok, contentType: "text/html; charset=utf-8",
            body: PageFiles.document(root: root, title: title, plain: plain))
        response.headers.add(name: "Cache-Control", value: "no-cache")
        return .compressible(response)
    }
}
