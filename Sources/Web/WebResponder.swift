import Compression
package import HTTPService
package import NIOCore
package import NIOHTTP1

/// The state that the web endpoints show; the collector fills it in. Each file of routes has a part of its own.
package typealias WebState = HealthState & QueueState & OverviewState & DetailState

/// The endpoints on `metrics.listen`: see the lists of `WebRoute`.
package struct WebResponder: HTTPResponder {
    private let state: any WebState
    private let access: WebAccess
    private let routes: [WebRoute]

    package init(_ state: any WebState, _ access: WebAccess = WebAccess()) {
        self.state = state
        self.access = access
        routes = WebRoute.all.filter { access.hasPages || $0.audience != .people }
    }

    package func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict {
        let path = head.path
        let query = WebQuery(
            text: head.uri.firstIndex(of: "?").map { String(head.uri[head.uri.index(after: $0)...]) } ?? "")
        guard let (route, rest) = WebRoute.find(path, query, among: routes) else {
            let all = routes.map(\.path).joined(separator: ", ")
            return .answer(.refused(.notFound, reason: "not_found", "no such page; there are \(all)").secured)
        }
        if let refusal = access.refusal(of: head.headers, route.audience) { return .answer(refusal.secured) }
        guard head.method == .GET || head.method == .HEAD else {
            var refusal = HTTPResponse.methodNotAllowed("GET, HEAD")
            refusal.refusal = HTTPRefusal("method", "\(head.method): pages are asked for by GET and HEAD")
            return .answer(refusal.secured)
        }
        return .receive(WebRequest(route, rest: rest, query: query, head.headers, state))
    }
}

/// A request for a page, with the headers that say in which form it is wanted.
private final class WebRequest: HTTPExchange {
    /// The limit of a body. GET has none; a small one is tolerated.
    var maxBodyBytes: Int { 64 << 10 }
    private let route: WebRoute
    private let rest: [UInt8]
    private let query: WebQuery
    private let headers: HTTPHeaders
    private let state: any WebState

    init(_ route: WebRoute, rest: [UInt8], query: WebQuery, _ headers: HTTPHeaders, _ state: any WebState) {
        self.route = route
        self.rest = rest
        self.query = query
        self.headers = headers
        self.state = state
    }

    func refuse(_ reason: BodyRefusal) -> HTTPResponse {
        switch reason {
        case .tooLarge: .text(.payloadTooLarge, "a request here has no body").secured
        case .overloaded: .text(.serviceUnavailable, "too many requests at a time").secured
        }
    }

    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply {
        let question = WebQuestion(headers: headers, encodedRest: rest, query: query, eventLoop: eventLoop)
        switch route.answer(question, state) {
        case .plain(let response): return .now(response.secured)
        case .compressible(let response): return .now(response.compressed(question.acceptsGzip).secured)
        case .later(let future): return .later(future.map(\.secured))
        }
    }
}

extension HTTPResponse {
    /// The response with the headers that tell browsers what they may do with it.
    var secured: HTTPResponse {
        var response = self
        response.headers.add(name: "Content-Security-Policy", value: Self.contentSecurityPolicy)
        response.headers.add(name: "X-Content-Type-Options", value: "nosniff")
        response.headers.add(name: "X-Frame-Options", value: "DENY")
        response.headers.add(name: "Referrer-Policy", value: "no-referrer")
        return response
    }

    private static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

    fileprivate func compressed(_ isAccepted: Bool) -> HTTPResponse {
        var response = self
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if !isAccepted { return response }
        let packed = response.body.withUnsafeReadableBytes { GzipCompressor().compress($0) }
        response.body = ByteBuffer(bytes: packed)
        response.headers.add(name: "Content-Encoding", value: "gzip")
        return response
    }
}
