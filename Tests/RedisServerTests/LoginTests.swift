import AsynqRedis
import Model
import Platform
import Redis
import TestSupport
import Testing

@Suite("Logging in to a real Redis")
struct LoginTests {
    /// The reason why connecting, or the scrape behind it, failed.
    private static func loginFailure(_ endpoint: RedisEndpoint) -> ScrapeErrorReason? {
        failure {
            let connection = try RedisConnection(endpoint, clock: .system, deadline: .soon)
            var scraper = QueueScraper(filter: .all, clock: .system)
            _ = try scraper.scrape(connection, deadline: .soon)
        }?.reason
    }

    @Test("Requests and replies larger than any socket buffer pass")
    func large() throws {
        let server = try RedisTestServer()
        let connection = try server.connect()
        let value = [UInt8](repeating: 0xAB, count: 3_000_000)
        var pipeline = RedisPipeline()
        for _ in 0..<3 { pipeline.add("ECHO", value) }
        #expect(try connection.roundTrip(pipeline, deadline: .soon) == Array(repeating: .string(value), count: 3))
    }

    @Test("Password and database are used; what Redis refuses is named")
    func login() throws {
        let server = try RedisTestServer(["--requirepass", "p@ss w"])
        var endpoint = server.endpoint
        #expect(Self.loginFailure(endpoint) == .authentication)
        endpoint.password = "wrong"
        #expect(Self.loginFailure(endpoint) == .authentication)
        endpoint.username = "default"
        #expect(Self.loginFailure(endpoint) == .authentication)
        endpoint.password = "p@ss w"
        #expect(Self.loginFailure(endpoint) == nil)
        endpoint.username = nil
        endpoint.database = 3
        let connection = try RedisConnection(endpoint, clock: .system, deadline: .soon)
        #expect(try connection.send("SADD", "asynq:queues", "only in 3") == .integer(1))
        endpoint.database = 99
        #expect(Self.loginFailure(endpoint) == .server)
        endpoint.database = 0
        let other = try RedisConnection(endpoint, clock: .system, deadline: .soon)
        #expect(try other.send("SMEMBERS", "asynq:queues") == .array([]))
    }

    @Test("maxclients: the login fails with Redis' own words, not with a broken pipe")
    func maxClients() throws {
        let server = try RedisTestServer(["--maxclients", "1"])
        // The connection that tried whether it listens may still be there.
        var first: RedisConnection?
        try #require(eventually { failure { first = try server.connect() } == nil })
        try withExtendedLifetime(first) {
            for _ in 0..<20 {
                let refused = try #require(failure { _ = try server.connect() })
                #expect(
                    refused.reason == .server && refused.message.contains("max number of clients reached"), "\(refused)"
                )
            }
        }
    }
}
