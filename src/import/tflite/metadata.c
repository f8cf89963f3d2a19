/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c -- what a TFLite file says about itself: "TFLITE_METADATA" names a buffer that is a
 * flatbuffer again (schema metadata_schema.fbs, identifier M001), and label files are in a ZIP
 * archive behind the model.
 *
 * Becomes ledge.labels, ledge.preprocess (mean and std of a float input), name, description.
 * Damaged metadata are left out: the model runs without them.
 */
#include <stdio.h>
#include <string.h>

#include "import/tflite/importer.h"
#include "import/tflite/zip.h"

enum {
    META_name = 0,
    META_description = 1,
    META_subgraphs = 3,
    META_SUBGRAPH_inputs = 2,
    META_SUBGRAPH_outputs = 3,
    META_TENSOR_process_units = 4,
    META_TENSOR_files = 6,
    META_UNIT_type = 0,
    META_UNIT_options = 1,
    META_NORMALIZATION = 1, /* the union's value for NormalizationOptions */
    META_NORMALIZATION_mean = 0,
    META_NORMALIZATION_std = 1,
    META_FILE_name = 0,
    META_FILE_type = 2,
    META_FILE_AXIS_LABELS = 2,
    META_FILE_VALUE_LABELS = 3,
    MAX_LABELS = 1 << 20,
    MAX_TEXT = 4096,
};

static void add_text(struct ledge_tflite *t, const char *key, struct ledge_fb_vector text)
{
    if (text.n == 0 || text.n > MAX_TEXT) {
        return;
    }
    const char *copy = ledge_arena_text(&t->graph->arena, (const char *)text.data, text.n);
    if (copy != NULL) {
        (void)ledge_graph_add_metadata(t->graph, key, copy);
    }
}

/* Lines end in \n alone, and the last one in nothing. */
static void tidy_lines(char *text, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n && text[i] != '\0'; i++) {
        if (text[i] != '\r') {
            text[out++] = text[i];
        }
    }
    while (out > 0 && text[out - 1] == '\n') {
        out--;
    }
    text[out] = '\0';
}

/* The first label file of a tensor. */
static void add_labels(struct ledge_tflite *t, struct ledge_fb *fb, struct ledge_fb_table tensor)
{
    struct ledge_fb_vector files = ledge_fb_vector(fb, tensor, META_TENSOR_files, 4);
    for (uint32_t i = 0; i < files.n && !fb->failed; i++) {
        struct ledge_fb_table file = ledge_fb_item(fb, files, i);
        uint8_t type = ledge_fb_u8(fb, file, META_FILE_type, 0);
        struct ledge_fb_vector name = ledge_fb_vector(fb, file, META_FILE_name, 1);
        if (fb->failed || (type != META_FILE_AXIS_LABELS && type != META_FILE_VALUE_LABELS)) {
            continue;
        }
        size_t n = 0;
        char *text = ledge_zip_read(t->fb.bytes, t->fb.size, name.data, name.n, MAX_LABELS,
                                    &t->graph->arena, &n);
        if (text != NULL) {
            tidy_lines(text, n);
            (void)ledge_graph_add_metadata(t->graph, "ledge.labels", text);
            return;
        }
    }
}

/* x = (pixel - mean) / std of TFLite is (pixel / 255 - mean / 255) / (std / 255) of Ledge. */
static bool put_list(char *text, size_t size, size_t *used, const char *key,
                     struct ledge_fb_vector list)
{
    for (uint32_t i = 0; i < list.n; i++) {
        int n = snprintf(text + *used, size - *used, "%s%.9g", i == 0 ? key : ",",
                         (double)ledge_fb_item_f32(list, i) / 255);
        if (n < 0 || (size_t)n >= size - *used) {
            return false;
        }
        *used += (size_t)n;
    }
    return true;
}

