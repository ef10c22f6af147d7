package import CCurl

/// libcurl's multi handle: requests side by side on one thread, over connections that are kept.
///
/// Guard of the `@unchecked Sendable`: only its owner's thread touches it, but for `wake`, which libcurl allows from
/// any thread.
package final class CurlMulti: @unchecked Sendable {
    private let multi: OpaquePointer?

    package init() {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        multi = curl_multi_init().map { OpaquePointer($0) }
        precondition(multi != nil, "curl_multi_init: no memory")
    }

    private var handle: UnsafeMutableRawPointer? { multi.map { UnsafeMutableRawPointer($0) } }

    deinit {
        curl_multi_cleanup(handle)
    }

    package func add(_ transfer: CurlTransfer) -> Bool {
        curl_multi_add_handle(handle, transfer.handle) == CURLM_OK
    }

    package func remove(_ transfer: CurlTransfer) {
        curl_multi_remove_handle(handle, transfer.handle)
    }

    package func perform() {
        var running: Int32 = 0
        curl_multi_perform(handle, &running)
    }

    /// Sleeps until something happens on a connection, another thread wakes it, or the time is over.
    package func wait(milliseconds: Int32) {
        curl_multi_poll(handle, nil, 0, milliseconds, nil)
    }

    package func wake() {
        curl_multi_wakeup(handle)
    }

    /// Returns a request that is finished, with its result.
    package func nextDone() -> (handle: UnsafeMutableRawPointer, result: CURLcode)? {
        var left: Int32 = 0
        while let message = curl_multi_info_read(handle, &left) {
            if message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle {
                return (easy, collector_curl_message_result(message))
            }
        }
        return nil
    }
}
