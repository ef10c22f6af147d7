import Glibc

/// Counts the work of one thread, so that it sleeps when there is none. It is cheaper than a `Waker` where nothing is
/// polled: the kernel is not called while the thread is awake.
///
/// Guard of the `@unchecked Sendable`: the C library's own. Any thread may post and wait.
package final class Semaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    package init() {
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    package func post() {
        sem_post(semaphore)
    }

    package func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }
}
