import HTTPService
import NIOCore
import NIOHTTP1
import Text

/// One path of the web endpoints, and its answer. Each file of routes has a list of its own; `WebRoute.all` has all.
struct WebRoute: Sendable {
    /// The path as people write it. A name in braces at the end stands for the rest of the path, slashes included.
    let path: String
    let audience: Audience
    /// The parameter of the query that may stand in the place of the name in braces: `/path?parameter={name}`. Paths can't
    /// have all names.
    private let parameter: String?
    let answer: @Sendable (WebQuestion, any WebState) -> WebAnswer

    /// The readers of a route.
    enum Audience {
        /// The browsers and programs of people: the status page and the API.
        case people
        /// Prometheus, and what reads metrics like it.
        case machines
        /// Probes, which have no credentials.
        case everyone
    }

    init(
        path: String, for audience: Audience = .people, orParameter parameter: String? = nil,
        answer: @escaping @Sendable (WebQuestion, any WebState) -> WebAnswer
    ) {
        self.path = path
        self.audience = audience
        self.parameter = parameter
        self.answer = answer
    }

    static let all = page + overview + queues + details + health

    /// The part of the path that is always the same.
    private var fixed: Substring { path.prefix { $0 != "{" } }

    /// Returns the text in the place of the name in braces, as it came; empty where the path has none. Returns nil for
    /// another path.
    func rest(of path: String) -> Substring.UTF8View? {
        if fixed.utf8.count == self.path.utf8.count { return path == self.path ? path.suffix(0).utf8 : nil }
        guard path.hasPrefix(fixed), path.utf8.count > fixed.utf8.count else { return nil }
        return path.dropFirst(fixed.count).utf8
    }

    /// Returns the value of the query that stands in the place of the name in braces, as a path has it; nil where there is
    /// none, or for another path.
    private func rest(of path: String, query: WebQuery) -> [UInt8]? {
        guard let parameter, path + "/" == fixed, let value = query[parameter] else { return nil }
        return value.utf8.flatMap { $0 == UInt8(ascii: "+") ? Array("%20".utf8) : [$0] }
    }

    /// Returns the route of a path; those without braces come first.
    static func find(_ path: String, _ query: WebQuery, among routes: [WebRoute]) -> (route: WebRoute, rest: [UInt8])? {
        for route in routes {
            if let rest = route.rest(of: path) { return (route, Array(rest)) }
            if let rest = route.rest(of: path, query: query) { return (route, rest) }
        }
        return nil
    }
}

/// The text behind the question mark of an address.
struct WebQuery: Sendable {
    let text: String

    /// Returns the value of a parameter, as it came; nil where it is missing.
    subscript(name: String) -> Substring? {
        for pair in text.split(separator: "&") where pair.hasPrefix(name + "=") {
            return pair.dropFirst(name.count + 1)
        }
        return nil
    }
}

/// A question to a route.
struct WebQuestion: Sendable {
    let headers: HTTPHeaders
    /// The text in the place of the name in braces, as it came.
    let encodedRest: [UInt8]
    let query: WebQuery
    let eventLoop: any EventLoop

    /// The bytes that the name in braces stands for: a queue's name may have any.
    var rest: [UInt8] { PercentCoding.decodeLeniently(encodedRest) }

    /// Returns the value of a parameter of the query, as it came; nil where it is missing.
    func parameter(_ name: String) -> Substring? { query[name] }

    /// Returns the bytes that a parameter of the query stands for; nil where it is missing. In a query, unlike a path, HTTP
    /// libraries write a space as `+`, and a plus as `%2B`.
    func decoded(_ name: String) -> [UInt8]? {
        parameter(name).map { PercentCoding.decodeLeniently($0.utf8.map { $0 == UInt8(ascii: "+") ? 0x20 : $0 }) }
    }

    var acceptsGzip: Bool {
        headers[canonicalForm: "accept-encoding"].contains { coding in
            let parts = coding.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            return parts.first == "gzip" && quality > 0
        }
    }
}

/// The answer of a route.
enum WebAnswer {
    /// A response that is sent as it is.
    case plain(HTTPResponse)
    /// A response that is compressed where that is accepted.
    case compressible(HTTPResponse)
    /// A response that comes later, and is sent as it is.
    case later(EventLoopFuture<HTTPResponse>)

    /// Returns a JSON document.
    static func json(_ document: [UInt8]) -> WebAnswer { .compressible(.json(.ok, document)) }
}

extension HTTPResponse {
    static func json(_ status: HTTPResponseStatus, _ document: [UInt8]) -> HTTPResponse {
        HTTPResponse(status, contentType: "application/json", body: document)
    }
}
