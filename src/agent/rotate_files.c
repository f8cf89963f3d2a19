/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rotate_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/failpoint.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "sys/tls.h"

enum { PEM_MAX = 65536, WORD_MAX = 32 };

static const char *const names[] = {
#define AGENT_ROTATE_NAME(name, text) #name,
    AGENT_ROTATE_STATES(AGENT_ROTATE_NAME)
#undef AGENT_ROTATE_NAME
};
enum { N_STATES = sizeof names / sizeof names[0] };

const char *rotate_state_name(enum agent_rotate_state state)
{
    return names[state];
}

static enum ledge_status at(const struct agent_config *config, const char *name,
                            char path[SYS_PATH], struct ledge_error *err)
{
    return sys_path(path, err, "%s/%s", config->state, name);
}

/* -- journal -------------------------------------------------------------------------------------
 */

enum agent_rotate_state rotate_read(const struct agent_config *config)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(WORD_MAX);
    char path[SYS_PATH];
    if (at(config, "rotation", path, NULL) == LEDGE_OK &&
        sys_file_read(path, &text, NULL) == LEDGE_OK && text.data != NULL) {
        for (int i = 0; i < N_STATES; i++) {
            size_t n = strlen(names[i]);
            if (text.len == n + 1 && memcmp(text.data, names[i], n) == 0) {
                return (enum agent_rotate_state)i;
            }
        }
    }
    return AGENT_ROTATE_IDLE;
}

enum ledge_status rotate_write(const struct agent_config *config, enum agent_rotate_state state,
                               struct ledge_error *err)
{
    char path[SYS_PATH], word[WORD_MAX], point[WORD_MAX];
    (void)snprintf(word, sizeof word, "%s\n", names[state]);
    (void)snprintf(point, sizeof point, "ROTATE_%s", names[state]);
    LEDGE_TRY(at(config, "rotation", path, err));
    LEDGE_TRY(sys_file_write(path, word, strlen(word), 0600, err));
    return agent_failpoint(point) ? ledge_fail(err, LEDGE_ERR_IO, "fail point %s", point)
                                  : LEDGE_OK;
}

/* -- the next pair -------------------------------------------------------------------------------
 */

enum ledge_status rotate_prepare(const struct agent_config *config, struct ledge_buf *csr,
                                 struct ledge_error *err)
{
    char key[SYS_PATH], path[SYS_PATH];
    LEDGE_TRY(at(config, "next.key", key, err));
    LEDGE_TRY(at(config, "next.csr", path, err));
    if (!sys_file_exists(key)) {
        LEDGE_TRY(sys_key_create(key, err));
        if (agent_failpoint("ROTATE_KEY")) {
            return ledge_fail(err, LEDGE_ERR_IO, "fail point");
        }
    }
    if (sys_file_exists(path)) {
        return sys_file_read(path, csr, err);
    }
    LEDGE_TRY(sys_csr_create(key, config->device, csr, err));
    return sys_file_write(path, csr->data, csr->len, 0600, err);
}

enum ledge_status rotate_next_tls(const struct agent_config *config, struct sys_tls **tls,
                                  struct ledge_error *err)
{
    char key[SYS_PATH], certificate[SYS_PATH];
    LEDGE_TRY(at(config, "next.key", key, err));
    LEDGE_TRY(at(config, "next.crt", certificate, err));
    struct sys_tls_options options = {.certificate = certificate,
                                      .key = key,
                                      .ca = config->ca,
                                      .verify = SYS_TLS_VERIFY_REQUIRED};
    return sys_tls_create(&options, tls, err);
}

enum ledge_status rotate_keep(const struct agent_config *config, const char *pem,
                              struct ledge_error *err)
{
    struct sys_tls *tls = NULL;
    char path[SYS_PATH];
    LEDGE_TRY(at(config, "next.crt", path, err));
    LEDGE_TRY(sys_file_write(path, pem, strlen(pem), 0600, err));
    LEDGE_TRY(rotate_next_tls(config, &tls, err)); /* they belong together, or this fails */
    sys_tls_free(tls);
    return LEDGE_OK;
}

/* -- the switch ----------------------------------------------------------------------------------
 */

/* Absent: it has been renamed before. */
static enum ledge_status move(const struct agent_config *config, const char *from, const char *to,
                              struct ledge_error *err)
{
    char source[SYS_PATH], target[SYS_PATH];
    LEDGE_TRY(at(config, from, source, err));
    LEDGE_TRY(at(config, to, target, err));
    if (rename(source, target) != 0 && errno != ENOENT) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot rename %.180s: %s", source, strerror(errno));
    }
    return LEDGE_OK;
}

/* A second name for what is there now, unless the switch has begun (then the name stands for it
 * already, or has nothing to stand for). */
static enum ledge_status keep_old(const struct agent_config *config, const char *next,
                                  const char *device, const char *prev, struct ledge_error *err)
{
    char waiting[SYS_PATH], source[SYS_PATH], target[SYS_PATH];
    LEDGE_TRY(at(config, next, waiting, err));
    LEDGE_TRY(at(config, device, source, err));
    LEDGE_TRY(at(config, prev, target, err));
    if (sys_file_exists(waiting) && link(source, target) != 0 && errno != EEXIST) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot link %.180s: %s", target, strerror(errno));
    }
    return LEDGE_OK;
}

