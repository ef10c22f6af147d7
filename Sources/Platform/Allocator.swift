private import CLinux

/// The C library's allocator, which Swift's memory comes from.
package enum Allocator {
    /// Has it keep some of what was freed for the next request. To be called before there are threads.
    package static func keepFreedMemory() {
        collector_keep_freed_memory()
    }

    /// Gives the kernel back what was freed, if that is more than `bytes`. It costs up to some milliseconds.
    package static func returnFreedMemory(beyond bytes: Int) {
        if collector_freed_bytes() > bytes { collector_return_freed_memory() }
    }
}
