/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/reader.h"
#include "base/status.h"
#include "sys/file.h"

enum { SLOT = 4096, HEAD = 16 };

struct agent_journal_file {
    int fd;
    uint64_t counter; /* of the newest slot; it stands in slot (counter + 1) % 2 */
    char path[SYS_PATH];
};

static bool put_text(struct ledge_buf *buf, const char *text, size_t size)
{
    char field[AGENT_REASON] = {0};
    memcpy(field, text, strnlen(text, size - 1));
    return ledge_buf_add(buf, field, size);
}

static bool encode(const struct agent_journal *j, uint64_t counter, struct ledge_buf *slot)
{
    bool good =
        ledge_buf_add(slot, "LJN1\0\0\0", 8) && ledge_buf_u64(slot, counter) &&
        ledge_buf_u32(slot, (unsigned long)j->state) &&
        ledge_buf_u32(slot, (unsigned long)j->trial_starts) &&
        ledge_buf_u64(slot, (uint64_t)j->current) && ledge_buf_u64(slot, (uint64_t)j->previous) &&
        ledge_buf_u64(slot, (uint64_t)j->target) && ledge_buf_u64(slot, (uint64_t)j->seen) &&
        put_text(slot, j->digest, 65) && put_text(slot, j->reason, AGENT_REASON);
    for (int i = 0; i < AGENT_FAILED_KEPT; i++) {
        good = good && put_text(slot, j->failed[i], 65);
    }
    if (!good) {
        return false;
    }
    uint32_t payload = (uint32_t)(slot->len - HEAD);
    for (int i = 0; i < 4; i++) {
        slot->data[4 + i] = (char)(payload >> (8 * i));
    }
    return ledge_buf_u32(slot, ledge_crc32c(0, slot->data, slot->len));
}

static void get_text(struct ledge_reader *r, char *text, size_t size)
{
    const uint8_t *bytes = ledge_reader_take(r, size);
    if (bytes != NULL) {
        memcpy(text, bytes, size);
        text[size - 1] = '\0';
    }
}

/* False unless the slot is whole. */
static bool decode(const uint8_t *slot, size_t n, struct agent_journal *j, uint64_t *counter)
{
    struct ledge_reader r = ledge_reader_make(slot, n);
    const uint8_t *magic = ledge_reader_take(&r, 4);
    size_t payload = ledge_reader_u32(&r);
    *counter = ledge_reader_u64(&r);
    if (r.failed || memcmp(magic, "LJN1", 4) != 0 || payload > n - HEAD - 4) {
        return false;
    }
    struct ledge_reader crc = ledge_reader_make(slot + HEAD + payload, 4);
    if (ledge_reader_u32(&crc) != ledge_crc32c(0, slot, HEAD + payload)) {
        return false;
    }
    r.size = HEAD + payload;
    uint32_t state = ledge_reader_u32(&r);
    j->state = (enum fleet_deploy_state)state;
    j->trial_starts = (int32_t)ledge_reader_u32(&r);
    j->current = (int64_t)ledge_reader_u64(&r);
    j->previous = (int64_t)ledge_reader_u64(&r);
    j->target = (int64_t)ledge_reader_u64(&r);
    j->seen = (int64_t)ledge_reader_u64(&r);
    get_text(&r, j->digest, sizeof j->digest);
    get_text(&r, j->reason, sizeof j->reason);
    for (int i = 0; i < AGENT_FAILED_KEPT; i++) {
        get_text(&r, j->failed[i], sizeof j->failed[i]);
    }
    return !r.failed && state < FLEET_STATE_COUNT;
}

static enum ledge_status read_slots(struct agent_journal_file *file, struct agent_journal *journal,
                                    struct ledge_error *err)
{
    uint8_t bytes[2 * SLOT];
    ssize_t n = pread(file->fd, bytes, sizeof bytes, 0);
    if (n < 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot read %.180s: %s", file->path, strerror(errno));
    }
    bool found = false;
    int used = 0;
    for (size_t i = 0; i < 2 && (size_t)n >= (i + 1) * SLOT; i++) {
        struct agent_journal read = {.state = FLEET_STATE_IDLE};
        const uint8_t *slot = bytes + i * SLOT;
        uint64_t counter = 0;
        used += memcmp(slot, "\0\0\0", 4) != 0 ? 1 : 0;
        if (decode(slot, SLOT, &read, &counter) && (!found || counter > file->counter)) {
            *journal = read;
            file->counter = counter;
            found = true;
        }
    }
    /* One slot in use that is not whole is the first write of all, cut short: nothing had begun. */
    return found || used < 2
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_CORRUPT, "%.180s: neither slot is whole", file->path);
}

enum ledge_status agent_journal_open(const char *path, struct agent_journal_file **out,
                                     struct agent_journal *journal, struct ledge_error *err)
{
    struct agent_journal_file *file = calloc(1, sizeof *file);
    struct agent_journal read = {.state = FLEET_STATE_IDLE};
    if (file == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "journal: out of memory");
    }
    enum ledge_status status = sys_path(file->path, err, "%s", path);
    if (status != LEDGE_OK) {
        free(file);
        return status;
    }
    file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        status = ledge_fail(err, LEDGE_ERR_IO, "cannot open %.180s: %s", path, strerror(errno));
    } else if (ftruncate(file->fd, 2 * SLOT) != 0 ||
               posix_fallocate(file->fd, 0, 2 * SLOT) != 0) { /* later writes need no new space */
        status = ledge_fail(err, LEDGE_ERR_FULL, "no space for %.180s", path);
    } else {
        status = read_slots(file, &read, err);
    }
    if (status != LEDGE_OK) {
        agent_journal_close(file);
        return status;
    }
    *journal = read;
    *out = file;
    return LEDGE_OK;
}

void agent_journal_close(struct agent_journal_file *file)
{
    if (file != NULL) {
        if (file->fd >= 0) {
            close(file->fd);
        }
        free(file);
    }
}

enum ledge_status agent_journal_write(struct agent_journal_file *file,
                                      const struct agent_journal *journal, struct ledge_error *err)
{
    struct ledge_buf slot = LEDGE_BUF_INIT(SLOT);
    uint64_t counter = file->counter + 1;
    bool good = encode(journal, counter, &slot);
    off_t at = (off_t)((counter + 1) % 2) * SLOT;
    errno = ENOMEM;
    good = good && pwrite(file->fd, slot.data, slot.len, at) == (ssize_t)slot.len &&
           fdatasync(file->fd) == 0;
    int code = errno;
    ledge_buf_done(&slot);
    if (!good) {
        return ledge_fail(err, code == ENOSPC || code == EDQUOT ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "cannot write %.180s: %s", file->path, strerror(code));
    }
    file->counter = counter;
    return LEDGE_OK;
}