static void add_normalization(struct ledge_tflite *t, struct ledge_fb *fb,
                              struct ledge_fb_table tensor)
{
    struct ledge_fb_vector units = ledge_fb_vector(fb, tensor, META_TENSOR_process_units, 4);
    for (uint32_t i = 0; i < units.n && i < 16 && !fb->failed; i++) {
        struct ledge_fb_table unit = ledge_fb_item(fb, units, i);
        if (ledge_fb_u8(fb, unit, META_UNIT_type, 0) != META_NORMALIZATION) {
            continue;
        }
        struct ledge_fb_table options = ledge_fb_child(fb, unit, META_UNIT_options);
        struct ledge_fb_vector mean = ledge_fb_vector(fb, options, META_NORMALIZATION_mean, 4);
        struct ledge_fb_vector std = ledge_fb_vector(fb, options, META_NORMALIZATION_std, 4);
        char text[256];
        size_t used = 0;
        bool fits = mean.n >= 1 && mean.n <= 3 && std.n == mean.n && mean.n != 2 &&
                    put_list(text, sizeof text - 3, &used, "{\"mean\":[", mean) &&
                    put_list(text, sizeof text - 3, &used, "],\"std\":[", std);
        if (fits && !fb->failed) {
            memcpy(text + used, "]}", 3);
            (void)ledge_graph_add_metadata(t->graph, "ledge.preprocess", text);
        }
        return;
    }
}

static void read_metadata(struct ledge_tflite *t, const uint8_t *bytes, size_t size)
{
    struct ledge_fb fb = {.bytes = bytes, .size = size};
    struct ledge_fb_table meta = ledge_fb_root(&fb, "M001");
    add_text(t, "name", ledge_fb_vector(&fb, meta, META_name, 1));
    add_text(t, "description", ledge_fb_vector(&fb, meta, META_description, 1));
    struct ledge_fb_vector subgraphs = ledge_fb_vector(&fb, meta, META_subgraphs, 4);
    if (fb.failed || subgraphs.n == 0) {
        return;
    }
    struct ledge_fb_table subgraph = ledge_fb_item(&fb, subgraphs, 0);
    struct ledge_fb_vector inputs = ledge_fb_vector(&fb, subgraph, META_SUBGRAPH_inputs, 4);
    struct ledge_fb_vector outputs = ledge_fb_vector(&fb, subgraph, META_SUBGRAPH_outputs, 4);
    bool float_input =
        t->graph->n_inputs == 1 && t->graph->values[t->graph->inputs[0]].dtype == LEDGE_F32;
    if (!fb.failed && inputs.n == 1 && float_input) {
        add_normalization(t, &fb, ledge_fb_item(&fb, inputs, 0));
    }
    for (uint32_t i = 0; i < outputs.n && i < 16 && !fb.failed; i++) {
        if (ledge_graph_metadata(t->graph, "ledge.labels") == NULL) {
            add_labels(t, &fb, ledge_fb_item(&fb, outputs, i));
        }
    }
}

void ledge_tflite_metadata(struct ledge_tflite *t)
{
    struct ledge_error *err = t->err;
    t->err = NULL; /* nothing here fails the import */
    struct ledge_fb_vector list = ledge_fb_vector(&t->fb, t->model, MODEL_metadata, 4);
    for (uint32_t i = 0; i < list.n && i < 64 && !t->fb.failed; i++) {
        struct ledge_fb_table item = ledge_fb_item(&t->fb, list, i);
        struct ledge_fb_vector name = ledge_fb_vector(&t->fb, item, METADATA_name, 1);
        uint32_t buffer = (uint32_t)ledge_fb_i32(&t->fb, item, METADATA_buffer, 0);
        const uint8_t *data;
        size_t bytes;
        if (!t->fb.failed && name.n == 15 && memcmp(name.data, "TFLITE_METADATA", 15) == 0 &&
            ledge_tflite_buffer(t, buffer, &data, &bytes) == LEDGE_OK && data != NULL) {
            read_metadata(t, data, bytes);
            break;
        }
    }
    t->err = err;
}
