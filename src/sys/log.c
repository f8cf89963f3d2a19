/* SPDX-License-Identifier: Apache-2.0 */
/* log.c -- one line per event, written by one write(2) so that lines of several processes do not
 * mix.
 *
 * Under systemd (JOURNAL_STREAM set) the time is left out and the level becomes the "<3>" prefix
 * that journald reads. Control characters are replaced: a hostile name cannot forge a line. */
#include "sys/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "ledge";
static enum sys_log_level log_limit = SYS_LOG_INFO;
static bool log_journal;

static const struct {
    const char *name;
    int syslog; /* RFC 5424 severity */
} levels[] = {{"error", 3}, {"warning", 4}, {"info", 6}, {"debug", 7}};

void sys_log_init(const char *program, enum sys_log_level level)
{
    const char *wish = getenv("LEDGE_LOG");
    log_program = program;
    log_limit = level;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
    for (size_t i = 0; wish != NULL && i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(wish, levels[i].name) == 0) {
            log_limit = (enum sys_log_level)i;
        }
    }
}

/* "2026-01-01T00:00:00.000Z level program: " or "<6>"; returns its length. */
static size_t put_head(char *line, size_t size, enum sys_log_level level)
{
    int n;
    if (log_journal) {
        n = snprintf(line, size, "<%d>", levels[level].syslog);
    } else {
        struct timespec now;
        struct tm tm;
        char date[24];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
        n = snprintf(line, size, "%s.%03dZ %s %s: ", date, (int)(now.tv_nsec / 1000000),
                     levels[level].name, log_program);
    }
    return n < 0 ? 0 : (size_t)n;
}

void sys_log(enum sys_log_level level, const char *format, ...)
{
    char line[1024];
    if (level > log_limit) {
        return;
    }
    size_t at = put_head(line, sizeof line - 1, level);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + at, sizeof line - 1 - at, format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    size_t end = at + (size_t)n;
    if (end > sizeof line - 2) {
        end = sizeof line - 2;
    }
    for (size_t i = at; i < end; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[end++] = '\n';
    ssize_t unused = write(STDERR_FILENO, line, end);
    (void)unused;
}
