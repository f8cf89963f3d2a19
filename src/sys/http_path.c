/* SPDX-License-Identifier: Apache-2.0 */
/* http_path.c -- a request's path against the patterns of routes (http.h).
 *
 * A path is split at '/' as it was sent, and only then is each part decoded by itself (RFC 3986
 * section 2.2): a "%2F" in a name stays part of that name and never begins another route. */
#include <string.h>

#include "sys/http.h"
#include "sys/http_wire.h"

bool sys_http_path_ok(const char *path, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (path[i] != '%') {
            continue;
        }
        int byte = sys_http_escaped(path + i, n - i);
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Take one part of the path for one part of the pattern. */
static bool part_fits(const char *pattern, size_t n_pattern, const char *part, size_t *n_parts,
                      char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE])
{
    size_t n = strlen(part);
    if (*pattern != '{') {
        return n == n_pattern && memcmp(part, pattern, n) == 0;
    }
    if (n == 0 || *n_parts == SYS_HTTP_PARTS) {
        return false;
    }
    memcpy(parts[(*n_parts)++], part, n + 1);
    return true;
}

bool sys_http_path_fits(const char *path, const char *pattern,
                        char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE])
{
    char part[SYS_HTTP_PART_SIZE];
    size_t n_parts = 0;
    while (*path == '/' && *pattern == '/') {
        size_t n_path = strcspn(++path, "/"), n_pattern = strcspn(++pattern, "/");
        if (n_path >= sizeof part || !sys_http_unescape(path, n_path, false, part) ||
            !part_fits(pattern, n_pattern, part, &n_parts, parts)) {
            return false;
        }
        path += n_path;
        pattern += n_pattern;
    }
    return *path == '\0' && *pattern == '\0';
}
