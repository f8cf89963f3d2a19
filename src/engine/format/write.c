/* SPDX-License-Identifier: Apache-2.0 */
/* write.c -- a graph as a .ledge file. The same walk runs twice: first it only counts, then it
 * writes into the buffer. */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/digest.h"
#include "base/status.h"
#include "engine/format/layout.h"
#include "engine/format/ledge_file.h"

/* One section; out NULL: count only. */
struct sink {
    uint8_t *out;
    size_t at;
};

struct writer {
    struct sink sections[LEDGE_SECTION_END];
    enum ledge_file_section strings, graph, weights; /* that are written to now */
    const int32_t *number; /* of the values of the graph that is written; NULL: their own */
};

static void put(struct sink *sink, const void *bytes, size_t n)
{
    if (sink->out != NULL && n > 0) {
        memcpy(sink->out + sink->at, bytes, n);
    }
    sink->at += n;
}

static void put_le(struct sink *sink, uint64_t value, size_t n)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    put(sink, bytes, n);
}

static void put_u32(struct sink *sink, int64_t value)
{
    put_le(sink, (uint64_t)value, 4);
}

static void put_f32(struct sink *sink, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_le(sink, bits, 4);
}

/* The text goes to the strings, its offset to sink. */
static void put_text(struct writer *w, struct sink *sink, const char *text)
{
    struct sink *strings = &w->sections[w->strings];
    put_u32(sink, text != NULL ? (int64_t)strings->at : (int64_t)LEDGE_NO_STRING);
    if (text != NULL) {
        put(strings, text, strlen(text) + 1);
    }
}

/* The bytes go to the weights, offset and size to sink. */
static void put_data(struct writer *w, struct sink *sink, const void *data, size_t bytes)
{
    struct sink *weights = &w->sections[w->weights];
    weights->at = (weights->at + LEDGE_FILE_ALIGN - 1) & ~(size_t)(LEDGE_FILE_ALIGN - 1);
    put_le(sink, weights->at, 8);
    put_le(sink, bytes, 8);
    put(weights, data, bytes);
}

static void put_value(struct writer *w, const struct ledge_value *value)
{
    struct sink *g = &w->sections[w->graph];
    put_text(w, g, value->name);
    put_u32(g, value->dtype);
    bool constant = value->data != NULL && !value->absent;
    put_u32(g, (constant ? LEDGE_VALUE_CONSTANT : 0) | (value->absent ? LEDGE_VALUE_ABSENT : 0) |
                   (value->quant != NULL ? LEDGE_VALUE_QUANTISED : 0));
    put_u32(g, value->rank);
    for (int32_t i = 0; i < value->rank; i++) {
        put_le(g, (uint64_t)value->dims[i], 8);
    }
    for (int32_t i = 0; i < value->rank; i++) {
        put_text(w, g, value->dim_names[i]);
    }
    if (constant) {
        put_data(w, g, value->data, value->bytes);
    }
    if (value->quant != NULL) {
        put_u32(g, value->quant->n);
        put_u32(g, value->quant->axis);
        for (int32_t i = 0; i < value->quant->n; i++) {
            put_f32(g, value->quant->scales[i]);
        }
        for (int32_t i = 0; i < value->quant->n; i++) {
            put_u32(g, value->quant->zero_points[i]);
        }
    }
}

static void put_sub(struct writer *w, const struct ledge_graph *graph);

