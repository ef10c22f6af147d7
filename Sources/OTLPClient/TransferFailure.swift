package import CCurl

/// The reason why a request got no answer, with what its user can do about it.
///
/// libcurl reports mistakes of configuration and outages alike by a code and a text. What can only be a mistake is told with
/// advice, since no waiting helps.
package struct TransferFailure: Equatable {
    package enum Kind: Equatable {
        /// Nothing of the request was sent, for lack of an address or a connection.
        case unreachable
        /// The name has no address now; a connection to the last one may still work.
        case unresolved
        /// A port, certificate, file or proxy is the wrong one, and no waiting helps.
        case misconfigured(advice: String)
        /// The connection broke, or the time was over, after some of the request was sent.
        case unanswered
    }

    package let kind: Kind
    let label: String
    package let text: String

    /// Returns the failure of an answer with a header line of more than libcurl accepts (100 KiB): no backend sends
    /// one.
    static func oversizedHeader(_ signal: OTLPSignal) -> TransferFailure {
        TransferFailure(
            kind: .misconfigured(advice: signal.wrongEndpointAdvice), label: "error",
            text: "a header of the answer is longer than 100 KiB")
    }

    /// Returns the failure of a request that was not sent, since the variable of the environment has no URL of a proxy.
    static func invalidProxy(_ variable: String, _ problem: String) -> TransferFailure {
        TransferFailure(
            kind: .misconfigured(advice: "\(variable) is not the URL of a proxy: \(problem)"), label: "proxy",
            text: "no request is sent: \(variable) is not the URL of a proxy")
    }

    /// Returns the failure as that of a request to a port of the wrong kind.
    func explained(by port: EndpointPort.Kind, _ signal: OTLPSignal) -> TransferFailure {
        TransferFailure(
            kind: .misconfigured(advice: port.advice(signal)), label: "tls",
            text: "\(port.name) \(label == "timeout" ? "does not answer" : "ends the connection"): \(text)")
    }

    /// libcurl has no memory for a request.
    package static let noMemory = TransferFailure(
        kind: .unreachable, label: "error", text: "libcurl has no memory for a request")

    private init(kind: Kind, label: String, text: String) {
        self.kind = kind
        self.label = label
        self.text = text
    }

    /// - Parameters:
    ///   - result: The result of libcurl, which is an error.
    ///   - text: The words of libcurl.
    ///   - connectStatus: The status that a proxy answered to CONNECT, 0 where it was not asked.
    ///   - proxyVariable: The variable of the environment that names the proxy; nil where none is used.
    package init(
        _ result: CURLcode, for signal: OTLPSignal, text: String, sentBytes: Int, connectStatus: Int,
        proxyVariable: String?
    ) {
        // libcurl quotes the URL of a proxy that it does not support, with the password.
        if text.hasPrefix("Unsupported proxy") {
            self = .invalidProxy(proxyVariable ?? "https_proxy", "libcurl does not support it")
            return
        }
        self.text = text + Self.way(proxyVariable)
        let later: Kind = sentBytes > 0 ? .unanswered : .unreachable
        // The proxy makes no tunnel: it won't (407, 403), or it can't, because the backend is unavailable.
        if connectStatus >= 400 {
            let variable = proxyVariable ?? "https_proxy"
            let advice =
                connectStatus == 407
                ? "the proxy of \(variable) wants a user and password"
                : "the proxy of \(variable) refuses the connection"
            label = "proxy"
            kind = connectStatus < 500 ? .misconfigured(advice: advice) : .unreachable
            return
        }
        let advice = Self.advice(result, text, signal)
        switch result {
        case CURLE_OPERATION_TIMEDOUT:
            (label, kind) = text.hasPrefix("Resolving timed out") ? ("resolve", .unresolved) : ("timeout", later)
        case CURLE_COULDNT_CONNECT: (label, kind) = ("connect", .unreachable)
        case CURLE_COULDNT_RESOLVE_HOST: (label, kind) = ("resolve", .unresolved)
        case CURLE_COULDNT_RESOLVE_PROXY: (label, kind) = ("resolve", .unreachable)
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM:
            (label, kind) = ("tls", advice.map { .misconfigured(advice: $0) } ?? .unreachable)
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE:
            (label, kind) = advice.map { ("tls", .misconfigured(advice: $0)) } ?? ("broken", later)
        default: (label, kind) = ("error", advice.map { .misconfigured(advice: $0) } ?? later)
        }
    }

    /// Returns the end of a reason: the proxy that may be at fault in place of the backend.
    static func way(_ proxyVariable: String?) -> String {
        proxyVariable.map { " (through the proxy of \($0))" } ?? ""
    }

    /// Returns what to change; nil where it may be an outage. The texts are those of libcurl and OpenSSL; with TLS 1.3 a server
    /// refuses the client certificate after the handshake, so that it comes as a broken connection.
    private static func advice(_ result: CURLcode, _ text: String, _ signal: OTLPSignal) -> String? {
        let section = signal.section
        func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if says("HTTP/0.9") { return signal.wantsHTTP1Advice + ", or https:// where the port is for TLS" }
        if says("wrong version number", "packet length too long", "unknown protocol", "http request") {
            return signal.wantsNoTLSAdvice
        }
        if says("alert certificate required", "peer did not return a certificate") {
            return "the server wants a client certificate: set \(section).tls.cert-file and \(section).tls.key-file"
        }
        if says("alert no application protocol") { return signal.wantsHTTP1Advice }
        if says("alert certificate expired") {
            return "the client certificate of \(section).tls.cert-file has expired: renew it"
        }
        if says(
            "alert bad certificate", "alert unknown ca", "alert unsupported certificate", "alert certificate revoked",
            "alert certificate unknown", "alert access denied", "alert decrypt error")
        {
            return
                "the server does not accept the client certificate: check \(section).tls.cert-file and \(section).tls.key-file"
        }
        // A server without TLS 1.3 says this, among others, to a client that lacks the certificate it wants.
        if says("alert handshake failure") {
            return
                "the server refuses the TLS handshake: if it wants a client certificate, set \(section).tls.cert-file"
        }
        if says("alert protocol version", "unsupported protocol") {
            return "the server does not speak TLS 1.2 or later"
        }
        if says("alert unrecognized name") {
            return "the server does not know this name: check \(section).tls.server-name"
        }
        switch result {
        case CURLE_PEER_FAILED_VERIFICATION:
            if says("certificate has expired") { return "the server's certificate has expired: renew it there" }
            if says("not yet valid") { return "the server's certificate is not valid yet: compare the clocks" }
            if says("subject name", "does not match", "doesn't match") {
                return "the server's certificate is for another name: check the host of \(section).endpoint, or set"
                    + " \(section).tls.server-name"
            }
            return "the server's certificate is signed by an untrusted authority: set \(section).tls.ca-file"
        case CURLE_SSL_CACERT_BADFILE: return "\(section).tls.ca-file can't be read: check the file"
        case CURLE_SSL_CERTPROBLEM:
            return "\(section).tls.cert-file or \(section).tls.key-file can't be used: check the files"
        default: return nil
        }
    }
}
