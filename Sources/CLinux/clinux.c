#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

size_t collector_find(const void *bytes, size_t count, const void *pattern, size_t length) {
    const void *found = count > 0 ? memmem(bytes, count, pattern, length) : NULL;
    return found ? (size_t)((const char *)found - (const char *)bytes) : count;
}

static int argument_count;
static char **argument_list;

// glibc hands main's arguments to each constructor.
__attribute__((constructor)) static void remember_arguments(int count, char **list) {
    argument_count = count;
    argument_list = list;
}

char *const *collector_arguments(int *count) {
    *count = argument_count;
    return argument_list;
}

int collector_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void collector_keep_freed_memory(void) {
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
}

size_t collector_freed_bytes(void) {
    return mallinfo2().fordblks;
}

void collector_return_freed_memory(void) {
    malloc_trim(0);
}

void collector_name_thread(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    pthread_setname_np(pthread_self(), cut);
}

bool collector_join_thread(pthread_t thread, uint64_t deadline) {
    struct timespec time = {(time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u)};
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &time) == 0;
}

static uint32_t table[256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) {
            value = value & 1 ? value >> 1 ^ 0x82F63B78u : value >> 1;
        }
        table[byte] = value;
    }
}

uint32_t collector_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&table_made, make_table);
    const uint8_t *next = bytes;
    crc = ~crc;
    while (count--) {
        crc = crc >> 8 ^ table[(crc ^ *next++) & 255];
    }
    return ~crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

// The CPU takes 3 cycles for a word and can have three in work: three parts of a block are computed side by side. Each is
// then carried over what follows it: a product with x^(8 * bytes), by one multiplication without carries and one crc32
// instruction, which itself multiplies by x^33.
enum { part_bytes = 1024 };

static uint32_t over_one_part, over_two_parts;
static pthread_once_t carries_made = PTHREAD_ONCE_INIT;

/// x^exponent modulo the polynomial, reflected.
static uint32_t power_of_x(unsigned exponent) {
    uint32_t value = 0x80000000u;
    while (exponent--) {
        value = value & 1 ? value >> 1 ^ 0x82F63B78u : value >> 1;
    }
    return value;
}

static void make_carries(void) {
    over_one_part = power_of_x(8 * part_bytes - 33);
    over_two_parts = power_of_x(8 * 2 * part_bytes - 33);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t carried(uint64_t crc, uint32_t carry) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi32_si128((int32_t)carry), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

static uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_cpu(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    uint64_t value = (uint32_t)~crc;
    for (; count >= 3 * part_bytes; count -= 3 * part_bytes, next += 3 * part_bytes) {
        uint64_t second = 0, third = 0;
        for (size_t offset = 0; offset < part_bytes; offset += 8) {
            value = _mm_crc32_u64(value, word_at(next + offset));
            second = _mm_crc32_u64(second, word_at(next + part_bytes + offset));
            third = _mm_crc32_u64(third, word_at(next + 2 * part_bytes + offset));
        }
        value = carried(value, over_two_parts) ^ carried(second, over_one_part) ^ third;
    }
    for (; count >= 8; count -= 8, next += 8) {
        value = _mm_crc32_u64(value, word_at(next));
    }
    for (; count; count--) {
        value = _mm_crc32_u8((uint32_t)value, *next++);
    }
    return ~(uint32_t)value;
}

static int cpu_has_crc32c(void) {
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("pclmul")) return 0;
    pthread_once(&carries_made, make_carries);
    return 1;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

__attribute__((target("crc"))) static uint32_t crc32c_cpu(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    uint32_t value = ~crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        value = __builtin_arm_crc32cd(value, word);
    }
    for (; count; count--) {
        value = __builtin_arm_crc32cb(value, *next++);
    }
    return ~value;
}

static int cpu_has_crc32c(void) {
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#else
static uint32_t crc32c_cpu(uint32_t crc, const void *bytes, size_t count) {
    return collector_crc32c_portable(crc, bytes, count);
}

static int cpu_has_crc32c(void) {
    return 0;
}
#endif

uint32_t collector_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return cpu_has_crc32c() ? crc32c_cpu(crc, bytes, count) : collector_crc32c_portable(crc, bytes, count);
}

int collector_spawn(const char *path, char *const arguments[]) {
    // The child tells of a failed exec through a pipe that a good one closes.
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        // Between fork and exec only what is async-signal-safe: other threads may hold any lock.
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            _exit(127);
        }
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(path, arguments);
        int code = errno;
        ssize_t ignored = write(report[1], &code, sizeof code);
        (void)ignored;
        _exit(127);
    }
    int fork_code = errno;
    close(report[1]);
    int exec_code = 0;
    ssize_t count = child < 0 ? 0 : read(report[0], &exec_code, sizeof exec_code);
    close(report[0]);
    if (child < 0) {
        errno = fork_code;
        return -1;
    }
    if (count == sizeof exec_code) {
        waitpid(child, NULL, 0);
        errno = exec_code;
        return -1;
    }
    return child;
}