static void put_attr(struct writer *w, const struct ledge_attr *attr)
{
    struct sink *g = &w->sections[w->graph];
    put_text(w, g, attr->name);
    put_u32(g, attr->type);
    switch (attr->type) {
    case LEDGE_ATTR_INT:
        put_le(g, (uint64_t)attr->i, 8);
        break;
    case LEDGE_ATTR_FLOAT:
        put_f32(g, attr->f);
        break;
    case LEDGE_ATTR_STRING:
        put_text(w, g, attr->s);
        break;
    case LEDGE_ATTR_INTS:
        put_u32(g, (int64_t)attr->n);
        for (size_t i = 0; i < attr->n; i++) {
            put_le(g, (uint64_t)attr->ints[i], 8);
        }
        break;
    case LEDGE_ATTR_FLOATS:
        put_u32(g, (int64_t)attr->n);
        for (size_t i = 0; i < attr->n; i++) {
            put_f32(g, attr->floats[i]);
        }
        break;
    case LEDGE_ATTR_TENSOR:
        put_u32(g, attr->tensor->dtype);
        put_u32(g, attr->tensor->rank);
        for (int32_t i = 0; i < attr->tensor->rank; i++) {
            put_le(g, (uint64_t)attr->tensor->dims[i], 8);
        }
        put_data(w, g, attr->tensor->data, ledge_view_bytes(attr->tensor));
        break;
    case LEDGE_ATTR_STRINGS:
        put_u32(g, (int64_t)attr->n);
        for (size_t i = 0; i < attr->n; i++) {
            put_text(w, g, attr->strings[i]);
        }
        break;
    case LEDGE_ATTR_GRAPH:
        put_u32(g, attr->graph->n_captures);
        put_sub(w, attr->graph);
        break;
    case LEDGE_ATTR_OTHER:
        break;
    }
}

static void put_list(struct writer *w, const int32_t *list, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        bool own = w->number == NULL || list[i] < 0;
        put_u32(&w->sections[w->graph], own ? list[i] : w->number[list[i]]);
    }
}

static void put_node(struct writer *w, const struct ledge_node *node)
{
    struct sink *g = &w->sections[w->graph];
    put_text(w, g, node->name);
    put_text(w, g, node->op);
    put_text(w, g, node->domain);
    put_u32(g, node->opset);
    put_u32(g, node->n_in);
    put_list(w, node->in, node->n_in);
    put_u32(g, node->n_out);
    put_list(w, node->out, node->n_out);
    put_u32(g, node->n_attrs);
    for (int32_t i = 0; i < node->n_attrs; i++) {
        put_attr(w, &node->attrs[i]);
    }
}

/* As deep as sub-graphs are: LEDGE_MAX_DEPTH calls. */
static void put_graph(struct writer *w, const struct ledge_graph *graph)
{
    struct sink *g = &w->sections[w->graph];
    int32_t alive = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        alive += graph->nodes[i].dead ? 0 : 1;
    }
    int32_t n_values = 0;
    for (int32_t i = 0; i < graph->n_values; i++) {
        n_values += w->number == NULL || w->number[i] >= 0 ? 1 : 0;
    }
    put_u32(g, n_values);
    put_u32(g, alive);
    put_u32(g, graph->n_inputs);
    put_u32(g, graph->n_outputs);
    put_text(w, g, graph->name);
    put_text(w, g, graph->producer);
    for (int32_t i = 0; i < graph->n_values; i++) {
        if (w->number == NULL || w->number[i] >= 0) {
            put_value(w, &graph->values[i]);
        }
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (!graph->nodes[i].dead) {
            put_node(w, &graph->nodes[i]);
        }
    }
    put_list(w, graph->inputs, graph->n_inputs);
    put_list(w, graph->outputs, graph->n_outputs);
}

/* Its values have numbers of their own. */
static void put_sub(struct writer *w, const struct ledge_graph *graph)
{
    const int32_t *number = w->number;
    w->number = NULL;
    put_graph(w, graph);
    w->number = number;
}

static void put_states(struct writer *w, const struct ledge_graph *graph)
{
    if (graph->n_states > 0) {
        put_u32(&w->sections[w->graph], graph->n_states);
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        const int32_t state[3] = {graph->states[i].in, graph->states[i].out, graph->states[i].init};
        put_list(w, state, 3);
    }
}

