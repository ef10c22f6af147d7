package import HTTPService
package import NIOCore
package import NIOHTTP1
package import OTLP
package import Platform
import Synchronization

/// The setting `otlp.max-body`, which may change while requests come.
package final class BodyLimit: Sendable {
    private let current: Atomic<Int>

    package init(_ bytes: Int) {
        current = Atomic(bytes)
    }

    /// The largest body after decompression.
    package var bytes: Int {
        get { current.load(ordering: .relaxed) }
        set { current.store(newValue, ordering: .relaxed) }
    }
}

package struct ReceiverOptions: Sendable {
    package var bodyLimit: BodyLimit
    /// The token that every request needs; nil where none is configured.
    package var bearerToken: String?
    /// Returns the token as its file has it now; nil where it is not in a file.
    package var rereadBearerToken: (@Sendable () -> String?)?
    /// The policy for pages that send from a browser.
    package var cors: CORSPolicy
    /// The memory of what requests are made into, all together: decompressed, converted, rewritten, and held while
    /// Redis is asked.
    package var requestMemory = ByteBudget(256 << 20)

    package init(maxBodyBytes: Int, bearerToken: String? = nil, cors: CORSPolicy = CORSPolicy()) {
        bodyLimit = BodyLimit(maxBodyBytes)
        self.bearerToken = bearerToken
        self.cors = cors
    }
}

/// One port for all of OTLP: each request goes to the face that speaks its protocol, and both share one intake.
package struct OTLPResponder: HTTPResponder {
    private let http: TraceResponder
    private let grpc: GRPCTraceResponder

    package init(
        _ options: ReceiverOptions, attributes: TaskAttributeTable, sink: any SpanSink, counters: ReceiverCounters,
        relinker: TraceRelinker? = nil, appends: AppendThread? = nil, worker: SerialThread? = nil
    ) {
        let intake = TraceIntake(
            bodyLimit: options.bodyLimit, memory: options.requestMemory, attributes: attributes, sink: sink,
            counters: counters, relinker: relinker, appends: appends, worker: worker)
        let token = options.bearerToken.map { BearerToken(RequestSecret($0, reread: options.rereadBearerToken)) }
        http = TraceResponder(intake, bearerToken: token, cors: options.cors)
        grpc = GRPCTraceResponder(intake, token)
    }

    package func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict {
        isGRPC(head) ? grpc.judge(head, arrival: arrival) : http.judge(head, arrival: arrival)
    }

    /// Returns true for gRPC, which needs HTTP/2, and says so in its content type, or in the path of a service.
    private func isGRPC(_ head: HTTPRequestHead) -> Bool {
        head.version.major == 2
            && (GRPCTraceResponder.isGRPC(head.headers) || head.uri.hasPrefix(GRPCTraceResponder.otlpServices))
    }
}

extension TraceIntake {
    /// Counts the refusal of a body that was not received.
    func refusal(_ reason: BodyRefusal) -> TraceRefusal {
        switch reason {
        case .tooLarge: bodyTooLarge()
        case .overloaded: tooManyBodies()
        }
    }
}
