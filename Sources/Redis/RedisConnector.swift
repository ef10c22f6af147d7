import Glibc
import Model
import Platform

/// Makes connections: with a clock, until a deadline, ended early by a waker.
///
/// Several candidates (addresses of a name, sentinels, nodes) share the time that is left in equal parts. Asking,
/// connecting, TLS and login of each count. A silent one leaves time for the others.
struct RedisConnector {
    let clock: Clock
    let deadline: MonotonicTime
    let interrupt: Waker?
    var name = ClientName()
    var resolver = NameResolver.system

    /// Returns the same connector with an equal part of the time that is left.
    func withShareOfTime(of parts: Int) -> RedisConnector {
        let now = clock.monotonic()
        let share = Self.share(of: deadline.duration(since: now), remaining: parts)
        return RedisConnector(
            clock: clock, deadline: now.advanced(by: max(share, .nanoseconds(1))), interrupt: interrupt,
            name: name, resolver: resolver)
    }

    /// Returns the share of the next candidate, of `remaining` ones; the last one has it all.
    static func share(of left: Duration, remaining: Int) -> Duration {
        left / max(remaining, 1)
    }

    /// Connects and logs in at the first address of the endpoint where both succeed.
    /// - Throws: `RedisError` as the method below does, or where the name can't be looked up.
    func open(_ endpoint: RedisEndpoint) throws(RedisError) -> RedisLink {
        let socket = SocketConnector(clock: clock, deadline: deadline, interrupt: interrupt, resolver: resolver)
        return try open(endpoint, atFirstOf: try socket.addresses(of: endpoint))
    }

    /// - Throws: `RedisError` of the last address that answered; if none did, the reason why the last one could not be
    ///   reached.
    func open(_ endpoint: RedisEndpoint, atFirstOf addresses: [SocketAddress]) throws(RedisError) -> RedisLink {
        // Certificates are read for each connection: a renewed one counts from the next on.
        let context: TLSContext?
        if let options = endpoint.tls { context = try TLSContext(options) } else { context = nil }
        var last = RedisError(.connection, "\(endpoint.description) has no address")
        for (index, address) in addresses.enumerated() {
            let connector = withShareOfTime(of: addresses.count - index)
            do throws(RedisError) {
                return try connector.open(endpoint, at: address, context)
            } catch {
                // The others would refuse the password as well.
                if error.reason == .authentication { throw error }
                if index == 0 || last.isOfReaching || !error.isOfReaching { last = error }
            }
        }
        throw last
    }

    private func open(
        _ endpoint: RedisEndpoint, at address: SocketAddress, _ context: TLSContext?
    ) throws(RedisError) -> RedisLink {
        if name.mode == .send {
            let link = try connect(endpoint, at: address, context)
            do throws(RedisError) {
                return try RedisLogin(endpoint).perform(over: link, self)
            } catch {
                if error.disconnect == nil { throw error }
                name.recordHangUp(succeedsWithout: false)
            }
            let second = try openWithoutName(endpoint, at: address, context)
            name.recordHangUp(succeedsWithout: true)
            return second
        }
        let link = try openWithoutName(endpoint, at: address, context)
        name.recordSuccessWithout()
        return link
    }

    private func openWithoutName(
        _ endpoint: RedisEndpoint, at address: SocketAddress, _ context: TLSContext?
    ) throws(RedisError) -> RedisLink {
        let link = try connect(endpoint, at: address, context)
        do throws(RedisError) {
            return try RedisLogin(endpoint, withName: false).perform(over: link, self)
        } catch {
            throw hint(error, link)
        }
    }

    /// Adds a hint that the port may want TLS, which shows itself to a plain client by an end without a word.
    private func hint(_ error: RedisError, _ link: RedisLink) -> RedisError {
        let isWordless = link.receivedBytes == 0 && error.disconnect != nil
        guard isWordless, link.endpoint.tls == nil, case .tcp = link.endpoint.address else { return error }
        return error.adding("if that is a TLS port, write rediss for redis in redis.url")
    }

    private func connect(
        _ endpoint: RedisEndpoint, at address: SocketAddress, _ context: TLSContext?
    ) throws(RedisError) -> RedisLink {
        let connector = SocketConnector(clock: clock, deadline: deadline, interrupt: interrupt)
        let socket = try connector.open(address, endpoint.name)
        let session: TLSSession?
        do throws(RedisError) {
            session = try context?.makeSession(socket, to: endpoint)
        } catch {
            close(socket)
            throw error
        }
        let link = try RedisLink(RedisStream(socket, tls: session, name: endpoint.name), to: endpoint)
        try shakeHands(link)
        return link
    }

    private func shakeHands(_ link: RedisLink) throws(RedisError) {
        while true {
            switch try link.handshake() {
            case .bytes: return
            case .wait(let events):
                var entries = [pollfd(fd: link.descriptor, events: events, revents: 0)]
                let isReady = try RedisExchange.poll(
                    &entries, clock: clock, deadline: deadline, interrupt: interrupt)
                if !isReady {
                    throw RedisError(
                        .timeout,
                        "\(link.endpoint.name) did not answer the TLS handshake in time; \(TLSSession.plainHint)")
                }
            case .closed:
                throw RedisError(
                    .tls, "\(link.endpoint.name) closed the connection in the TLS handshake; \(TLSSession.plainHint)")
            }
        }
    }

    /// Sends commands over a link that is not logged in yet, and reads the replies.
    /// - Throws: `RedisError` where the connection fails or the deadline passes.
    func roundTrip(_ pipeline: RedisPipeline, over link: RedisLink) throws(RedisError) -> [RedisReply] {
        var exchanges = [RedisExchange(link, pipeline)]
        try RedisExchange.run(&exchanges, clock: clock, deadline: deadline, interrupt: interrupt)
        if let failure = exchanges[0].failure { throw failure }
        return exchanges[0].replies
    }
}

extension RedisError {
    /// True if it says only that the far side was not reached.
    fileprivate var isOfReaching: Bool { reason == .connection || reason == .timeout }
}