static void put_metadata(struct writer *w, struct sink *meta, const struct ledge_graph *graph)
{
    put_u32(meta, graph->n_metadata);
    for (int32_t i = 0; i < graph->n_metadata; i++) {
        put_text(w, meta, graph->metadata[i].key);
        put_text(w, meta, graph->metadata[i].value);
    }
}

static void put_packed(struct writer *w, const struct ledge_file_prepared *prepared)
{
    struct sink *parts = &w->sections[LEDGE_SECTION_PARTS];
    struct sink *data = &w->sections[LEDGE_SECTION_PACKED];
    int64_t n = 0;
    for (int32_t i = 0; i < prepared->n; i++) {
        n += prepared->packed[i].n;
    }
    put_le(parts, prepared->stamp, 8);
    put_u32(parts, n);
    put_u32(parts, 0);
    for (int32_t i = 0; i < prepared->n; i++) {
        for (int32_t k = 0; k < prepared->packed[i].n; k++) {
            const struct ledge_packed_part *part = &prepared->packed[i].parts[k];
            data->at = (data->at + LEDGE_FILE_ALIGN - 1) & ~(size_t)(LEDGE_FILE_ALIGN - 1);
            put_le(parts, part->key, 8);
            put_le(parts, data->at, 8);
            put_le(parts, part->bytes, 8);
            put_u32(parts, prepared->packed[i].rung);
            put_u32(parts, 0);
            put(data, part->data, part->bytes);
        }
    }
}

static void walk(struct writer *w, const struct ledge_graph *graph, const int32_t *number,
                 const struct ledge_file_prepared *prepared)
{
    w->strings = LEDGE_SECTION_STRINGS;
    w->graph = LEDGE_SECTION_GRAPH;
    w->weights = LEDGE_SECTION_WEIGHTS;
    w->number = number;
    put_graph(w, graph);
    put_states(w, graph);
    put_metadata(w, &w->sections[LEDGE_SECTION_METADATA], graph);
    if (prepared != NULL) {
        w->strings = LEDGE_SECTION_TEXTS;
        w->graph = LEDGE_SECTION_PREPARED;
        w->weights = LEDGE_SECTION_KEPT;
        w->number = NULL;
        put_graph(w, prepared->graph);
        put_states(w, prepared->graph);
        put_metadata(w, &w->sections[LEDGE_SECTION_ABOUT], prepared->graph);
        put_packed(w, prepared);
    }
}

static void put_header(uint8_t *out, size_t size, int end, const size_t offsets[],
                       const size_t bytes[])
{
    struct sink head = {.out = out};
    put(&head, LEDGE_FILE_MAGIC, 8);
    put_le(&head, LEDGE_FILE_MAJOR, 2);
    put_le(&head, LEDGE_FILE_MINOR, 2);
    put_u32(&head, end - 1);
    put_le(&head, size, 8);
    head.at = LEDGE_FILE_HEADER;
    for (int kind = 1; kind < end; kind++) {
        put_u32(&head, kind);
        put_u32(&head, 0);
        put_le(&head, offsets[kind], 8);
        put_le(&head, bytes[kind], 8);
        uint32_t crc = ledge_crc32c(0, out + head.at - LEDGE_FILE_CRC_AT, LEDGE_FILE_CRC_AT);
        if (!ledge_section_is_bulk((uint32_t)kind)) {
            crc = ledge_crc32c(crc, out + offsets[kind], bytes[kind]);
        }
        put_u32(&head, crc);
        put_u32(&head, 1);
    }
    ledge_sha256(out + LEDGE_FILE_HEADER, size - LEDGE_FILE_HEADER, out + LEDGE_FILE_DIGEST_AT);
}

