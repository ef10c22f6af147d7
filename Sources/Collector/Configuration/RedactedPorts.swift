import Platform

/// Hides what stands in the place of a port and is none. A URL loses its `@` and its host where a shell or YAML cuts it off, and ends in
/// the password:
///
///     redis://:s3 #cret@h:1     a comment of YAML     redis://:<redacted>
///     redis://:pa ss@h:1        two arguments         redis://:<redacted>
///     u:s3cret,h2:1/0?master=m  an @ forgotten        u:<redacted>,h2:1/0?master=m
///     s3cret:h:6379             the same              <redacted>
///     redis://u:12/cret         cut before the @      redis://u:<redacted>
enum RedactedPorts {
    /// The schemes that a text may begin with, also where `:` or `//` is missing behind them.
    private static let schemes = ["redis", "rediss", "unix", "http", "https"].flatMap {
        [$0, $0 + "-sentinel", $0 + "-cluster"]
    }

    /// - Parameter text: A URL, or what is meant as one, without an `@`.
    static func text(_ text: Substring) -> String {
        var position = authority(of: text)
        let end = text[position...].firstIndex { "/?#".contains($0) } ?? text.endIndex
        let inner = text[position...].lowercased()
        // A scheme that is written twice.
        if inner.hasPrefix("http://") || inner.hasPrefix("https://") {
            return text[..<position] + Self.text(text[position...])
        }
        let scheme = text[..<position].lowercased()
        let isOfCluster = scheme.hasSuffix("-cluster://")
        if !scheme.contains("redis"), isMistypedPort(text[position..<end]) { return String(text) }
        while position < end {
            let part = text[position..<end].prefix { $0 != "," }
            let rest = text[part.endIndex...]
            // In the URL of a Cluster, hosts behind one with a port may have none.
            let mayLackPort = isOfCluster && part.suffix(4).count { $0.isASCII && $0.isNumber } == 4
            let isRestShown = isOfURL(rest, mayLackPort: mayLackPort)
            if let port = suspect(in: part)
                ?? (mayFollowPort(rest, mayLackPort: mayLackPort)
                    ? nil : doubtfulPort(in: part, before: rest, of: text))
            {
                // A port may be missing; then nothing is hidden but what follows it.
                if port < part.endIndex || !isRestShown {
                    return String(text[..<port]) + EffectiveConfiguration.redacted + (isRestShown ? rest : "")
                }
            }
            position = part.endIndex < end ? text.index(after: part.endIndex) : end
        }
        return String(text)
    }

    /// Returns the place behind the scheme and its slashes, or the end where a path follows these.
    private static func authority(of text: Substring) -> Substring.Index {
        let scheme = text.prefix { $0 != ":" && $0 != "/" }
        let name = scheme.lowercased()
        var rest = text[scheme.endIndex...]
        guard rest.hasPrefix("://") || schemes.contains(name) else { return text.startIndex }
        if rest.hasPrefix(":") { rest = rest.dropFirst() }
        let slashes = rest.prefix { $0 == "/" }
        // Without a slash it may be a user and a password.
        if slashes.isEmpty && !rest.contains(":") { return text.startIndex }
        let isPath = name == "unix" && ![0, 2].contains(slashes.count)
        return isPath ? text.endIndex : slashes.endIndex
    }

    /// Returns the place from which on a part may be a secret: behind the colon where no port follows it. Returns nil where one does,
    /// and without a colon.
    private static func suspect(in part: Substring) -> Substring.Index? {
        let bracket = part.hasPrefix("[") ? part.firstIndex(of: "]") : nil
        guard let colon = part[(bracket ?? part.startIndex)...].firstIndex(of: ":") else { return nil }
        let port = part.index(after: colon)
        if isPort(part[port...]) || isBareAddress(part) { return nil }
        // With a second colon, the password may stand before the first one: `s3cret:h:6379`.
        return part[port...].contains(":") ? part.startIndex : port
    }

    /// Returns true for what may follow a port here. The next of several hosts is judged by itself.
    private static func mayFollowPort(_ rest: Substring, mayLackPort: Bool) -> Bool {
        guard rest.hasPrefix(",") else { return isOfURL(rest, mayLackPort: mayLackPort) }
        return rest.dropFirst().prefix { !",/?#".contains($0) }.contains(":") || mayLackPort
            || rest.contains("?master=")
    }

    /// Returns true for a host and a port that is written twice, or has one wrong character behind the first of three digits or more:
    /// `tempo:43l8`. No password looks like that.
    private static func isMistypedPort(_ authority: Substring) -> Bool {
        let ports = authority.split(separator: ":", omittingEmptySubsequences: false).dropFirst()
        guard !authority.contains(","), !ports.isEmpty else { return false }
        if ports.count > 1 { return ports.allSatisfy(isPort) }
        return ports.allSatisfy { port in
            let digits = port.utf8.count { (0x30...0x39).contains($0) }
            let beginsWell = port.first.map { $0.isASCII && $0.isNumber } ?? false
            return beginsWell && digits >= 3 && port.count <= 6 && port.count - digits == 1
        }
    }

    /// Returns the place of a number that may be the beginning of a password, because what follows belongs to no URL of Redis. Returns nil
    /// where it is a port all the same: before the path of an HTTP URL, behind the address of a host, and if Redis' servers and
    /// OTLP's have it.
    private static func doubtfulPort(in part: Substring, before rest: Substring, of text: Substring) -> Substring.Index?
    {
        guard let colon = part.lastIndex(of: ":"), !isBareAddress(part) else { return nil }
        let (host, port) = (part[..<colon], part.index(after: colon))
        let isHTTP = text.prefix(5).lowercased().hasPrefix("http") && !rest.hasPrefix(",")
        let isAddress = host == "localhost" || host.hasPrefix("[") || IPAddress(String(host)) != nil
        return isHTTP || isAddress || ["6379", "26379", "4317", "4318"].contains(part[port...]) ? nil : port
    }

    private static func isPort(_ text: Substring) -> Bool {
        (1...5).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// Returns true for an IPv6 address that lacks its brackets, with a port or without.
    private static func isBareAddress(_ part: Substring) -> Bool {
        let address = part.drop { $0 == "[" }
        guard let colon = address.lastIndex(of: ":") else { return false }
        return IPAddress(String(address)) != nil
            || IPAddress(String(address[..<colon])) != nil && isPort(address[address.index(after: colon)...])
    }

    /// Returns true for what may follow a port, and does not end a password: other hosts with their ports, the number of a database, the
    /// parameters of a URL.
    private static func isOfURL(_ text: Substring, mayLackPort: Bool) -> Bool {
        var rest = text
        while rest.hasPrefix(",") {
            let part = rest.dropFirst().prefix { !",/?#".contains($0) }
            // In a URL that ends as one of sentinels, a host may lack its port.
            guard part.contains(":") || mayLackPort || rest.contains("?master="), suspect(in: part) == nil else {
                return false
            }
            rest = rest[part.endIndex...]
        }
        let path = rest.hasPrefix("/") ? rest.dropFirst().prefix { $0.isASCII && $0.isNumber } : rest.prefix(0)
        rest = rest[path.endIndex...]
        guard rest.hasPrefix("?") else { return rest.isEmpty }
        return rest.dropFirst().split(separator: "&").allSatisfy { parameter in
            let name = parameter.prefix { $0.isASCII && $0.isLetter }
            return parameter[name.endIndex...].hasPrefix("=") && (["master", "db"].contains(name) || !path.isEmpty)
        }
    }
}
