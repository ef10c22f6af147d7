import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// Every limit of an HTTP/2 connection.
enum HTTP2Limits {
    static let concurrentStreamsMax = 100
    /// The size from which answers count until the client's window has let them pass.
    static let smallAnswerBytes = 512
    /// The space for a body that comes in parts, to begin with; most batches of spans fit.
    static let bodyReserveBytes = 64 << 10
    /// The bytes of a refused body that are read and dropped before its stream is reset.
    static let drainBytesMax = 4 << 20
    /// The bytes that a client may send ahead. A window of a megabyte keeps 10 Gbit/s busy at a round trip of 0.8 ms.
    static let streamWindowBytes = 1 << 20
    static let connectionWindowBytes = 4 << 20
    /// The largest frame. Large bodies come in fewer frames than of the 16 KiB that clients otherwise send.
    private static let frameBytesMax = 64 << 10
    private static let headerListBytesMax = 16 << 10

    static let endingPing = HTTP2PingData(withInteger: 0x656e_6421)
    /// The time for which the end of a connection waits until the client has seen GOAWAY.
    static let echoTimeout = TimeAmount.milliseconds(500)
    /// The time that the client then has to read its answers.
    static let lingerTimeout = TimeAmount.seconds(2)

    static var connection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: concurrentStreamsMax),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindowBytes),
            HTTP2Setting(parameter: .maxFrameSize, value: frameBytesMax),
            HTTP2Setting(parameter: .maxHeaderListSize, value: headerListBytesMax),
        ]
        // Frames of streams that were refused and reset go on coming for a while.
        configuration.maximumRecentlyResetStreams = 2 * concurrentStreamsMax
        configuration.maximumSequentialContinuationFrames = 5
        configuration.maximumSequentialEmptyDataFrames = 5
        // gRPC's clients measure the bandwidth with a PING for every few answers, as fast as those come: 20,000 a second
        // are fine, a flood is not. The window is short because each connection keeps that many times.
        configuration.controlFrameRateLimit.maximumCount = 1000
        configuration.controlFrameRateLimit.windowLength = .milliseconds(50)
        return configuration
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        // A request that its client abandons costs a reset. Opening and resetting streams in a row is an attack
        // (CVE-2023-44487).
        configuration.streamResetFrameRateLimit.maximumCount = 200
        configuration.streamResetFrameRateLimit.windowLength = .seconds(10)
        configuration.streamErrorRateLimit.maximumCount = 200
        configuration.streamErrorRateLimit.windowLength = .seconds(10)
        return configuration
    }
}

extension HTTPRequestHead {
    /// Makes the request line of the pseudo header fields (RFC 9113, 8.3.1).
    init(_ fields: HPACKHeaders) {
        var method = HTTPMethod.RAW(value: "")
        var path = ""
        var headers = HTTPHeaders()
        headers.reserveCapacity(fields.count)
        for (name, value, _) in fields {
            switch name {
            case ":method": method = HTTPMethod(rawValue: value)
            case ":path": path = value
            case _ where name.hasPrefix(":"): break
            default: headers.add(name: name, value: value)
            }
        }
        self.init(version: .http2, method: method, uri: path, headers: headers)
    }
}

extension HPACKHeaders {
    init(_ response: HTTPResponse) {
        self.init(lowercased: response.headers, status: String(response.status.code))
        // RFC 9110, 8.6: a 204 has none. A gRPC answer may have trailers instead.
        let mayHaveBody = response.status.mayHaveResponseBody && !contains(name: "grpc-status")
        if response.trailers == nil && mayHaveBody {
            add(name: "content-length", value: String(response.body.readableBytes), indexing: .nonIndexable)
        }
    }

    /// The fields with few values. Others stay out of HPACK's table: a client may allow it 4 GiB, and the encoder
    /// searches all of it for each field.
    private static let indexed: Set<String> = ["content-type", "grpc-status"]

    /// Makes fields with small letters in their names, as HTTP/2 demands.
    init(lowercased headers: HTTPHeaders, status: String? = nil) {
        self.init()
        reserveCapacity(headers.count + 2)
        if let status { add(name: ":status", value: status) }
        for (name, value) in headers {
            let name = name.lowercased()
            add(name: name, value: value, indexing: Self.indexed.contains(name) ? .indexable : .nonIndexable)
        }
    }
}
