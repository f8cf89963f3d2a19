/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/generation.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/failpoint.h"
#include "base/cleanup.h"
#include "base/status.h"

/* Hard link a blob to <folder>/<file> (folder made), and flush the folder. mode 0: as it is. */
static enum ledge_status link_blob(const struct agent_store *store, const char *sha256,
                                   const char *folder, const char *file, mode_t mode,
                                   struct ledge_error *err)
{
    char from[SYS_PATH];
    char to[SYS_PATH];
    LEDGE_TRY(agent_store_check(store, sha256, err));
    LEDGE_TRY(agent_store_path(store, sha256, from, err));
    LEDGE_TRY(sys_path(to, err, "%s/%s", folder, file));
    LEDGE_TRY(sys_dir_make(folder, err));
    if (link(from, to) != 0 || (mode != 0 && chmod(to, mode) != 0)) {
        return ledge_fail(err, errno == ENOSPC || errno == EDQUOT ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "cannot link %.180s: %s", to, strerror(errno));
    }
    return sys_dir_sync(folder, err);
}

static enum ledge_status link_all(const char *folder, const struct agent_store *store,
                                  const struct fleet_desired *d, struct ledge_error *err)
{
    char at[SYS_PATH];
    for (size_t i = 0; i < d->n_models; i++) {
        const struct fleet_model *m = &d->models[i];
        LEDGE_TRY(sys_path(at, err, "%s/models/%s", folder, m->name));
        LEDGE_TRY(link_blob(store, m->blob.sha256, at, m->file, 0, err));
        if (m->probe.sha256[0] != '\0') {
            char file[FLEET_NAME_SIZE + 8];
            (void)snprintf(file, sizeof file, "%s.json", m->name);
            LEDGE_TRY(sys_path(at, err, "%s/probes", folder));
            LEDGE_TRY(link_blob(store, m->probe.sha256, at, file, 0, err));
        }
    }
    for (size_t i = 0; i < d->n_functions; i++) {
        const struct fleet_function *f = &d->functions[i];
        LEDGE_TRY(sys_path(at, err, "%s/functions/%s", folder, f->name));
        LEDGE_TRY(link_blob(store, f->blob.sha256, at, f->file, 0500, err));
    }
    return LEDGE_OK;
}

/* The folders between gen/N.tmp and the files were flushed with their files; these hold folders. */
static enum ledge_status sync_parents(const char *folder, struct ledge_error *err)
{
    static const char *const parts[] = {"models", "functions"};
    char at[SYS_PATH];
    for (size_t i = 0; i < 2; i++) {
        LEDGE_TRY(sys_path(at, err, "%s/%s", folder, parts[i]));
        if (sys_file_exists(at)) {
            LEDGE_TRY(sys_dir_sync(at, err));
        }
    }
    return sys_dir_sync(folder, err);
}

enum ledge_status agent_generation_build(const char *state, const struct agent_store *store,
                                         const struct fleet_desired *desired,
                                         const struct ledge_buf *document, struct ledge_error *err)
{
    char folder[SYS_PATH];
    char temporary[SYS_PATH];
    char manifest[SYS_PATH];
    char parent[SYS_PATH];
    LEDGE_TRY(sys_path(parent, err, "%s/gen", state));
    LEDGE_TRY(sys_path(folder, err, "%s/%" PRId64, parent, desired->gen));
    LEDGE_TRY(sys_path(temporary, err, "%s.tmp", folder));
    LEDGE_TRY(sys_path(manifest, err, "%s/desired.json", temporary));
    LEDGE_TRY(sys_tree_remove(folder, err)); /* of an attempt before; never the current one */
    LEDGE_TRY(sys_tree_remove(temporary, err));
    LEDGE_TRY(sys_dir_make(temporary, err));
    LEDGE_TRY(sys_file_write(manifest, document->data, document->len, 0600, err));
    LEDGE_TRY(link_all(temporary, store, desired, err));
    LEDGE_TRY(sync_parents(temporary, err));
    if (agent_failpoint("GEN_BUILT")) {
        return ledge_fail(err, LEDGE_ERR_IO, "generation %" PRId64 ": fail point", desired->gen);
    }
    if (rename(temporary, folder) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot rename to %.180s: %s", folder,
                          strerror(errno));
    }
    return sys_dir_sync(parent, err);
}

enum ledge_status agent_generation_load(const char *state, int64_t gen,
                                        struct fleet_desired *desired, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(FLEET_DOCUMENT_MAX);
    char path[SYS_PATH];
    LEDGE_TRY(sys_path(path, err, "%s/gen/%" PRId64 "/desired.json", state, gen));
    LEDGE_TRY(sys_file_read(path, &text, err));
    return fleet_desired_parse(text.data, text.len, desired, err);
}

bool agent_generation_exists(const char *state, int64_t gen)
{
    char path[SYS_PATH];
    return gen > 0 &&
           sys_path(path, NULL, "%s/gen/%" PRId64 "/desired.json", state, gen) == LEDGE_OK &&
           sys_file_exists(path);
}

enum ledge_status agent_generation_switch(const char *state, int64_t gen, struct ledge_error *err)
{
    char path[SYS_PATH];
    char target[64];
    LEDGE_TRY(sys_path(path, err, "%s/current", state));
    if (gen == 0) {
        LEDGE_TRY(sys_tree_remove(path, err));
        return sys_dir_sync(state, err);
    }
    (void)snprintf(target, sizeof target, "gen/%" PRId64, gen);
    return sys_link_switch(target, path, err);
}

int64_t agent_generation_current(const char *state)
{
    char path[SYS_PATH];
    char target[64] = {0};
    if (sys_path(path, NULL, "%s/current", state) != LEDGE_OK ||
        readlink(path, target, sizeof target - 1) <= 0 || strncmp(target, "gen/", 4) != 0) {
        return 0;
    }
    char *end;
    long long gen = strtoll(target + 4, &end, 10);
    return *end == '\0' && gen > 0 ? gen : 0;
}

void agent_generation_collect(const char *state, int64_t a, int64_t b)
{
    char parent[SYS_PATH];
    if (sys_path(parent, NULL, "%s/gen", state) != LEDGE_OK) {
        return;
    }
    DIR *dir = opendir(parent);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[SYS_PATH];
        char *end;
        struct ledge_error ignored;
        long long gen = strtoll(entry->d_name, &end, 10);
        bool wanted = *end == '\0' && gen > 0 && (gen == a || gen == b);
        if (entry->d_name[0] == '.' || wanted ||
            sys_path(path, NULL, "%s/%s", parent, entry->d_name) != LEDGE_OK) {
            continue;
        }
        if (sys_tree_remove(path, &ignored) != LEDGE_OK) {
            continue; /* it is tried again after the next deployment */
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}
