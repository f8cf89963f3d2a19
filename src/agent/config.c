/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/json.h"

enum { SOCKET_PATH_MAX = 107 };

enum ledge_status agent_config_paths(const char *state, struct agent_config *config,
                                     struct ledge_error *err)
{
    struct agent_config c = {.broker_port = 0};
    LEDGE_TRY(sys_path_real(state, c.state, err));
    LEDGE_TRY(sys_path(c.key, err, "%s/device.key", c.state));
    LEDGE_TRY(sys_path(c.certificate, err, "%s/device.crt", c.state));
    LEDGE_TRY(sys_path(c.ca, err, "%s/ca.crt", c.state));
    LEDGE_TRY(sys_path(c.agent_socket, err, "%s/agent.sock", c.state));
    LEDGE_TRY(sys_path(c.serve_socket, err, "%s/serve.sock", c.state));
    if (strlen(c.agent_socket) > SOCKET_PATH_MAX) {
        return ledge_fail(err, LEDGE_ERR_RANGE,
                          "state folder %.120s: its path is too long for a unix socket in it",
                          c.state);
    }
    *config = c;
    return LEDGE_OK;
}

static enum ledge_status read_fields(const json_t *object, struct agent_config *c,
                                     struct ledge_error *err)
{
    const char *text;
    int64_t port;
    const char *what = "agent.json";
    LEDGE_TRY(sys_json_text(object, what, "device", &text, err));
    if (!fleet_device_name_ok(text)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "agent.json: \"device\" is no device name");
    }
    memcpy(c->device, text, strlen(text) + 1);
    LEDGE_TRY(sys_json_text(object, what, "hub", &text, err));
    LEDGE_TRY(sys_path(c->hub, err, "%s", text));
    LEDGE_TRY(sys_json_text(object, what, "director_key", &text, err));
    if (!ledge_unhex(text, c->director_key, sizeof c->director_key)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "agent.json: \"director_key\" is no public key");
    }
    LEDGE_TRY(sys_json_text(object, what, "broker_host", &text, err));
    if ((size_t)snprintf(c->broker_host, sizeof c->broker_host, "%s", text) >=
        sizeof c->broker_host) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "agent.json: \"broker_host\" is too long");
    }
    LEDGE_TRY(sys_json_int(object, what, "broker_port", 1, 65535, &port, err));
    c->broker_port = (uint16_t)port;
    return LEDGE_OK;
}

enum ledge_status agent_config_load(const char *state, struct agent_config *config,
                                    struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(65536);
    LEDGE_CLEANUP(sys_json_free) json_t *object = NULL;
    struct agent_config c;
    char path[SYS_PATH];
    enum ledge_status status = agent_config_paths(state, &c, err);
    if (status == LEDGE_OK) {
        LEDGE_TRY(sys_path(path, err, "%s/agent.json", c.state));
        status = sys_file_read(path, &text, err);
    }
    if (status == LEDGE_ERR_NOT_FOUND) {
        return ledge_fail(err, status,
                          "%.120s: not enrolled yet; run ledge-agent enroll --hub URL --token T",
                          state);
    }
    LEDGE_TRY(status);
    LEDGE_TRY(sys_json_parse(text.data != NULL ? text.data : "", text.len, &object, err));
    LEDGE_TRY(read_fields(object, &c, err));
    *config = c;
    return LEDGE_OK;
}

enum ledge_status agent_config_save(const struct agent_config *config, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(65536);
    char path[SYS_PATH];
    char key[2 * FLEET_PUBLIC_KEY + 1];
    ledge_hex(config->director_key, sizeof config->director_key, key);
    LEDGE_CLEANUP(sys_json_free)
    json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:i}", "device", config->device, "hub",
                               config->hub, "director_key", key, "broker_host", config->broker_host,
                               "broker_port", (int)config->broker_port);
    if (object == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "agent.json: a name is no UTF-8 text");
    }
    LEDGE_TRY(sys_json_write(object, &text));
    LEDGE_TRY(sys_path(path, err, "%s/agent.json", config->state));
    return sys_file_write(path, text.data, text.len, 0600, err);
}

void agent_program_path(const char *name, char path[SYS_PATH])
{
    char self[SYS_PATH] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = n > 0 ? strrchr(self, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
        if (sys_path(path, NULL, "%s/%s", self, name) == LEDGE_OK && access(path, X_OK) == 0) {
            return;
        }
    }
    (void)snprintf(path, SYS_PATH, "%s", name);
}
