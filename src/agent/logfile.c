/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "sys/file.h"

enum { TAIL_BYTES = 256 * 1024 };

struct agent_logfile {
    int fd;
    size_t bytes;
    char path[SYS_PATH];
};

enum ledge_status agent_logfile_open(const char *path, struct agent_logfile **out,
                                     struct ledge_error *err)
{
    struct stat st = {0};
    struct agent_logfile *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "log: out of memory");
    }
    enum ledge_status status = sys_path(log->path, err, "%s", path);
    if (status != LEDGE_OK) {
        free(log);
        return status;
    }
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->fd < 0 || fstat(log->fd, &st) != 0) {
        int code = errno;
        agent_logfile_close(log);
        return ledge_fail(err, LEDGE_ERR_IO, "cannot open %.180s: %s", path, strerror(code));
    }
    log->bytes = (size_t)st.st_size;
    *out = log;
    return LEDGE_OK;
}

void agent_logfile_close(struct agent_logfile *log)
{
    if (log != NULL) {
        if (log->fd >= 0) {
            close(log->fd);
        }
        free(log);
    }
}

static void rotate(struct agent_logfile *log)
{
    char old[SYS_PATH];
    if (sys_path(old, NULL, "%s.1", log->path) != LEDGE_OK || rename(log->path, old) != 0) {
        return;
    }
    int fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        close(log->fd);
        log->fd = fd;
        log->bytes = 0;
    }
}

/* Length of the UTF-8 sequence at p (RFC 3629), 0 when there is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong =
        (p[0] == 0xe0 && n == 3 && p[1] < 0xa0) || (p[0] == 0xf0 && n == 4 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && n == 3 && p[1] > 0x9f;
    bool high = p[0] == 0xf4 && n == 4 && p[1] > 0x8f;
    return overlong || surrogate || high ? 0 : n;
}

void agent_logfile_add(struct agent_logfile *log, int64_t time_ms, const char *text)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf line = LEDGE_BUF_INIT(16 * 1024);
    (void)ledge_buf_printf(&line, "%" PRId64 " ", time_ms);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';) {
        size_t n = utf8_length(p);
        (void)ledge_buf_add(&line, n > 0 ? (const char *)p : "?", n > 0 ? n : 1);
        p += n > 0 ? n : 1;
    }
    (void)ledge_buf_text(&line, "\n");
    if (log->bytes + line.len > AGENT_LOG_BYTES) {
        rotate(log);
    }
    if (line.len > 0 && write(log->fd, line.data, line.len) == (ssize_t)line.len) {
        log->bytes += line.len;
    }
}

/* Append the last bytes of a file, from the start of a line on. */
static void read_end(const char *path, size_t max, struct ledge_buf *text)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    off_t at = st.st_size > (off_t)max ? st.st_size - (off_t)max : 0;
    bool cut = at > 0;
    char chunk[8192];
    ssize_t n;
    while ((n = pread(fd, chunk, sizeof chunk, at)) > 0) {
        const char *from = chunk;
        at += n;
        if (cut) {
            const char *end = memchr(chunk, '\n', (size_t)n);
            if (end == NULL) {
                continue;
            }
            from = end + 1;
            cut = false;
        }
        (void)ledge_buf_add(text, from, (size_t)(chunk + n - from));
    }
    close(fd);
}

/* One line as {"ts","text"}; NULL when it is none. */
static json_t *line_value(const char *line, size_t n)
{
    char *end = NULL;
    long long ts = strtoll(line, &end, 10);
    if (end == line || end >= line + n || *end != ' ') {
        return NULL;
    }
    end++;
    return json_pack("{s:I,s:s%}", "ts", (json_int_t)ts, "text", end, (size_t)(line + n - end));
}

json_t *agent_logfile_tail(const char *path, size_t limit, size_t max_bytes)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(2 * TAIL_BYTES);
    char old[SYS_PATH];
    json_t *lines = json_array();
    if (lines != NULL && sys_path(old, NULL, "%s.1", path) == LEDGE_OK) {
        read_end(old, TAIL_BYTES, &text);
        read_end(path, TAIL_BYTES, &text);
    }
    /* From the end, until one of the limits is reached. */
    for (size_t end = text.len, bytes = 0;
         lines != NULL && end > 0 && json_array_size(lines) < limit;) {
        size_t start = end - 1; /* the line's own newline */
        while (start > 0 && text.data[start - 1] != '\n') {
            start--;
        }
        bytes += 2 * (end - start) + 32; /* escapes at most double a printable line */
        if (bytes > max_bytes) {
            break;
        }
        json_t *value = line_value(text.data + start, end - start - 1);
        if (value != NULL && json_array_insert_new(lines, 0, value) != 0) {
            break;
        }
        end = start;
    }
    return lines;
}
