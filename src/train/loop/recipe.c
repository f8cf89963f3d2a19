/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.c -- see recipe.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/json.h"
#include "train/loop/recipe.h"

static const struct sys_yaml_key keys[] = {
    {"name", SYS_YAML_TEXT, 0, 0, NULL, "model", "name of the model; also of the output folder"},
    {"seed", SYS_YAML_INT, 0, 9e15, NULL, "1",
     "start of every random number: weights, order, augmentation, dropout"},
    {"data.kind", SYS_YAML_TEXT, 0, 0, "auto|image-folder|idx|csv", "auto",
     "lay-out of the data; auto looks at the path"},
    {"data.path", SYS_YAML_TEXT, 0, 0, NULL, "!",
     "folder of class folders, IDX images file (or its folder), or CSV table"},
    {"data.labels", SYS_YAML_TEXT, 0, 0, NULL, NULL,
     "folder: file of labels by path (CSV or JSON); CSV: name of the label column"},
    {"data.classes", SYS_YAML_TEXTS, 0, 0, NULL, NULL, "only these classes, in this order"},
    {"data.first_classes", SYS_YAML_INT, 0, 10000, NULL, "0",
     "only the first so many classes in the data's own order; 0: all"},
    {"data.limit", SYS_YAML_INT, 0, 1e9, NULL, "0", "at most this many training samples; 0: all"},
    {"data.val_fraction", SYS_YAML_NUMBER, 0, 0.9, NULL, "0.2",
     "part of the samples kept for validation, chosen by content"},
    {"data.split_seed", SYS_YAML_INT, 0, 9e15, NULL, "1",
     "start of the split; a picture stays in its part while this stays"},
    {"data.stratified", SYS_YAML_BOOL, 0, 0, NULL, "false",
     "the same fraction of each class, exactly"},
    {"data.test_path", SYS_YAML_TEXT, 0, 0, NULL, NULL, "set that is measured once, at the end"},
    {"data.cache_mb", SYS_YAML_INT, 1, 1e6, NULL, "1024",
     "memory for decoded pictures; sets that are larger are decoded at each read"},
    {"input.width", SYS_YAML_INT, 0, 8192, NULL, "0",
     "of the input in pixels; 0: as the first picture"},
    {"input.height", SYS_YAML_INT, 0, 8192, NULL, "0", "the same"},
    {"input.channels", SYS_YAML_INT, 0, 3, NULL, "0", "1 grey, 3 colour; 0: as the first picture"},
    {"input.fit", SYS_YAML_TEXT, 0, 0, "stretch|crop", "stretch",
     "how a picture of another aspect ratio is made to fit"},
    {"input.crop", SYS_YAML_NUMBER, 0.01, 1, NULL, "1", "part of the box kept around the centre"},
    {"input.mean", SYS_YAML_NUMBERS, 0, 1, NULL, "[0]",
     "x = (pixel / 255 - mean) / std, one number or one per channel"},
    {"input.std", SYS_YAML_NUMBERS, 0.001, 1000, NULL, "[1]", "the same"},
    {"augment.flip", SYS_YAML_BOOL, 0, 0, NULL, "false",
     "mirror left and right, every second time"},
    {"augment.shift", SYS_YAML_NUMBER, 0, 0.5, NULL, "0", "part of width and height"},
    {"augment.rotate", SYS_YAML_NUMBER, 0, 180, NULL, "0", "degrees"},
    {"augment.scale", SYS_YAML_NUMBER, 0, 0.9, NULL, "0", "part: 0.1 is 0.9 to 1.1"},
    {"augment.brightness", SYS_YAML_NUMBER, 0, 1, NULL, "0", "part of full scale, added"},
    {"augment.contrast", SYS_YAML_NUMBER, 0, 1, NULL, "0", "part, about the middle grey"},
    {"model.arch", SYS_YAML_TEXT, 0, 0, "lenet5|cnn4|ds-cnn|resnet8|mobilenet-v1-0.25|mlp", "cnn4",
     "architecture; see below"},
    {"model.width", SYS_YAML_NUMBER, 0.05, 16, NULL, "1", "channels are multiplied by it"},
    {"model.dropout", SYS_YAML_NUMBER, 0, 0.9, NULL, "0", "before the last layer"},
    {"model.head", SYS_YAML_TEXT, 0, 0, "mean|flat", "mean",
     "cnn4: what stands before the last layer, the mean over the picture or all of it"},
    {"model.output", SYS_YAML_TEXT, 0, 0, "probabilities|logits", "probabilities",
     "does the model end with a Softmax"},
    {"model.base", SYS_YAML_TEXT, 0, 0, NULL, NULL,
     "ONNX model to start from (transfer learning); it gets a new last layer"},
    {"model.freeze", SYS_YAML_BOOL, 0, 0, NULL, "false",
     "with base: train the new last layer only"},
    {"train.epochs", SYS_YAML_INT, 1, 1e6, NULL, "10", "times that each sample is seen"},
    {"train.batch", SYS_YAML_INT, 1, 4096, NULL, "32",
     "samples for one step; what is left over at an epoch's end is dropped"},
    {"train.optimizer", SYS_YAML_TEXT, 0, 0, "sgd|adam|adamw", "adam",
     "sgd has momentum; adamw takes the decay off the weight itself"},
    {"train.lr", SYS_YAML_NUMBER, 0, 100, NULL, "0.001", "learning rate after the warm-up"},
    {"train.schedule", SYS_YAML_TEXT, 0, 0, "cosine|constant", "cosine",
     "course of the learning rate after the warm-up"},
    {"train.final_lr", SYS_YAML_NUMBER, 0, 100, NULL, "0", "cosine: learning rate at the end"},
    {"train.warmup", SYS_YAML_NUMBER, 0, 1e6, NULL, "0",
     "epochs in which the learning rate rises from 0"},
    {"train.momentum", SYS_YAML_NUMBER, 0, 0.9999, NULL, "0.9", "sgd"},
    {"train.nesterov", SYS_YAML_BOOL, 0, 0, NULL, "false", "sgd"},
    {"train.beta1", SYS_YAML_NUMBER, 0, 0.9999, NULL, "0.9", "adam"},
    {"train.beta2", SYS_YAML_NUMBER, 0, 0.999999, NULL, "0.999", "adam"},
    {"train.epsilon", SYS_YAML_NUMBER, 1e-12, 1, NULL, "1e-8", "adam"},
    {"train.weight_decay", SYS_YAML_NUMBER, 0, 10, NULL, "0",
     "of weights; biases and normalisation have none"},
    {"train.label_smoothing", SYS_YAML_NUMBER, 0, 0.9, NULL, "0",
     "part of each label that is spread over all classes"},
    {"train.keep", SYS_YAML_TEXT, 0, 0, "best|last", "best",
     "which epoch's weights are written: of the highest validation accuracy, or the last"},
};
enum { N_KEYS = sizeof keys / sizeof keys[0] };

