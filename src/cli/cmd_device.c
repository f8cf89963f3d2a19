/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_device.c -- `ledge device list|show|token|rotate|certificates|remove`. */
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/rest.h"
#include "sys/json.h"
#include "sys/table.h"

/* "signs 2, faces 1" out of [{"name","version"},...]. */
static void list_versions(const json_t *items, struct ledge_buf *out)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        (void)ledge_buf_printf(out, "%s%s %lld", i > 0 ? ", " : "", cli_rest_text(item, "name"),
                               (long long)json_integer_value(json_object_get(item, "version")));
    }
}

static void add_row(struct sys_table *table, const json_t *device)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf models = LEDGE_BUF_INIT(400);
    const json_t *last = json_object_get(device, "last");
    const json_t *certificate = json_object_get(device, "certificate");
    list_versions(json_object_get(device, "models"), &models);
    sys_table_rowf(table, "%s\t%s\t%lld\t%s\t%s\t%s %.2f\t%.1f\t%lld\t%.10s%s\t%s",
                   cli_rest_text(device, "id"),
                   json_is_true(json_object_get(device, "online")) ? "yes" : "no",
                   (long long)json_integer_value(json_object_get(device, "gen")),
                   cli_rest_text(device, "state"), models.data != NULL ? models.data : "",
                   cli_rest_text(last, "label"), json_number_value(json_object_get(last, "score")),
                   json_number_value(json_object_get(device, "fps")),
                   (long long)json_integer_value(json_object_get(device, "records")),
                   cli_rest_text(certificate, "expires"),
                   json_is_true(json_object_get(certificate, "due")) ? " (due)" : "",
                   cli_rest_text(device, "last_seen"));
}

