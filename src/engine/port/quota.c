/* SPDX-License-Identifier: Apache-2.0 */
/* quota.c -- how many CPUs the control groups of this process let it use at a time.
 *
 * cgroup v2: the line "0::PATH" of /proc/self/cgroup, then cpu.max ("QUOTA PERIOD" in us, or "max
 * PERIOD") of PATH and of every folder above it. cgroup v1: the line with the controller cpu, then
 * cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us. Source: Linux, admin-guide/cgroup-v2 and
 * scheduler/sched-bwc.
 */
#define _GNU_SOURCE /* O_CLOEXEC */
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"
#include "engine/port/port.h"

enum { TEXT = 4096, PATH = 1024 };

/* The start of a file as text; false when there is none. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, size - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static int32_t whole_cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) {
        return INT32_MAX;
    }
    long long cpus = quota / period + (quota % period != 0);
    return cpus < INT32_MAX ? (int32_t)cpus : INT32_MAX;
}

int32_t ledge_quota_cpus(const char *cpu_max)
{
    char *end;
    long long quota = strtoll(cpu_max, &end, 10);
    if (end == cpu_max) { /* "max" */
        return INT32_MAX;
    }
    return whole_cpus(quota, strtoll(end, NULL, 10));
}

static int32_t least_of_v2(char *group)
{
    char path[PATH + 64], text[64];
    int32_t least = INT32_MAX;
    for (;;) {
        int n = snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        if (n > 0 && (size_t)n < sizeof path && read_text(path, text, sizeof text)) {
            int32_t cpus = ledge_quota_cpus(text);
            least = cpus < least ? cpus : least;
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return least;
        }
        *slash = '\0';
    }
}

static int32_t cpus_of_v1(const char *group)
{
    static const char *const names[] = {"quota", "period"};
    char path[PATH + 64], text[64];
    long long values[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_%s_us", group, names[i]);
        if (n <= 0 || (size_t)n >= sizeof path || !read_text(path, text, sizeof text)) {
            return INT32_MAX;
        }
        values[i] = strtoll(text, NULL, 10);
    }
    return whole_cpus(values[0], values[1]);
}

/* Is cpu one of the comma-separated controllers of a line? */
static bool has_cpu(const char *controllers, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t length = strcspn(controllers + at, ",:");
        if (length == 3 && memcmp(controllers + at, "cpu", 3) == 0) {
            return true;
        }
        at += length + 1;
    }
    return false;
}

int32_t ledge_port_quota(void)
{
    char text[TEXT];
    int32_t least = INT32_MAX;
    if (!read_text("/proc/self/cgroup", text, sizeof text)) {
        return least;
    }
    for (char *line = text; line != NULL && *line != '\0';) { /* NUMBER:CONTROLLERS:PATH */
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group != NULL && strlen(group) < PATH) {
            bool v2 = group == controllers + 1;
            bool v1 = has_cpu(controllers + 1, (size_t)(group - controllers - 1));
            int32_t cpus = v2 ? least_of_v2(group + 1) : v1 ? cpus_of_v1(group + 1) : INT32_MAX;
            least = cpus < least ? cpus : least;
        }
        line = next;
    }
    return least;
}