static const char *const paths[] = {"data.path", "data.test_path", "data.labels", "model.base"};
enum { N_PATHS = sizeof paths / sizeof paths[0] };

bool train_recipe_help(struct ledge_buf *out)
{
    return sys_yaml_help(keys, N_KEYS, out);
}

/* data.labels is a column's name when the data are a table. */
static bool is_path(const struct sys_yaml *doc, const char *key)
{
    if (strcmp(key, "data.labels") != 0) {
        return true;
    }
    const char *path = sys_yaml_text(doc, "data.path", "");
    size_t n = strlen(path);
    return strcmp(sys_yaml_text(doc, "data.kind", "auto"), "csv") != 0 &&
           !(n > 4 && strcmp(path + n - 4, ".csv") == 0);
}

/* Paths in the file become relative to the working directory. */
static enum ledge_status resolve_paths(struct sys_yaml *doc, const char *recipe,
                                       struct ledge_error *err)
{
    const char *slash = strrchr(recipe, '/');
    for (size_t i = 0; i < N_PATHS; i++) {
        json_t *value = sys_yaml_at(doc, paths[i]);
        const char *text = json_string_value(value);
        char full[4096];
        if (text == NULL || text[0] == '/' || slash == NULL || !is_path(doc, paths[i])) {
            continue;
        }
        int n = snprintf(full, sizeof full, "%.*s/%s", (int)(slash - recipe), recipe, text);
        if (n < 0 || (size_t)n >= sizeof full || json_string_set(value, full) != 0) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "%s: the path is too long", paths[i]);
        }
    }
    return LEDGE_OK;
}

