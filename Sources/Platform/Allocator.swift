private import CLinux

/// The C library's allocator, which Swift's memory comes from.
package enum Allocator {
    /// Has the allocator keep some of what was freed for the next request. It must be called before there are threads.
    package static func keepFreedMemory() {
        collector_keep_freed_memory()
    }

    /// Returns freed memory to the kernel, if it is more than `bytes`. It costs up to some milliseconds.
    package static func returnFreedMemory(beyond bytes: Int) {
        if collector_freed_bytes() > bytes { collector_return_freed_memory() }
    }
}