/* Strings are pointers in memory and have no place in the file. As deep as sub-graphs are. */
static bool has_strings(const struct ledge_graph *graph)
{
    bool has = false;
    for (int32_t i = 0; i < graph->n_values; i++) {
        has = has || (graph->values[i].dtype == LEDGE_STRING && graph->values[i].data != NULL);
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        for (int32_t k = 0; k < graph->nodes[i].n_attrs && !graph->nodes[i].dead; k++) {
            const struct ledge_attr *attr = &graph->nodes[i].attrs[k];
            has = has || (attr->type == LEDGE_ATTR_GRAPH && has_strings(attr->graph)) ||
                  (attr->type == LEDGE_ATTR_TENSOR && attr->tensor->dtype == LEDGE_STRING);
        }
    }
    return has;
}

static enum ledge_status write_file(const struct ledge_graph *graph, const int32_t *number,
                                    const struct ledge_file_prepared *prepared, void *out,
                                    size_t *size, struct ledge_error *err)
{
    struct writer count = {.sections = {{.out = NULL}}};
    size_t offsets[LEDGE_SECTION_END] = {0};
    size_t bytes[LEDGE_SECTION_END] = {0};
    const int end = prepared != NULL ? LEDGE_SECTION_END : LEDGE_SECTION_PREPARED;
    size_t total = LEDGE_FILE_HEADER + LEDGE_FILE_ENTRY * (size_t)(end - 1);
    if (has_strings(graph) || (prepared != NULL && has_strings(prepared->graph))) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "constants of strings cannot be written");
    }
    walk(&count, graph, number, prepared);
    if (count.sections[LEDGE_SECTION_STRINGS].at >= LEDGE_NO_STRING ||
        count.sections[LEDGE_SECTION_TEXTS].at >= LEDGE_NO_STRING) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "names of more than 4 GB");
    }
    for (int kind = 1; kind < end; kind++) {
        if (!ledge_align_size(total, LEDGE_FILE_ALIGN, &offsets[kind])) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "the file would be too large");
        }
        bytes[kind] = count.sections[kind].at;
        total = offsets[kind] + bytes[kind];
    }
    if (out == NULL) {
        *size = total;
        return LEDGE_OK;
    }
    if (*size != total) {
        return ledge_fail(err, LEDGE_ERR_ARG, "the buffer has %zu bytes, the file %zu", *size,
                          total);
    }
    memset(out, 0, total);
    struct writer w = {.sections = {{.out = NULL}}};
    for (int kind = 1; kind < end; kind++) {
        w.sections[kind].out = (uint8_t *)out + offsets[kind];
    }
    walk(&w, graph, number, prepared);
    put_header(out, total, end, offsets, bytes);
    return LEDGE_OK;
}

enum ledge_status ledge_file_write_prepared(const struct ledge_graph *graph,
                                            const struct ledge_file_prepared *prepared, void *out,
                                            size_t *size, struct ledge_error *err)
{
    return write_file(graph, NULL, prepared, out, size, err);
}

enum ledge_status ledge_file_write(const struct ledge_graph *graph, void *out, size_t *size,
                                   struct ledge_error *err)
{
    return write_file(graph, NULL, NULL, out, size, err);
}

static void note(int32_t *used, const int32_t *list, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (list[i] >= 0) {
            used[list[i]] = 1;
        }
    }
}

enum ledge_status ledge_file_write_used(const struct ledge_graph *graph, int32_t *number, void *out,
                                        size_t *size, struct ledge_error *err)
{
    int32_t next = 0;
    for (int32_t i = 0; i < graph->n_values; i++) {
        number[i] = 0;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        note(number, node->in, node->dead ? 0 : node->n_in);
        note(number, node->out, node->dead ? 0 : node->n_out);
    }
    note(number, graph->inputs, graph->n_inputs);
    note(number, graph->outputs, graph->n_outputs);
    for (int32_t i = 0; i < graph->n_states; i++) {
        const int32_t state[3] = {graph->states[i].in, graph->states[i].out, graph->states[i].init};
        note(number, state, 3);
    }
    for (int32_t i = 0; i < graph->n_values; i++) {
        number[i] = number[i] != 0 ? next++ : -1;
    }
    return write_file(graph, number, NULL, out, size, err);
}