static void free_json(json_t **value)
{
    json_decref(*value);
}

/* Where the data lie does not belong to what is done with them. */
static enum ledge_status digest(struct train_recipe *r, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(1 << 20);
    LEDGE_CLEANUP(free_json) json_t *copy = json_deep_copy(sys_yaml_root(r->doc));
    uint8_t hash[LEDGE_SHA256_BYTES];
    for (size_t i = 0; i < N_PATHS; i++) {
        const char *dot = strchr(paths[i], '.');
        char section[16];
        (void)snprintf(section, sizeof section, "%.*s", (int)(dot - paths[i]), paths[i]);
        (void)json_object_del(json_object_get(copy, section), dot + 1);
    }
    if (copy == NULL || sys_json_write(copy, &text) != LEDGE_OK) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "recipe: out of memory");
    }
    ledge_sha256(text.data, text.len, hash);
    ledge_hex(hash, sizeof hash, r->sha256);
    return LEDGE_OK;
}

enum ledge_status train_recipe_text(const struct train_recipe *recipe, struct ledge_buf *out)
{
    return sys_json_write(sys_yaml_root(recipe->doc), out);
}

static enum ledge_status read_numbers(const struct train_recipe *r, const char *path, double out[3],
                                      int32_t *n, struct ledge_error *err)
{
    const json_t *list = sys_yaml_at(r->doc, path);
    size_t count = json_array_size(list);
    if (count != 1 && count != 3) {
        char place[SYS_YAML_PLACE_BYTES];
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: %s: needs 1 or 3 numbers",
                          sys_yaml_place(r->doc, path, place), path);
    }
    for (size_t i = 0; i < 3; i++) {
        out[i] = json_number_value(json_array_get(list, count == 1 ? 0 : i));
    }
    *n = (int32_t)count;
    return LEDGE_OK;
}

static enum ledge_status read_data(struct train_recipe *r, struct ledge_error *err)
{
    const struct sys_yaml *d = r->doc;
    const json_t *list = sys_yaml_at(d, "data.classes");
    size_t n = json_array_size(list);
    r->classes = calloc(n + 1, sizeof *r->classes);
    if (r->classes == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "recipe: out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        r->classes[i] = json_string_value(json_array_get(list, i));
    }
    r->data = (struct data_set_spec){
        .path = sys_yaml_text(d, "data.path", NULL),
        .labels = sys_yaml_text(d, "data.labels", NULL),
        .val_fraction = sys_yaml_number(d, "data.val_fraction", 0),
        .seed = (uint64_t)sys_yaml_int(d, "data.split_seed", 0),
        .stratified = sys_yaml_bool(d, "data.stratified", false),
        .classes = r->classes,
        .n_classes = (int32_t)n,
        .first_classes = (int32_t)sys_yaml_int(d, "data.first_classes", 0),
        .limit = sys_yaml_int(d, "data.limit", 0),
        .cache_bytes = (size_t)sys_yaml_int(d, "data.cache_mb", 1) << 20,
    };
    (void)data_kind_parse(sys_yaml_text(d, "data.kind", "auto"), &r->data.kind);
    r->test_path = sys_yaml_text(d, "data.test_path", NULL);
    LEDGE_TRY(read_numbers(r, "input.mean", r->mean, &r->n_mean, err));
    return read_numbers(r, "input.std", r->std, &r->n_std, err);
}

static bool is_text(const struct train_recipe *r, const char *path, const char *text)
{
    return strcmp(sys_yaml_text(r->doc, path, ""), text) == 0;
}

