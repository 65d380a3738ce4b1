/*
 * file.c - whole files: read at once, written aside and renamed, and the folders they lie in.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum hf_status file_failed(struct hf_error *e, const char *path, const char *what) {
    int code = errno;
    return hf_fail(e, code == ENOENT ? HF_NOT_FOUND : HF_IO, "%s: %s: %s", path, what,
                   strerror(code));
}

enum hf_status file_remove(const char *path, struct hf_error *e) {
    return unlink(path) == 0 || errno == ENOENT ? HF_OK : file_failed(e, path, "cannot be removed");
}

static enum hf_status read_all(int fd, const char *path, char *bytes, size_t size,
                               struct hf_error *e) {
    for (size_t at = 0; at < size;) {
        ssize_t n = read(fd, bytes + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_failed(e, path, "cannot be read");
        if (n == 0)
            return hf_fail(e, HF_IO, "%s: ends after %zu of %zu bytes; it shrank while it was read",
                           path, at, size);
        at += (size_t)n;
    }
    return HF_OK;
}

enum hf_status file_read(const char *path, void **ret, size_t *ret_size, struct hf_error *e) {
    struct stat info;
    char *bytes = NULL;
    enum hf_status st = HF_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_failed(e, path, "cannot be opened");
    if (fstat(fd, &info) != 0)
        st = file_failed(e, path, "cannot be read");
    else if (S_ISDIR(info.st_mode))
        st = hf_fail(e, HF_IO, "%s: is a folder; expected a file", path);
    else if (!S_ISREG(info.st_mode))
        st = hf_fail(e, HF_IO, "%s: is not a regular file", path);
    else if (!(bytes = malloc(info.st_size ? (size_t)info.st_size : 1)))
        st = hf_fail(e, HF_NO_MEMORY, "%s: no memory for its %lld bytes", path,
                     (long long)info.st_size);
    else
        st = read_all(fd, path, bytes, (size_t)info.st_size, e);
    (void)close(fd);
    if (st != HF_OK) {
        free(bytes);
        return st;
    }
    *ret = bytes;
    *ret_size = (size_t)info.st_size;
    return HF_OK;
}

enum hf_status file_put(int fd, const char *path, const void *bytes, size_t size,
                        struct hf_error *e) {
    for (size_t at = 0; at < size;) {
        ssize_t n = write(fd, (const char *)bytes + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_failed(e, path, "cannot be written");
        at += (size_t)n;
    }
    return HF_OK;
}

static enum hf_status write_all(int fd, const char *path, const void *bytes, size_t size,
                                struct hf_error *e) {
    enum hf_status st = file_put(fd, path, bytes, size, e);
    if (st != HF_OK || fsync(fd) == 0)
        return st;
    return file_failed(e, path, "cannot be written");
}

static void folder_of(const char *path, char *ret, size_t size) {
    (void)snprintf(ret, size, "%s", path);
    char *slash = strrchr(ret, '/');
    if (slash)
        slash[slash == ret] = 0;
    else
        (void)snprintf(ret, size, ".");
}

/* The new name itself must reach the disk; file systems that cannot sync folders are let be. */
static void sync_folder_of(const char *path) {
    char folder[PATH_MAX];
    folder_of(path, folder, sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* A file without a name in the folder of `path`, of which nothing stays if the process dies; -1
 * where the file system has no such thing. */
static int open_unnamed(const char *path) {
#ifdef O_TMPFILE
    char folder[PATH_MAX];
    folder_of(path, folder, sizeof folder);
    return open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
#else
    (void)path;
    return -1;
#endif
}

/* Gives the open file a name; false: it cannot have one. */
static bool name_file(int fd, const char *name) {
    char link[32];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    (void)unlink(name);
    return linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

/* Writes the file `aside`; errors name `path`. */
static enum hf_status write_aside(const char *path, const char *aside, const void *bytes,
                                  size_t size, struct hf_error *e) {
    int fd = open_unnamed(path);
    bool named = false;
    if (fd >= 0) {
        enum hf_status st = write_all(fd, path, bytes, size, e);
        named = st == HF_OK && name_file(fd, aside);
        if (close(fd) != 0 && st == HF_OK)
            st = file_failed(e, path, "cannot be written");
        if (st != HF_OK || named)
            return st;
    }
    fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return file_failed(e, path, "cannot be written");
    enum hf_status st = write_all(fd, path, bytes, size, e);
    if (close(fd) != 0 && st == HF_OK)
        st = file_failed(e, path, "cannot be written");
    return st;
}

enum hf_status file_write(const char *path, const void *bytes, size_t size, struct hf_error *e) {
    char aside[PATH_MAX]; /* a name that no other thread or program uses */
    int n = snprintf(aside, sizeof aside, "%s.%ld-%lx.part", path, (long)getpid(),
                     (unsigned long)pthread_self());
    if (n < 0 || (size_t)n >= sizeof aside)
        return hf_fail(e, HF_INVALID, "%.200s...: the path is too long", path);
    enum hf_status st = write_aside(path, aside, bytes, size, e);
    if (st == HF_OK && rename(aside, path) != 0)
        st = file_failed(e, path, "cannot be written");
    if (st != HF_OK)
        (void)unlink(aside);
    else
        sync_folder_of(path);
    return st;
}

enum hf_status folder_make(const char *path, struct hf_error *e) {
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part)
        return hf_fail(e, HF_INVALID, "'%.200s' is no path for a folder", path);
    memcpy(part, path, size + 1);
    for (size_t i = 1; i <= size; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        char kept = part[i];
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return file_failed(e, part, "the folder cannot be made");
        part[i] = kept;
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return hf_fail(e, HF_IO, "%s: is in the way; expected a folder", path);
    return HF_OK;
}

bool path_goes_up(const char *path) {
    for (const char *at = path; (at = strstr(at, "..")); at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == 0 || at[2] == '/'))
            return true;
    return false;
}
