// Preloaded into the program: fdatasync and fsync of a file whose path holds the text of SYNC_FAILS_OF fail while the file
// SYNC_FAILS_WHILE exists. They, pwritev and pwrite do not return while the file SYNC_HANGS_WHILE does.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int exists(const char *variable) {
    const char *flag = getenv(variable);
    return flag && access(flag, F_OK) == 0;
}

static int fails(int descriptor) {
    const char *wanted = getenv("SYNC_FAILS_OF");
    if (!wanted || !(exists("SYNC_FAILS_WHILE") || exists("SYNC_HANGS_WHILE"))) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count < 0) return 0;
    path[count] = 0;
    if (!strstr(path, wanted)) return 0;
    while (exists("SYNC_HANGS_WHILE")) usleep(20000);
    return exists("SYNC_FAILS_WHILE");
}

int fdatasync(int descriptor) {
    if (fails(descriptor)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(descriptor);
}

int fsync(int descriptor) {
    if (fails(descriptor)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(descriptor);
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    if (exists("SYNC_HANGS_WHILE")) fails(descriptor);
    return ((ssize_t (*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev"))(descriptor, parts, count, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    if (exists("SYNC_HANGS_WHILE")) fails(descriptor);
    return ((ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite"))(descriptor, bytes, count, offset);
}
