private import CLinux

/// The C library's allocator, which Swift's memory comes from.
package enum Allocator {
    /// Has it keep some of what was freed for the next request. To be called before there are threads.
    package static func keepFreedMemory() {
        collector_keep_freed_memory()
    }
}
