import AsynqRedis

/// Any bytes as the message of a task in Redis, and as the payload of one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzStoredTask(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    StoredTask.checkInvariants(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