static void read_rest(struct train_recipe *r)
{
    const struct sys_yaml *d = r->doc;
    r->name = sys_yaml_text(d, "name", "model");
    r->seed = (uint64_t)sys_yaml_int(d, "seed", 1);
    r->width = (int32_t)sys_yaml_int(d, "input.width", 0);
    r->height = (int32_t)sys_yaml_int(d, "input.height", 0);
    r->channels = (int32_t)sys_yaml_int(d, "input.channels", 0);
    r->fit = is_text(r, "input.fit", "crop") ? DATA_FIT_CROP : DATA_FIT_STRETCH;
    r->crop = sys_yaml_number(d, "input.crop", 1);
    r->augment = (struct data_augment){
        .flip = sys_yaml_bool(d, "augment.flip", false),
        .shift = sys_yaml_number(d, "augment.shift", 0),
        .rotate = sys_yaml_number(d, "augment.rotate", 0),
        .scale = sys_yaml_number(d, "augment.scale", 0),
        .brightness = sys_yaml_number(d, "augment.brightness", 0),
        .contrast = sys_yaml_number(d, "augment.contrast", 0),
    };
    r->arch = sys_yaml_text(d, "model.arch", "cnn4");
    r->base = sys_yaml_text(d, "model.base", NULL);
    r->freeze = sys_yaml_bool(d, "model.freeze", false);
    r->flat = is_text(r, "model.head", "flat");
    r->logits = is_text(r, "model.output", "logits");
    r->model_width = sys_yaml_number(d, "model.width", 1);
    r->dropout = sys_yaml_number(d, "model.dropout", 0);
    r->epochs = sys_yaml_int(d, "train.epochs", 1);
    r->batch = (int32_t)sys_yaml_int(d, "train.batch", 1);
    r->optimizer = is_text(r, "train.optimizer", "sgd")    ? TRAIN_SGD
                   : is_text(r, "train.optimizer", "adam") ? TRAIN_ADAM
                                                           : TRAIN_ADAMW;
    r->schedule = is_text(r, "train.schedule", "cosine") ? TRAIN_COSINE : TRAIN_CONSTANT;
    r->nesterov = sys_yaml_bool(d, "train.nesterov", false);
    r->keep_best = is_text(r, "train.keep", "best");
    r->lr = sys_yaml_number(d, "train.lr", 0);
    r->final_lr = sys_yaml_number(d, "train.final_lr", 0);
    r->warmup = sys_yaml_number(d, "train.warmup", 0);
    r->momentum = sys_yaml_number(d, "train.momentum", 0);
    r->beta1 = sys_yaml_number(d, "train.beta1", 0);
    r->beta2 = sys_yaml_number(d, "train.beta2", 0);
    r->epsilon = sys_yaml_number(d, "train.epsilon", 1e-8);
    r->weight_decay = sys_yaml_number(d, "train.weight_decay", 0);
    r->label_smoothing = sys_yaml_number(d, "train.label_smoothing", 0);
}

enum ledge_status train_recipe_load(const char *path, const char *const *sets, size_t n_sets,
                                    struct train_recipe *recipe, struct ledge_error *err)
{
    struct train_recipe r = {0};
    LEDGE_TRY(sys_yaml_load(path, &r.doc, err));
    enum ledge_status status = resolve_paths(r.doc, path, err);
    for (size_t i = 0; i < n_sets && status == LEDGE_OK; i++) {
        status = sys_yaml_set(r.doc, sets[i], err);
    }
    if (status == LEDGE_OK) {
        status = sys_yaml_check(r.doc, keys, N_KEYS, err);
    }
    if (status == LEDGE_OK) {
        status = read_data(&r, err);
    }
    if (status == LEDGE_OK) {
        read_rest(&r);
        status = digest(&r, err);
    }
    if (status != LEDGE_OK) {
        train_recipe_done(&r);
        return status;
    }
    *recipe = r;
    return LEDGE_OK;
}

void train_recipe_done(struct train_recipe *recipe)
{
    sys_yaml_free(recipe->doc);
    free(recipe->classes);
    *recipe = (struct train_recipe){0};
}
