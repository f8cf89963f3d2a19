/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/names.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool fleet_device_name_ok(const char *name)
{
    size_t n = 0;
    for (; name[n] != '\0' && n < 64; n++) {
        if (!is_lower_or_digit(name[n]) && (name[n] != '-' || n == 0)) {
            return false;
        }
    }
    return n >= 1 && n <= 63 && strcmp(name, FLEET_HUB_NAME) != 0;
}

bool fleet_name_ok(const char *name)
{
    size_t n = 0;
    for (; name[n] != '\0' && n < 65; n++) {
        char c = name[n];
        if (!is_lower_or_digit(c) && (c < 'A' || c > 'Z') && c != '_' && c != '-' &&
            (c != '.' || n == 0)) {
            return false;
        }
    }
    return n >= 1 && n <= 64;
}

/* Exactly n lower-case hexadecimal digits at text (what follows is not looked at). */
static bool is_hex(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f')) {
            return false;
        }
    }
    return true;
}

bool fleet_digest_ok(const char *text)
{
    return is_hex(text, 64) && text[64] == '\0';
}

void fleet_topic(char topic[FLEET_TOPIC_SIZE], const char *device, enum fleet_direction direction,
                 const char *channel)
{
    (void)snprintf(topic, FLEET_TOPIC_SIZE, "ledge/1/%s/%c/%s", device,
                   direction == FLEET_UP ? 'u' : 'd', channel);
}

bool fleet_topic_parse(const char *topic, struct fleet_topic_parts *parts)
{
    static const char head[] = "ledge/1/";
    if (strncmp(topic, head, sizeof head - 1) != 0) {
        return false;
    }
    const char *device = topic + sizeof head - 1;
    size_t n = strcspn(device, "/");
    const char *rest = device + n;
    if (n >= sizeof parts->device || rest[0] != '/' || (rest[1] != 'u' && rest[1] != 'd') ||
        rest[2] != '/') {
        return false;
    }
    const char *channel = rest + 3;
    size_t length = strlen(channel);
    if (length == 0 || length >= sizeof parts->channel ||
        strspn(channel, "abcdefghijklmnopqrstuvwxyz-") != length) {
        return false;
    }
    memcpy(parts->device, device, n);
    parts->device[n] = '\0';
    memcpy(parts->channel, channel, length + 1);
    parts->direction = rest[1] == 'u' ? FLEET_UP : FLEET_DOWN;
    return fleet_device_name_ok(parts->device);
}

enum ledge_status fleet_token_parse(const char *text, struct fleet_token *token,
                                    struct ledge_error *err)
{
    if (strlen(text) != FLEET_TOKEN_SIZE - 1 || strncmp(text, "lt1.", 4) != 0 ||
        !is_hex(text + 4, 48) || text[52] != '.' || !is_hex(text + 53, 64)) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "the token is not of the form lt1.<48 hex digits>.<64 hex digits>; "
                          "`ledge device token` makes one");
    }
    memcpy(token->secret, text + 4, 48);
    token->secret[48] = '\0';
    memcpy(token->ca_sha256, text + 53, 65);
    return LEDGE_OK;
}

void fleet_token_write(const struct fleet_token *token, char text[FLEET_TOKEN_SIZE])
{
    (void)snprintf(text, FLEET_TOKEN_SIZE, "lt1.%s.%s", token->secret, token->ca_sha256);
}
