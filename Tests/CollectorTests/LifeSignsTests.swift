import Model
import NIOEmbedded
import Platform
import Testing

@testable import Collector

@Suite("What a service manager's watchdog stands for")
struct LifeSignsTests {
    private static func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    private func missing(_ signs: LifeSigns, at seconds: UInt64) -> [String] {
        signs.missing(at: Self.time(seconds), patience: .seconds(2))
    }

    @Test("A loop that does not run what it is given is missing until it does")
    func loops() {
        let (moving, stuck) = (EmbeddedEventLoop(), EmbeddedEventLoop())
        var signs = LifeSigns()
        signs.watch(moving, as: "web")
        signs.watch(stuck, as: "receiver")
        #expect(missing(signs, at: 1) == [])
        moving.run()
        #expect(missing(signs, at: 3) == [], "it has two seconds to answer")
        moving.run()
        #expect(missing(signs, at: 4) == ["receiver"])
        moving.run()
        stuck.run()
        #expect(missing(signs, at: 5) == [])
    }

    @Test("A thread that breaks its promise is missing, unless a disk holds it up")
    func threads() {
        let (redis, forwarder) = (Heartbeat(), Heartbeat())
        var signs = LifeSigns()
        signs.watch(redis, as: "redis")
        signs.watch(forwarder, as: "forwarder") { true }
        for heartbeat in [redis, forwarder] { heartbeat.promise(by: Self.time(10)) }
        #expect(missing(signs, at: 12) == [])
        #expect(missing(signs, at: 13) == ["redis"])
        redis.promise(by: nil)
        #expect(missing(signs, at: 13) == [])
    }
}
