import HTTPService
import NIOHTTP1

/// Decides which browsers' pages may send spans: those of the configured origins and no others. A request without an
/// Origin does not come from a page, and passes.
package struct CORSPolicy: Sendable {
    private static let preflightSeconds = "7200"
    private static let headersAlways = ["content-type", "content-encoding", "authorization"]

    private let origins: [OriginPattern]
    private let headers: String
    private let allowsAllHeaders: Bool

    /// - Parameter headers: The names that pages may send beside those of OTLP; or `*`.
    package init(origins: [OriginPattern] = [], headers: [String] = []) {
        self.origins = origins
        allowsAllHeaders = headers.contains("*")
        let others = headers.filter { $0 != "*" && !Self.headersAlways.contains($0.lowercased()) }
        self.headers = (Self.headersAlways + others).joined(separator: ", ")
    }

    /// The place of a request's Origin in the policy.
    enum Origin: Equatable {
        /// The request comes from no page.
        case none
        case allowed(String)
        case foreign(String)
    }

    func origin(of headers: HTTPHeaders) -> Origin {
        guard let origin = headers.first(name: "origin") else { return .none }
        let parsed = OriginPattern.Origin(origin)
        return origins.contains { $0.matches(origin, parsed) } ? .allowed(origin) : .foreign(origin)
    }

    /// Answers a browser that asks whether an allowed page may send; returns nil for any other request. The answer has
    /// to be marked like any other.
    func preflight(_ head: HTTPRequestHead) -> HTTPResponse? {
        guard head.method == .OPTIONS, head.headers.contains(name: "access-control-request-method") else { return nil }
        var response = HTTPResponse(.noContent)
        let asked = head.headers[canonicalForm: "access-control-request-headers"].joined(separator: ", ")
        response.headers.add(name: "Access-Control-Allow-Methods", value: "POST")
        response.headers.add(
            name: "Access-Control-Allow-Headers", value: allowsAllHeaders && !asked.isEmpty ? asked : headers)
        response.headers.add(name: "Access-Control-Max-Age", value: Self.preflightSeconds)
        // This is a page of the internet that sends to the machine it is shown on.
        if head.headers.first(name: "access-control-request-private-network") == "true" {
            response.headers.add(name: "Access-Control-Allow-Private-Network", value: "true")
        }
        return response
    }

    /// Lets a page of an allowed origin read the answer, whether it sends credentials or not: `navigator.sendBeacon` always does,
    /// and for those the Fetch standard wants the origin by name. No answer here depends on a cookie.
    func mark(_ response: HTTPResponse, for origin: Origin) -> HTTPResponse {
        guard case .allowed(let name) = origin else { return response }
        var marked = response
        marked.headers.add(name: "Access-Control-Allow-Origin", value: name)
        marked.headers.add(name: "Access-Control-Allow-Credentials", value: "true")
        marked.headers.add(name: "Access-Control-Expose-Headers", value: "Retry-After")
        marked.headers.add(name: "Vary", value: "Origin")
        return marked
    }
}