enum ledge_status rotate_switch(const struct agent_config *config, struct ledge_error *err)
{
    LEDGE_TRY(keep_old(config, "next.key", "device.key", "prev.key", err));
    LEDGE_TRY(keep_old(config, "next.crt", "device.crt", "prev.crt", err));
    LEDGE_TRY(sys_dir_sync(config->state, err));
    if (agent_failpoint("ROTATE_KEPT")) {
        return ledge_fail(err, LEDGE_ERR_IO, "fail point");
    }
    LEDGE_TRY(move(config, "next.key", "device.key", err));
    if (agent_failpoint("ROTATE_HALF")) {
        return ledge_fail(err, LEDGE_ERR_IO, "fail point");
    }
    LEDGE_TRY(move(config, "next.crt", "device.crt", err));
    LEDGE_TRY(move(config, "next.csr", "device.csr", err));
    if (agent_failpoint("ROTATE_MOVED")) {
        return ledge_fail(err, LEDGE_ERR_IO, "fail point");
    }
    return sys_dir_sync(config->state, err);
}

enum ledge_status rotate_back(const struct agent_config *config, struct ledge_error *err)
{
    LEDGE_TRY(move(config, "prev.key", "device.key", err));
    if (agent_failpoint("ROTATE_HALF_BACK")) {
        return ledge_fail(err, LEDGE_ERR_IO, "fail point");
    }
    LEDGE_TRY(move(config, "prev.crt", "device.crt", err));
    return sys_dir_sync(config->state, err);
}

bool rotate_has_old(const struct agent_config *config)
{
    char key[SYS_PATH], certificate[SYS_PATH];
    return at(config, "prev.key", key, NULL) == LEDGE_OK &&
           at(config, "prev.crt", certificate, NULL) == LEDGE_OK && sys_file_exists(key) &&
           sys_file_exists(certificate);
}

enum ledge_status rotate_tidy(const struct agent_config *config, struct ledge_error *err)
{
    static const char *const files[] = {"next.key", "next.csr", "next.crt", "prev.key", "prev.crt"};
    char path[SYS_PATH];
    bool any = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        LEDGE_TRY(at(config, files[i], path, err));
        any = any || sys_file_exists(path);
        LEDGE_TRY(sys_tree_remove(path, err));
    }
    return any ? sys_dir_sync(config->state, err) : LEDGE_OK;
}

enum ledge_status agent_rotate_recover(const struct agent_config *config, struct ledge_error *err)
{
    switch (rotate_read(config)) {
    case AGENT_ROTATE_SWITCH:
        LEDGE_TRY(rotate_switch(config, err));
        return rotate_write(config, AGENT_ROTATE_CONFIRM, err);
    case AGENT_ROTATE_BACK:
        LEDGE_TRY(rotate_back(config, err));
        return rotate_write(config, AGENT_ROTATE_IDLE, err);
    case AGENT_ROTATE_IDLE:
        return rotate_tidy(config, err);
    case AGENT_ROTATE_REQUEST:
    case AGENT_ROTATE_PROVE:
    case AGENT_ROTATE_CONFIRM:
        break;
    }
    return LEDGE_OK;
}

/* -- enrolling anew ------------------------------------------------------------------------------
 */

enum ledge_status agent_rotate_request(const struct agent_config *config, struct ledge_buf *csr,
                                       struct ledge_error *err)
{
    switch (rotate_read(config)) {
    case AGENT_ROTATE_SWITCH:
        return agent_rotate_recover(config, err);
    case AGENT_ROTATE_BACK:
        LEDGE_TRY(agent_rotate_recover(config, err));
        break;
    case AGENT_ROTATE_REQUEST: /* the pair in use is the old one */
    case AGENT_ROTATE_PROVE:
        LEDGE_TRY(rotate_write(config, AGENT_ROTATE_IDLE, err));
        LEDGE_TRY(rotate_tidy(config, err));
        break;
    case AGENT_ROTATE_IDLE: /* what is left in next.* is of an enrolment that was cut */
    case AGENT_ROTATE_CONFIRM:
        break;
    }
    return rotate_prepare(config, csr, err);
}

enum ledge_status agent_rotate_replace(const struct agent_config *config, const char *pem,
                                       struct ledge_error *err)
{
    char path[SYS_PATH];
    LEDGE_TRY(rotate_keep(config, pem, err));
    LEDGE_TRY(at(config, "prev.key", path, err)); /* the hub has revoked what they stand for */
    LEDGE_TRY(sys_tree_remove(path, err));
    LEDGE_TRY(at(config, "prev.crt", path, err));
    LEDGE_TRY(sys_tree_remove(path, err));
    LEDGE_TRY(rotate_write(config, AGENT_ROTATE_SWITCH, err));
    return agent_rotate_recover(config, err);
}
