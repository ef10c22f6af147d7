import OTLP

/// Any bytes as OTLP's JSON.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    JSONRequestConverter.checkInvariants(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
