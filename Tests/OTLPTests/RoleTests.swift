import Model
import Testing

@Suite("Which spans tell of a task")
struct RoleTests {
    enum System: CaseIterable { case absent, asynq, kafka, number }

    private func role(
        _ spanKind: UInt64, _ system: System, _ operation: String?, name: String = "messaging.operation.type"
    )
        throws -> TaskSpan.Role?
    {
        var span = ids + kind(spanKind)
        switch system {
        case .absent: break
        case .asynq: span += attribute("messaging.system", "asynq")
        case .kafka: span += attribute("messaging.system", "kafka")
        case .number: span += attribute("messaging.system", Value.int(1))
        }
        if let operation { span += attribute(name, operation) }
        return try Scanned(request(span)).tasks.first?.role
    }

    /// Contract, section 6, as a table.
    private func expected(_ spanKind: UInt64, _ system: System, _ operation: String?) -> TaskSpan.Role? {
        let isOurs = system == .asynq
        let isOursOrAbsent = isOurs || system == .absent
        return switch (spanKind, operation) {
        case (5, _) where isOursOrAbsent: .process
        case (1, nil), (2, nil), (1, "process"), (2, "process"): isOurs ? .process : nil
        case (4, _) where isOursOrAbsent: .produce
        case (3, "send"), (3, "create"): isOurs ? .produce : nil
        default: nil
        }
    }

    @Test("kind, system and operation type make the role", arguments: UInt64(0)...7, System.allCases)
    func everyCombination(spanKind: UInt64, system: System) throws {
        for operation in [nil, "process", "send", "create", "receive", "settle", "", "Process"] {
            let wanted = expected(spanKind, system, operation)
            #expect(try role(spanKind, system, operation) == wanted, "operation \(operation ?? "absent")")
            #expect(try role(spanKind, system, operation, name: "messaging.operation") == wanted)
        }
    }

    @Test("a client that publishes, as the older conventions say, is a producer; nothing else that publishes is a task")
    func publish() throws {
        for name in ["messaging.operation.type", "messaging.operation"] {
            #expect(try role(3, .asynq, "publish", name: name) == .produce)
            for (kind, system) in [(1, .asynq), (2, .asynq), (3, .absent), (3, .kafka)] as [(UInt64, System)] {
                #expect(try role(kind, system, "publish", name: name) == nil, "kind \(kind)")
            }
        }
    }

    @Test("the newer name of the operation goes before the older one, in either order")
    func operationNames() throws {
        let newer = attribute("messaging.operation.type", "process")
        let older = attribute("messaging.operation", "receive")
        let server = ids + kind(2) + attribute("messaging.system", "asynq")
        #expect(try Scanned(request(server, newer, older)).tasks.count == 1)
        #expect(try Scanned(request(server, older, newer)).tasks.count == 1)
    }

    @Test("the attributes may come before the kind")
    func kindLast() throws {
        let span = attribute("messaging.system", "kafka") + ids
        #expect(try Scanned(request(span, kind(5))).tasks.isEmpty)
    }

    @Test("a span without a kind tells of no task")
    func noKind() throws {
        #expect(try Scanned(request(ids, attribute("messaging.system", "asynq"))).tasks.isEmpty)
    }

    @Test("status 2 is an error; ok, unset, an empty status and none are not")
    func status() throws {
        let codes: [([UInt8], Bool)] = [
            (Field.message(15, Field.int(3, 2)), true), (Field.message(15, Field.int(3, 1)), false),
            (Field.message(15, Field.int(3, 0)), false), (Field.message(15), false), ([], false),
        ]
        for (field, isError) in codes {
            #expect(try Scanned(request(ids, kind(5), field)).tasks.first?.isError == isError)
        }
    }

    @Test("a link leads to a sampled trace unless its flags say that it does not: older SDKs write none")
    func sampledLink() throws {
        let flags: [([UInt8], Bool)] = [
            ([], true), (Field.fixed32(6, 0), true), (Field.fixed32(6, 1), true), (Field.fixed32(6, 0x301), true),
            (Field.fixed32(6, 0x300), false), (Field.fixed32(6, 2), false),
        ]
        func link(_ id: UInt8, _ flags: [UInt8]) -> [UInt8] {
            Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, [UInt8](repeating: id, count: 8)), flags)
        }
        for (field, isSampled) in flags {
            let task = try #require(try Scanned(request(ids, kind(5), link(1, field))).tasks.first)
            #expect(task.isLinkSampled == isSampled)
            // It is the first link that counts.
            for other in [link(2, Field.fixed32(6, 0x300)), link(2, [])] {
                let first = try #require(try Scanned(request(ids, kind(5), link(1, field), other)).tasks.first)
                #expect(first.isLinkSampled == isSampled && first.moreLinks.count == 1)
            }
        }
        #expect(try Scanned(request(ids, kind(5))).tasks.first?.isLinkSampled == true)
    }

    @Test("a link is sampled unless its flags say that it is not, by a sender that writes the bit on spans it exports")
    func linkOfUnmarkedSpan() throws {
        let writesBit = [[], Field.fixed32(16, 1), Field.fixed32(16, 0x101)]
        let writesNone = [Field.fixed32(16, 0), Field.fixed32(16, 2), Field.fixed32(16, 0x300)]
        let links: [(flags: UInt32, isSampled: Bool)] = [
            (0, true), (1, true), (0x301, true), (0x300, false), (2, false),
        ]
        for (flags, isSampled) in links {
            let link = Field.message(
                13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes), Field.fixed32(6, flags))
            func isLinkSampled(_ field: [UInt8]) throws -> Bool? {
                try Scanned(request(ids, kind(5), link, field)).tasks.first?.isLinkSampled
            }
            for field in writesBit { #expect(try isLinkSampled(field) == isSampled, "\(flags) \(field)") }
            for field in writesNone { #expect(try isLinkSampled(field) == true, "\(flags) \(field)") }
        }
    }
}
