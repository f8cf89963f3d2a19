/* SPDX-License-Identifier: Apache-2.0 */
/* watch_state.c -- configuration and durable state. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "watch.h"

_Noreturn static void die(const char *what, const char *why)
{
    fprintf(stderr, "watch: %s: %s\n", what, why);
    exit(1);
}

/* -- configuration ------------------------------------------------------------------------------
 */

enum kind { TEXT, NUMBER, WHOLE, COUNT, FLAG };

struct option_row {
    const char *name;
    enum kind kind;
    void *target;
    size_t bytes; /* of a text */
};

static void set_option(const struct option_row *row, const char *text)
{
    char *end = NULL;
    double number = strtod(text, &end);
    bool bad = row->kind != TEXT && row->kind != FLAG && (end == text || *end != '\0');
    if (bad || (row->kind == TEXT && strlen(text) >= row->bytes)) {
        die(row->name, bad ? "is no number" : "is too long");
    }
    switch (row->kind) {
    case TEXT:
        memcpy(row->target, text, strlen(text) + 1);
        break;
    case NUMBER:
        *(double *)row->target = number;
        break;
    case WHOLE:
        *(int64_t *)row->target = strtoll(text, NULL, 10);
        break;
    case COUNT:
        *(int *)row->target = (int)number;
        break;
    case FLAG:
        *(bool *)row->target =
            strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcasecmp(text, "yes") == 0;
        break;
    }
}

static void read_json(const struct option_row *rows, size_t n, const char *text)
{
    json_error_t at;
    json_t *given = json_loads(text, 0, &at);
    if (!json_is_object(given)) {
        die("LEDGE_CONFIG", given == NULL ? at.text : "is no object");
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(given, rows[i].name);
        char number[64];
        if (json_is_string(value)) {
            set_option(&rows[i], json_string_value(value));
        } else if (json_is_boolean(value)) {
            set_option(&rows[i], json_is_true(value) ? "1" : "0");
        } else if (json_is_integer(value)) {
            snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
            set_option(&rows[i], number);
        } else if (json_is_real(value)) {
            snprintf(number, sizeof(number), "%.17g", json_real_value(value));
            set_option(&rows[i], number);
        }
    }
    json_decref(given);
}

/* --name value or --name=value, with - for the _ of the names. */
static void read_arguments(const struct option_row *rows, size_t n, int argc, char **argv)
{
    char names[16][32];
    struct option options[17] = {{0}};
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "%s", rows[i].name);
        for (char *at = names[i]; (at = strchr(at, '_')) != NULL; *at = '-') {
        }
        options[i] = (struct option){names[i], required_argument, NULL, (int)i};
    }
    for (int at; (at = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (at == '?') {
            exit(2);
        }
        set_option(&rows[at], optarg);
    }
}

void watch_config_read(struct watch_config *config, int argc, char **argv)
{
    *config = (struct watch_config){
        .order = "sorted",
        .fps = 5,
        .threshold = 0.8,
        .alert_threshold = 0.9,
        .metric_s = 10,
        .top = 3,
        .loop = true,
    };
    const struct option_row rows[] = {
        {"source", TEXT, config->source, sizeof(config->source)},
        {"model", TEXT, config->model, sizeof(config->model)},
        {"fps", NUMBER, &config->fps, 0},
        {"order", TEXT, config->order, sizeof(config->order)},
        {"seed", WHOLE, &config->seed, 0},
        {"loop", FLAG, &config->loop, 0},
        {"threshold", NUMBER, &config->threshold, 0},
        {"top", COUNT, &config->top, 0},
        {"alert_label", TEXT, config->alert_label, sizeof(config->alert_label)},
        {"alert_threshold", NUMBER, &config->alert_threshold, 0},
        {"alert_streak", COUNT, &config->alert_streak, 0},
        {"sample_interval_s", NUMBER, &config->sample_interval_s, 0},
        {"metric_s", NUMBER, &config->metric_s, 0},
    };
    size_t n = sizeof(rows) / sizeof(rows[0]);
    const char *given = getenv("LEDGE_CONFIG");
    if (given != NULL && *given != '\0') {
        read_json(rows, n, given);
    }
    read_arguments(rows, n, argc, argv);
    const char *const needed[] = {"LEDGE_SERVE_SOCKET", "LEDGE_AGENT_SOCKET", "LEDGE_STATE"};
    for (size_t i = 0; i < 3; i++) {
        if (getenv(needed[i]) == NULL) {
            die(needed[i], "not given");
        }
    }
    if (config->source[0] == '\0' || config->model[0] == '\0') {
        die(config->source[0] == '\0' ? "source" : "model", "not given");
    }
}

