import ProtobufWire

/// The codes of `google.rpc.Code` that a receiver answers with.
package enum RPCCode: Int, Sendable {
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case permissionDenied = 7
    case resourceExhausted = 8
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case unauthenticated = 16
}

/// The messages that OTLP answers with (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
package enum OTLPResponse {
    /// Returns an ExportTraceServiceResponse: 1 partial_success { 1 rejected_spans, 2 error_message }, only when spans
    /// were refused.
    package static func success(refused: Int, reason: String) -> [UInt8] {
        success(refused: refused, remark: refused == 0 ? nil : reason)
    }

    /// - Parameter remark: The reason of the refusals, or a warning where no span was refused. The specification allows
    ///   a warning without a number.
    package static func success(refused: Int, remark: String?) -> [UInt8] {
        guard let remark else { return [] }
        var writer = WireWriter()
        writer.message(1) {
            if refused > 0 { $0.varint(1, UInt64(refused)) }
            $0.string(2, remark)
        }
        return writer.bytes
    }

    /// Returns a google.rpc.Status: 1 code, 2 message, 3 details, each a google.protobuf.Any { 1 type_url, 2 value }.
    ///
    /// With a time to retry after, the one detail is a google.rpc.RetryInfo { 1 retry_delay { 1 seconds } }.
    package static func status(_ code: RPCCode, _ message: String, retryAfterSeconds: Int? = nil) -> [UInt8] {
        var writer = WireWriter()
        writer.varint(1, UInt64(code.rawValue))
        writer.string(2, message)
        if let retryAfterSeconds {
            writer.message(3) { detail in
                detail.string(1, "type.googleapis.com/google.rpc.RetryInfo")
                detail.message(2) { info in
                    info.message(1) { $0.varint(1, UInt64(retryAfterSeconds)) }
                }
            }
        }
        return writer.bytes
    }
}

/// A trace backend's statement on partial success: ExportTraceServiceResponse read back.
package struct ExportOutcome: Sendable, Equatable {
    package var rejectedSpans: Int64 = 0
    package var message = ""

    package init() {}

    /// Reads the response. Returns nil when the bytes are something else (a proxy's page, say). If they are only the
    /// beginning of a response (`isCut`), the part that is there counts.
    package init?(_ body: UnsafeRawBufferPointer, isCut: Bool = false) {
        do {
            var reader = WireReader(body)
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                if field == 1 && type == .lengthDelimited {
                    try readPartialSuccess(try reader.bytes(isCut: isCut), isCut: isCut)
                } else {
                    try reader.skip(type, field: field)
                }
            }
        } catch {
            // Behind the cut nothing can be read.
            if !isCut || self == ExportOutcome() { return nil }
        }
    }

    private mutating func readPartialSuccess(_ message: UnsafeRawBufferPointer, isCut: Bool) throws(WireError) {
        var reader = WireReader(message)
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, .varint): rejectedSpans = Int64(bitPattern: try reader.varint())
            case (2, .lengthDelimited): self.message = String(decoding: try reader.bytes(isCut: isCut), as: UTF8.self)
            default: try reader.skip(type, field: field)
            }
        }
    }
}

extension WireReader {
    /// Returns the bytes of a length-delimited value; of one that runs past the end, those that are there.
    fileprivate mutating func bytes(isCut: Bool) throws(WireError) -> UnsafeRawBufferPointer {
        do throws(WireError) {
            return try bytes()
        } catch {
            // The length has been read.
            guard isCut && error.reason == .lengthPastEnd else { throw error }
            let rest = UnsafeRawBufferPointer(rebasing: buffer[position..<end])
            self = WireReader(UnsafeRawBufferPointer(start: nil, count: 0))
            return rest
        }
    }
}

/// Returns the message of a google.rpc.Status, or nil for bytes that are something else.
package func readRPCStatusMessage(_ body: UnsafeRawBufferPointer) -> String? {
    do {
        var reader = WireReader(body)
        var message: String?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 2 && type == .lengthDelimited {
                message = String(decoding: try reader.bytes(), as: UTF8.self)
            } else {
                try reader.skip(type, field: field)
            }
        }
        return message
    } catch {
        return nil
    }
}
