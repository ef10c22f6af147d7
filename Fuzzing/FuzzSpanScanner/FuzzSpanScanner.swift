import OTLP

/// Any bytes as an ExportTraceServiceRequest.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSpanScanner(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    SpanScanner.checkInvariants(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