/* -- state --------------------------------------------------------------------------------------
 */

static void path_of(const struct watch_state *state, const char *name, char path[2048])
{
    snprintf(path, 2048, "%s/%s", state->folder, name);
}

void watch_state_save(const struct watch_state *state)
{
    char path[2048], made[2048];
    path_of(state, "position", path);
    path_of(state, "position.new", made);
    FILE *file = fopen(made, "we");
    if (file == NULL) {
        die(made, strerror(errno));
    }
    fprintf(file, "v1 %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", state->run, state->number,
            state->round, state->index);
    bool written = fflush(file) == 0 && fsync(fileno(file)) == 0;
    written = fclose(file) == 0 && written;
    int folder = open(state->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!written || rename(made, path) != 0 || folder < 0 || fsync(folder) != 0) {
        die(path, strerror(errno));
    }
    close(folder);
}

static void keep_name(struct watch_state *state, const char *name, size_t n)
{
    if (state->n_names == state->max_names) {
        state->max_names = state->max_names > 0 ? 2 * state->max_names : 64;
        state->names = realloc(state->names, state->max_names * sizeof(state->names[0]));
    }
    char *copy = state->names != NULL ? strndup(name, n) : NULL;
    if (copy == NULL) {
        die("names of stored frames", "out of memory");
    }
    state->names[state->n_names++] = copy;
}

/* A line torn by a crash is taken away. */
static void read_stored(struct watch_state *state)
{
    struct stat about;
    if (fstat(state->list, &about) != 0) {
        die("stored", strerror(errno));
    }
    size_t size = (size_t)about.st_size, start = 0;
    char *text = malloc(size + 1);
    if (text == NULL || pread(state->list, text, size, 0) != (ssize_t)size) {
        die("stored", "cannot be read");
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            if (i > start) {
                keep_name(state, text + start, i - start);
            }
            start = i + 1;
        }
    }
    free(text);
    if (start != size && ftruncate(state->list, (off_t)start) != 0) {
        die("stored", strerror(errno));
    }
}

void watch_state_open(struct watch_state *state, const char *folder)
{
    char path[2048];
    uint8_t random[6];
    snprintf(state->folder, sizeof(state->folder), "%s", folder);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        die(folder, strerror(errno));
    }
    path_of(state, "position", path);
    FILE *file = fopen(path, "re");
    int got = file == NULL ? 0
                           : fscanf(file, "v1 %32s %" SCNu64 " %" SCNu64 " %" SCNu64, state->run,
                                    &state->number, &state->round, &state->index);
    if (file != NULL) {
        fclose(file);
    }
    if (got != 4) {
        if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
            die("getrandom", strerror(errno));
        }
        for (size_t i = 0; i < sizeof(random); i++) {
            snprintf(state->run + 2 * i, 3, "%02x", random[i]);
        }
        state->number = state->round = state->index = 0;
        watch_state_save(state);
    }
    path_of(state, "stored", path);
    state->list = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (state->list < 0) {
        die(path, strerror(errno));
    }
    read_stored(state);
}

bool watch_state_has(const struct watch_state *state, const char *name)
{
    for (size_t i = 0; i < state->n_names; i++) {
        if (strcmp(state->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

void watch_state_add(struct watch_state *state, const char *name)
{
    char line[2048];
    int n = snprintf(line, sizeof(line), "%s\n", name);
    if (write(state->list, line, (size_t)n) != n || fsync(state->list) != 0) {
        die("stored", strerror(errno));
    }
    keep_name(state, name, strlen(name));
}
