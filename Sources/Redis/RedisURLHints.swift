/// Says what to write in place of what other clients understand in a url.
enum RedisURLHints {
    /// Returns what was found in place of a scheme, and what to write.
    static func unknownScheme(_ scheme: Substring) -> String {
        if let first = scheme.first, "\"'`<".contains(first) { return "a quotation mark around it: take it off" }
        // A text that can't be a scheme may be a part of a password.
        guard scheme.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }) else {
            return "what stands before :// is not a scheme"
        }
        return "unknown scheme \(scheme)://" + (Self.scheme(scheme).map { ": write \($0)" } ?? "")
    }

    /// Returns the scheme here that stands for one of other clients; nil for one that is unknown.
    private static func scheme(_ scheme: Substring) -> String? {
        switch scheme.lowercased() {
        case "redis", "tcp", "valkey", "redis+tcp": "redis://"
        case "rediss", "valkeys", "redis+tls", "redis+ssl", "redis-tls", "tls", "ssl": "rediss://"
        case "unix", "redis-socket", "redis+socket", "redis+unix", "valkey+unix": "unix:///path?db=0"
        case "redis-sentinel", "redis+sentinel", "sentinel": "redis-sentinel://host:port/0?master=NAME"
        case "rediss-sentinel", "rediss+sentinel": "rediss-sentinel://host:port/0?master=NAME"
        case "redis-cluster", "redis+cluster", "cluster": "redis-cluster://host:port"
        case "rediss-cluster", "rediss+cluster": "rediss-cluster://host:port"
        case "http", "https": "redis://host:6379, the address of Redis itself"
        default: nil
        }
    }

    /// Returns the name, and what does the same here.
    static func unknownParameter(_ name: Substring) -> String {
        // A text that can't be a name may be a part of a password.
        let isName =
            name.utf8.count <= 40
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) }
        return "unknown parameter" + (isName && !name.isEmpty ? " \(name): \(advice(name.lowercased()))" : "")
    }

    private static func advice(_ name: String) -> String {
        switch name {
        case "db", "database": "write the database as /NUMBER, or ?db=NUMBER in unix:///path?db=NUMBER"
        case "master", "mastername", "master_name", "sentinel", "sentinelmasterid":
            "sentinels are redis-sentinel://host:port/0?master=NAME"
        case "password", "pass", "auth": "write redis.password, or user:password@ before the host"
        case "username", "user": "write redis.username, or user:password@ before the host"
        case _ where name.contains("timeout"): "leave it out; redis.timeout is the budget of a scrape"
        case "ssl_cert_reqs", "ssl_check_hostname", "skip_verify", "insecure", "tls_skip_verify", "tls_insecure":
            "leave it out; redis.tls.insecure-skip-verify: true accepts any certificate"
        case _ where name.contains("ssl") || name.contains("tls"):
            "leave it out; TLS is rediss://, and its files are redis.tls.ca-file, .cert-file and .key-file"
        default: "leave it out"
        }
    }
}