static int print_devices(json_t *items, bool json)
{
    static const char *const heads[] = {"DEVICE", "ONLINE", ">GEN",     "STATE",      "MODELS",
                                        "LAST",   ">FPS",   ">RECORDS", "CERT UNTIL", "SEEN"};
    size_t i;
    json_t *device;
    if (json) {
        return cli_print_json(json_incref(items));
    }
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory");
    }
    json_array_foreach(items, i, device)
    {
        add_row(table, device);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

static int device_list(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge device list [options]",
        .summary = "Every device: what it runs, what it saw last, whether it is there, and until "
                   "when its\ncertificate is valid (due: it will be replaced when the device is "
                   "next there).",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples = "  ledge device list\n  ledge device list --json",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *items = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_items(&rest, "/devices", &items, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return print_devices(items, rest_options.json);
}

/* GET or DELETE /devices/NAME. */
static int one_device(int argc, char **argv, const struct cli_command *command,
                      const struct cli_rest_options *rest_options, const char *method)
{
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_path(path, &err, "/devices/%s", args.items[0]) != LEDGE_OK ||
        cli_rest_call(&rest, method, path, NULL, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (answer == NULL) {
        fprintf(stderr, "removed %s: its certificate is refused from now on\n", args.items[0]);
        return SYS_EXIT_OK;
    }
    return cli_print_json(json_incref(answer));
}

static int device_show(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge device show NAME [options]",
        .summary = "All that the hub knows of one device, as JSON.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge device show cam-1",
    };
    return one_device(argc, argv, &command, &rest_options, "GET");
}

static int device_remove(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge device remove NAME [options]",
        .summary = "Revoke a device: its certificate is refused from then on; its records stay.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge device remove cam-1",
    };
    return one_device(argc, argv, &command, &rest_options, "DELETE");
}

static int rotate_all(struct cli_rest *rest, json_t *devices, bool json, struct ledge_error *err)
{
    size_t i;
    json_t *device;
    enum sys_exit all = SYS_EXIT_OK;
    LEDGE_CLEANUP(sys_json_free) json_t *answers = json_array();
    json_array_foreach(devices, i, device)
    {
        LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
        char path[SYS_PATH];
        const char *id = cli_rest_text(device, "id");
        if (cli_rest_path(path, err, "/devices/%s/rotate", id) != LEDGE_OK ||
            cli_rest_call(rest, "POST", path, NULL, &answer, err) != LEDGE_OK) {
            all = cli_both(all, (enum sys_exit)cli_fail(err));
            if (err->status == LEDGE_ERR_NOT_FOUND || err->status == LEDGE_ERR_EXISTS) {
                continue; /* the others may be there */
            }
            break;
        }
        (void)json_array_append(answers, answer);
        if (!json) {
            printf("%s: %s\n", id,
                   json_is_true(json_object_get(answer, "online"))
                       ? "asked for a new key and certificate"
                       : "is away: it will be asked when it is back");
        }
    }
    int printed = json ? cli_print_json(json_incref(answers)) : SYS_EXIT_OK;
    return (int)cli_both(all, (enum sys_exit)printed);
}

static int device_rotate(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    bool all = false;
    const struct cli_option options[] = {
        {"all", 0, CLI_FLAG, &all, NULL, "every device that is enrolled"},
        CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge device rotate NAME... [options]",
        .summary = "Have devices make a new key and certificate now, not when the old one is due. "
                   "The old one\nis revoked once the device has shown that the new one works.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .max_args = -1,
        .examples = "  ledge device rotate cam-1\n  ledge device rotate --all\n"
                    "  ledge device certificates cam-1",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *devices = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (all == (args.n > 0)) {
        return cli_failf(SYS_EXIT_USAGE, "rotate: name devices, or say --all");
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (all && cli_rest_items(&rest, "/devices", &devices, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    devices = devices != NULL ? devices : json_array();
    for (int i = 0; i < args.n; i++) {
        (void)json_array_append_new(devices, json_pack("{s:s}", "id", args.items[i]));
    }
    return rotate_all(&rest, devices, rest_options.json, &err);
}

static int print_certificates(json_t *items, bool json)
{
    static const char *const heads[] = {"SERIAL", "STATE", "ISSUED", "UNTIL", "REVOKED"};
    size_t i;
    json_t *item;
    if (json) {
        return cli_print_json(json_incref(items));
    }
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory");
    }
    json_array_foreach(items, i, item)
    {
        sys_table_rowf(table, "%s\t%s\t%.19s\t%.19s\t%.19s", cli_rest_text(item, "serial"),
                       cli_rest_text(item, "state"), cli_rest_text(item, "issued"),
                       cli_rest_text(item, "expires"), cli_rest_text(item, "revoked"));
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed != 0 ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

static int device_certificates(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const char *serial = NULL;
    const struct cli_option options[] = {{"revoke", 0, CLI_TEXT, &serial, "SERIAL",
                                          "revoke this one, which the device does not use"},
                                         CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge device certificates NAME [options]",
        .summary = "The certificates of a device, newest first: in use, not proven yet, revoked.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge device certificates cam-1\n"
                    "  ledge device certificates cam-1 --revoke 5f0c8d5fb4a94f1e8c7b6a5d4e3f2a1b",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    char path[SYS_PATH];
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    const char *name = args.items[0];
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        (serial != NULL &&
         (cli_rest_path(path, &err, "/devices/%s/certificates/%s", name, serial) != LEDGE_OK ||
          cli_rest_call(&rest, "DELETE", path, NULL, &answer, &err) != LEDGE_OK)) ||
        cli_rest_path(path, &err, "/devices/%s/certificates", name) != LEDGE_OK ||
        cli_rest_items(&rest, path, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return print_certificates(answer, rest_options.json);
}

static int device_token(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge device token [NAME] [options]",
        .summary = "Make a one-time claim token, for one device by name or for any.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .max_args = 1,
        .examples = "  ledge device token cam-1\n"
                    "  ledge-agent enroll --hub https://hub:8443 --token \"$(ledge device token "
                    "cam-1)\" --name cam-1",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    LEDGE_CLEANUP(sys_json_free) json_t *body = json_object();
    if (args.n == 1) {
        json_object_set_new(body, "device", json_string(args.items[0]));
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_call(&rest, "POST", "/enroll-tokens", body, &answer, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_incref(answer));
    }
    printf("%s\n", cli_rest_text(answer, "token"));
    fprintf(stderr, "valid once, until %s\n", cli_rest_text(answer, "expires"));
    return SYS_EXIT_OK;
}

int cli_cmd_device(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {NULL, "list", "what each device runs and saw last", device_list},
        {NULL, "show", "one device, as JSON", device_show},
        {NULL, "token", "make a one-time claim token", device_token},
        {NULL, "rotate", "have devices make a new key and certificate", device_rotate},
        {NULL, "certificates", "a device's certificates; revoke one", device_certificates},
        {NULL, "remove", "revoke a device", device_remove},
    };
    return cli_dispatch("ledge device", verbs, CLI_COUNT(verbs), argc, argv);
}
