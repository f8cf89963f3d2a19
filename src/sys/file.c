/* SPDX-License-Identifier: Apache-2.0 */
/* file.c -- durable files. The order is always: temporary name in the same folder, write, fsync,
 * close, rename, fsync of the folder; what a crash leaves behind is the old file or the new one,
 * and at most a stray ".tmp" name that the next write replaces. */
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/status.h"

enum { CHUNK = 64 * 1024, TREE_DEPTH = 64 };

static enum ledge_status fail_errno(struct ledge_error *err, const char *what, const char *path)
{
    int code = errno;
    enum ledge_status status = LEDGE_ERR_IO;
    if (code == ENOENT) {
        status = LEDGE_ERR_NOT_FOUND;
    } else if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
        status = LEDGE_ERR_FULL;
    }
    return ledge_fail(err, status, "cannot %s %.180s: %s", what, path, strerror(code));
}

enum ledge_status sys_path(char path[SYS_PATH], struct ledge_error *err, const char *format, ...)
{
    char text[SYS_PATH];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || n >= SYS_PATH) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "path of %d bytes is too long: %.80s...", n, text);
    }
    memcpy(path, text, (size_t)n + 1);
    return LEDGE_OK;
}

enum ledge_status sys_path_real(const char *path, char real[SYS_PATH], struct ledge_error *err)
{
    char *found = realpath(path, NULL);
    if (found == NULL) {
        return fail_errno(err, "find", path);
    }
    enum ledge_status status = sys_path(real, err, "%s", found);
    free(found);
    return status;
}

enum ledge_status sys_file_read(const char *path, struct ledge_buf *buf, struct ledge_error *err)
{
    char chunk[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, "open", path);
    }
    enum ledge_status status = LEDGE_OK;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            status = fail_errno(err, "read", path);
        } else if (n > 0 && !ledge_buf_add(buf, chunk, (size_t)n)) {
            status =
                ledge_fail(err, LEDGE_ERR_RANGE, "%.180s has more than %zu bytes", path, buf->max);
        } else if (n > 0) {
            continue;
        }
        break;
    }
    close(fd);
    return status;
}

/* The folder that path stands in, into dir[PATH_MAX]. */
static void folder_of(const char *path, char dir[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        (void)snprintf(dir, PATH_MAX, ".");
    } else if (slash == path) {
        (void)snprintf(dir, PATH_MAX, "/");
    } else {
        (void)snprintf(dir, PATH_MAX, "%.*s", (int)(slash - path), path);
    }
}

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

/* A device or a pipe: nothing that could be replaced by another file. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static enum ledge_status write_special(const char *path, const void *bytes, size_t n,
                                       struct ledge_error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, "open", path);
    }
    enum ledge_status status = write_all(fd, bytes, n) ? LEDGE_OK : fail_errno(err, "write", path);
    close(fd);
    return status;
}

enum ledge_status sys_file_write(const char *path, const void *bytes, size_t n, unsigned mode,
                                 struct ledge_error *err)
{
    char temporary[PATH_MAX];
    char dir[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "path too long: %.100s...", path);
    }
    if (is_special(path)) {
        return write_special(path, bytes, n, err);
    }
    folder_of(path, dir);
    (void)unlink(temporary); /* left by a crash, perhaps with another mode */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd < 0) {
        return fail_errno(err, "create", path);
    }
    enum ledge_status status = LEDGE_OK;
    if (!write_all(fd, bytes, n)) {
        status = fail_errno(err, "write", path);
    } else if (fsync(fd) != 0) {
        status = fail_errno(err, "flush", path);
    }
    if (close(fd) != 0 && status == LEDGE_OK) {
        status = fail_errno(err, "close", path);
    }
    if (status == LEDGE_OK && rename(temporary, path) != 0) {
        status = fail_errno(err, "rename to", path);
    }
    if (status != LEDGE_OK) {
        (void)unlink(temporary);
        return status;
    }
    return sys_dir_sync(dir, err);
}

enum ledge_status sys_dir_make(const char *path, struct ledge_error *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "path of %zu bytes for a folder", n);
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return fail_errno(err, "make folder", part);
        }
        part[i] = kept;
    }
    struct stat st;
    if (stat(path, &st) != 0) {
        return fail_errno(err, "look at", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return ledge_fail(err, LEDGE_ERR_IO, "%.200s is not a folder", path);
    }
    return LEDGE_OK;
}

enum ledge_status sys_dir_sync(const char *path, struct ledge_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, "open folder", path);
    }
    enum ledge_status status = LEDGE_OK;
    if (fsync(fd) != 0) {
        status = fail_errno(err, "flush folder", path);
    }
    close(fd);
    return status;
}

/* Remove everything in the folder `at`/`name`; takes no path longer than one name, so depth is the
 * only bound. */
static bool empty_folder(int at, const char *name, int depth)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return false;
    }
    bool good = depth > 0;
    const struct dirent *entry;
    while (good && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(fd, entry->d_name, 0) == 0) {
            continue;
        }
        good = (errno == EISDIR || errno == EPERM) && empty_folder(fd, entry->d_name, depth - 1) &&
               unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0;
    }
    int code = errno;
    closedir(dir);
    errno = depth > 0 ? code : ELOOP;
    return good;
}

enum ledge_status sys_tree_remove(const char *path, struct ledge_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT) {
        return LEDGE_OK;
    }
    if ((errno != EISDIR && errno != EPERM) || !empty_folder(AT_FDCWD, path, TREE_DEPTH) ||
        rmdir(path) != 0) {
        return fail_errno(err, "remove", path);
    }
    return LEDGE_OK;
}

enum ledge_status sys_link_switch(const char *target, const char *path, struct ledge_error *err)
{
    char temporary[PATH_MAX];
    char dir[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "path too long: %.100s...", path);
    }
    folder_of(path, dir);
    (void)unlink(temporary);
    if (symlink(target, temporary) != 0) {
        return fail_errno(err, "link", temporary);
    }
    if (rename(temporary, path) != 0) {
        enum ledge_status status = fail_errno(err, "rename to", path);
        (void)unlink(temporary);
        return status;
    }
    return sys_dir_sync(dir, err);
}

enum ledge_status sys_file_sha256(const char *path, char hex[65], struct ledge_error *err)
{
    static _Thread_local char chunk[CHUNK];
    struct ledge_sha256 sha;
    uint8_t digest[LEDGE_SHA256_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, "open", path);
    }
    ledge_sha256_init(&sha);
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            enum ledge_status status = fail_errno(err, "read", path);
            close(fd);
            return status;
        }
        ledge_sha256_add(&sha, chunk, (size_t)n);
    }
    close(fd);
    ledge_sha256_end(&sha, digest);
    ledge_hex(digest, sizeof digest, hex);
    return LEDGE_OK;
}

enum ledge_status sys_file_lock(const char *path, struct ledge_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_errno(err, "open", path);
    }
    /* A POSIX lock: children do not inherit it, so it ends with this process whatever they do. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &whole) != 0) {
        bool taken = errno == EACCES || errno == EAGAIN;
        enum ledge_status status = fail_errno(err, "lock", path);
        close(fd);
        return taken
                   ? ledge_fail(err, LEDGE_ERR_STATE, "%.180s: another process has it locked", path)
                   : status;
    }
    return LEDGE_OK; /* fd stays open: the lock lives as long as the process */
}

bool sys_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sys_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t sys_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

void sys_time_text(int64_t ms, char text[32])
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0 ? 1 : 0));
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        (void)snprintf(text, 32, "%" PRId64 "ms", ms);
    }
}
