package import Model

/// The address at which an endpoint answered last.
package struct LastAddress: Equatable {
    let endpoint: OTLPEndpoint
    /// The address in libcurl's form: an IPv6 address without brackets.
    package let address: String

    /// The entry of CURLOPT_RESOLVE that stands for a look-up; it goes out of use like the result of one (`+`). nil where nothing is
    /// known.
    var resolveEntry: String? {
        guard !address.isEmpty, let (host, port) = endpoint.hostAndPort else { return nil }
        return "+\(host):\(port):\(address.contains(":") ? "[\(address)]" : address)"
    }
}

/// The name of the endpoint, and what is done while it can't be looked up: a name server that fails says nothing of the backend,
/// so that its last address goes on being used.
///
/// | state    | a request                                  | until                                       |
/// |----------|--------------------------------------------|---------------------------------------------|
/// | known    | looks the name up (libcurl, every 10 s)    | a look-up fails, and an address is known     |
/// | lost     | goes to the last address                   | 30 s are over: the next one looks the name up |
package struct EndpointName {
    private static let pause = Duration.seconds(30)

    private var last: LastAddress?
    /// The time when a look-up failed last; nil once one has succeeded.
    private var lostAt: MonotonicTime?

    package init() {}

    /// Returns the address to use in place of a look-up; nil to look the name up.
    package func address(at now: MonotonicTime) -> LastAddress? {
        guard let lostAt, now.duration(since: lostAt) < Self.pause else { return nil }
        return last
    }

    /// Takes over what an answer says of the name. Returns the address at which the same request is to be tried at once, where its
    /// look-up failed.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint of the request; it may have changed since the last answer.
    ///   - ofLookUp: True if the request looked the name up.
    package mutating func recordAnswer(
        _ answer: OTLPAnswer, from endpoint: OTLPEndpoint, ofLookUp: Bool, at now: MonotonicTime
    ) -> LastAddress? {
        if let address = answer.lastAddress, !address.address.isEmpty {
            last = address
            if ofLookUp { lostAt = nil }
            return nil
        }
        guard ofLookUp, answer.failure?.kind == .unresolved, let last, last.endpoint == endpoint else { return nil }
        lostAt = now
        return last
    }
}
