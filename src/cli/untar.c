/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/untar.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "sys/file.h"

enum {
    BLOCK = 512,
    NAME = 100,
    PREFIX = 155,
    SIZE_AT = 124,
    SUM_AT = 148,
    TYPE_AT = 156,
    PREFIX_AT = 345
};

/* Octal digits up to a NUL or blank; false for anything else. */
static bool octal(const uint8_t *field, size_t n, uint64_t *value)
{
    uint64_t result = 0;
    size_t i = 0;
    while (i < n && field[i] >= '0' && field[i] <= '7') {
        result = result * 8 + (uint64_t)(field[i++] - '0');
    }
    if (i == 0 || (i < n && field[i] != 0 && field[i] != ' ')) {
        return false;
    }
    *value = result;
    return true;
}

static bool sum_is_right(const uint8_t *header)
{
    uint64_t stated, sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        sum += i >= SUM_AT && i < SUM_AT + 8 ? ' ' : header[i];
    }
    return octal(header + SUM_AT, 8, &stated) && stated == sum;
}

/* Relative, without empty or dotted components that climb. */
static bool name_is_safe(const char *name)
{
    if (name[0] == '/' || name[0] == '\0') {
        return false;
    }
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += part[0] == '/';
        if (strcmp(part, "..") == 0 || strncmp(part, "../", 3) == 0) {
            return false;
        }
    }
    return true;
}

static enum ledge_status entry_name(const uint8_t *header, char name[SYS_PATH],
                                    struct ledge_error *err)
{
    int n = (int)strnlen((const char *)header, NAME);
    int n_prefix = (int)strnlen((const char *)header + PREFIX_AT, PREFIX);
    LEDGE_TRY(sys_path(name, err, "%.*s%s%.*s", n_prefix, (const char *)header + PREFIX_AT,
                       n_prefix > 0 ? "/" : "", n, (const char *)header));
    if (!name_is_safe(name)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "archive: entry \"%.80s\" leaves the folder",
                          name);
    }
    return LEDGE_OK;
}

static enum ledge_status write_entry(const char *folder, const char *name, const uint8_t *bytes,
                                     size_t n, struct ledge_error *err)
{
    char path[SYS_PATH], parent[SYS_PATH];
    LEDGE_TRY(sys_path(path, err, "%s/%s", folder, name));
    LEDGE_TRY(sys_path(parent, err, "%.*s", (int)(strrchr(path, '/') - path), path));
    LEDGE_TRY(sys_dir_make(parent, err));
    return sys_file_write(path, bytes, n, 0644, err);
}

enum ledge_status cli_untar(const void *bytes, size_t n, const char *folder, int *files,
                            struct ledge_error *err)
{
    const uint8_t *archive = bytes;
    int count = 0;
    LEDGE_TRY(sys_dir_make(folder, err));
    for (size_t at = 0; at + BLOCK <= n && archive[at] != 0;) {
        const uint8_t *header = archive + at;
        char name[SYS_PATH];
        uint64_t size;
        if (memcmp(header + 257, "ustar", 5) != 0 || !sum_is_right(header) ||
            !octal(header + SIZE_AT, 12, &size) || size > n - at - BLOCK) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "archive: bad header at byte %zu", at);
        }
        LEDGE_TRY(entry_name(header, name, err));
        if (header[TYPE_AT] == '0' || header[TYPE_AT] == 0) {
            LEDGE_TRY(write_entry(folder, name, header + BLOCK, (size_t)size, err));
            count++;
        } else if (header[TYPE_AT] != '5') {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "archive: entry \"%.80s\" is no plain file",
                              name);
        }
        at += BLOCK + ((size_t)size + BLOCK - 1) / BLOCK * BLOCK;
    }
    *files = count;
    return LEDGE_OK;
}
