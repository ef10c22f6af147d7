// Calls of Linux and instructions of the CPU that Swift's Glibc module does not import.
#pragma once
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK): a descriptor, or -1 and errno.
int collector_eventfd(void);

/// Has the allocator keep up to 4 MiB of what a thread has freed, and take blocks up to 2 MiB from there: memory that goes back
/// to the kernel with each request comes back as zeroed pages, one fault each.
void collector_keep_freed_memory(void);

/// The arguments that the kernel has handed to the program, its name first, and how many they are; NULL where the C library
/// does not tell.
char *const *collector_arguments(int *count);

/// The bytes that were freed and that the allocator keeps, in all of its arenas.
size_t collector_freed_bytes(void);

/// Gives the pages of these back to the kernel.
void collector_return_freed_memory(void);

/// Names the calling thread; at most 15 bytes count.
void collector_name_thread(const char *name);

/// Joins a thread, waiting until `deadline` nanoseconds on CLOCK_MONOTONIC at the latest. Returns whether it has ended.
bool collector_join_thread(pthread_t thread, uint64_t deadline);

/// CRC-32C (Castagnoli, reflected 0x82F63B78, as in iSCSI and RFC 3720) of `count` bytes, going on from `crc`
/// (0 at first). By the CPU's instruction where it has one, by a table where not.
uint32_t collector_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by the table only, so that tests compare the two.
uint32_t collector_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

/// Where `count` bytes have the `length` bytes of `pattern` first; `count` where they have not.
size_t collector_find(const void *bytes, size_t count, const void *pattern, size_t length);

/// Asks the CPU to bring what lies there into its cache, while it goes on. Any address will do.
static inline void collector_prefetch(const void *bytes, size_t count) {
    for (size_t offset = 0; offset < count; offset += 64) __builtin_prefetch((const char *)bytes + offset);
}

/// Starts `path` with `arguments` (NULL at the end) in a process group of its own, so that a Ctrl-C at the terminal does
/// not reach it; it gets SIGTERM when the calling thread ends, however that happens. Its output goes to /dev/null.
/// Returns its pid, or -1 and errno.
int collector_spawn(const char *path, char *const arguments[]);

/// Takes the terminal for drawing: keys come one by one and are not echoed. Only one terminal is taken at a time.
/// `enter` is written now; `leave` is written by `collector_terminal_close`, and before the process dies of a fault of its
/// own (SIGSEGV, SIGILL, SIGABRT, …), together with the settings that the terminal had. `leave` must live as long as the
/// process. An input that is not a terminal is left alone. Returns 0, or -1 and errno.
int collector_terminal_open(int input, int output, const char *enter, const char *leave);

/// Gives the terminal back as it was; does nothing where none is taken. Async-signal-safe.
void collector_terminal_close(void);

/// The size of a terminal in cells; false where it is none, or does not tell.
bool collector_terminal_size(int descriptor, int *columns, int *rows);

/// A descriptor that can be read when one of the `signals`, which must be blocked, has come. -1 and errno where none can be
/// made.
int collector_signal_descriptor(const sigset_t *signals);

/// The next signal of such a descriptor, 0 where none has come.
int collector_next_signal(int descriptor);
