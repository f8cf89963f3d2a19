/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c -- fuzz recipes: parse, set a value, check against a table with every type. */
#include <stddef.h>
#include <stdint.h>

#include "sys/yaml.h"

static const struct sys_yaml_key keys[] = {
    {"name", SYS_YAML_TEXT, 0, 0, NULL, "x", "text"},
    {"kind", SYS_YAML_TEXT, 0, 0, "a|bc|d", "a", "choice"},
    {"s.flag", SYS_YAML_BOOL, 0, 0, NULL, "false", "flag"},
    {"s.count", SYS_YAML_INT, 0, 10, NULL, "1", "count"},
    {"s.t.rate", SYS_YAML_NUMBER, 0, 1, NULL, "0.5", "number"},
    {"s.names", SYS_YAML_TEXTS, 0, 0, NULL, NULL, "names"},
    {"s.mean", SYS_YAML_NUMBERS, -1, 1, NULL, "[0]", "numbers"},
    {"any", SYS_YAML_ANY, 0, 0, NULL, NULL, "anything"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sys_yaml *doc = NULL;
    struct ledge_error err;
    if (sys_yaml_parse((const char *)data, size, "fuzz", &doc, &err) == LEDGE_OK) {
        char place[SYS_YAML_PLACE_BYTES];
        (void)sys_yaml_place(doc, "s.count", place);
        if (sys_yaml_set(doc, "s.t=3", &err) == LEDGE_OK) {
            (void)sys_yaml_place(doc, "s.t", place);
        }
        if (sys_yaml_check(doc, keys, sizeof keys / sizeof keys[0], &err) == LEDGE_OK) {
            (void)sys_yaml_number(doc, "s.t.rate", 0);
        }
        sys_yaml_free(doc);
    }
    return 0;
}
