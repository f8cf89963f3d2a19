/* SPDX-License-Identifier: Apache-2.0 */
/* read.c -- a .ledge file as a graph. Bytes are hostile even when the digest is right: each number
 * is checked before it is used, and constants are read in place. */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/digest.h"
#include "base/reader.h"
#include "base/status.h"
#include "engine/format/layout.h"
#include "engine/format/ledge_file.h"

/* Bytes that a value and a node take at least. */
enum { LEAST_VALUE = 16, LEAST_NODE = 28 };

struct file {
    struct ledge_reader sections[LEDGE_SECTION_END];
    bool seen[LEDGE_SECTION_END];
    struct ledge_graph *graph;
    struct ledge_error *err;
    bool quickly; /* the CRCs are checked instead of the digest */
    /* What is read: the graph or the prepared one. */
    enum ledge_file_section strings_at, graph_at, weights_at, metadata_at;
    const void *zeros; /* of absent constants */
    size_t zeros_bytes;
};

bool ledge_file_is(const void *bytes, size_t size)
{
    return size >= 8 && memcmp(bytes, LEDGE_FILE_MAGIC, 8) == 0;
}

static enum ledge_status bad(const struct file *file, const char *what)
{
    return ledge_fail(file->err, LEDGE_ERR_FORMAT, ".ledge file: %s", what);
}

static enum ledge_status no_memory(const struct file *file)
{
    return ledge_fail(file->err, LEDGE_ERR_NOMEM, "no memory to read a .ledge file");
}

static enum ledge_status read_header(struct file *file, const uint8_t *bytes, size_t size,
                                     uint32_t *n_sections)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    if (!ledge_file_is(bytes, size) || size < LEDGE_FILE_HEADER) {
        return bad(file, "no header");
    }
    ledge_reader_seek(&r, 8);
    uint16_t major = ledge_reader_u16(&r);
    (void)ledge_reader_u16(&r);
    *n_sections = ledge_reader_u32(&r);
    uint64_t total = ledge_reader_u64(&r);
    uint64_t reserved = ledge_reader_u64(&r);
    if (major != LEDGE_FILE_MAJOR) {
        return ledge_fail(file->err, LEDGE_ERR_UNSUPPORTED,
                          ".ledge file of version %u, this reads %d", (unsigned)major,
                          LEDGE_FILE_MAJOR);
    }
    if (total != size) {
        return ledge_fail(file->err, LEDGE_ERR_CORRUPT, ".ledge file of %zu bytes should have %llu",
                          size, (unsigned long long)total);
    }
    if (reserved != 0 || *n_sections > LEDGE_FILE_MAX_SECTIONS) {
        return bad(file, "bad header");
    }
    return LEDGE_OK;
}

static enum ledge_status check_digest(const struct file *file, const uint8_t *bytes, size_t size)
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    ledge_sha256(bytes + LEDGE_FILE_HEADER, size - LEDGE_FILE_HEADER, digest);
    if (memcmp(digest, bytes + LEDGE_FILE_DIGEST_AT, sizeof digest) != 0) {
        return ledge_fail(file->err, LEDGE_ERR_CORRUPT, ".ledge file: the digest does not match");
    }
    return LEDGE_OK;
}

/* The CRC of the section whose entry lies at `at`: is it there, is it right? */
static enum ledge_status check_crc(const struct file *file, const uint8_t *bytes, size_t at,
                                   struct ledge_reader section, bool *there)
{
    struct ledge_reader r = ledge_reader_make(bytes + at, LEDGE_FILE_ENTRY);
    uint32_t kind = ledge_reader_u32(&r);
    ledge_reader_seek(&r, LEDGE_FILE_CRC_AT);
    uint32_t want = ledge_reader_u32(&r);
    *there = ledge_reader_u32(&r) == 1;
    if (!*there) {
        return LEDGE_OK;
    }
    uint32_t crc = ledge_crc32c(0, bytes + at, LEDGE_FILE_CRC_AT);
    if (!ledge_section_is_bulk(kind)) {
        crc = ledge_crc32c(crc, section.bytes, section.size);
    }
    return crc == want
               ? LEDGE_OK
               : ledge_fail(file->err, LEDGE_ERR_CORRUPT,
                            ".ledge file: the CRC of section %u does not match", (unsigned)kind);
}

static bool is_wanted(const struct file *file, uint32_t kind)
{
    return (kind >= LEDGE_SECTION_PREPARED) == (file->graph_at == LEDGE_SECTION_PREPARED);
}

static enum ledge_status read_sections(struct file *file, const uint8_t *bytes, size_t size)
{
    uint32_t n = 0;
    bool whole = !file->quickly;
    LEDGE_TRY(read_header(file, bytes, size, &n));
    struct ledge_reader r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, LEDGE_FILE_HEADER);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t kind = ledge_reader_u32(&r);
        uint32_t reserved = ledge_reader_u32(&r);
        uint64_t offset = ledge_reader_u64(&r);
        uint64_t length = ledge_reader_u64(&r);
        (void)ledge_reader_u64(&r); /* the CRC */
        if (r.failed || reserved != 0 || offset % LEDGE_FILE_ALIGN != 0 || offset > size ||
            length > size - offset) {
            return bad(file, "a section lies outside");
        }
        if (kind == 0 || kind >= LEDGE_SECTION_END || !is_wanted(file, kind)) {
            continue; /* of a later minor version, or not asked for */
        }
        if (file->seen[kind]) {
            return bad(file, "a section stands twice");
        }
        file->seen[kind] = true;
        file->sections[kind] = ledge_reader_make(bytes + offset, (size_t)length);
        if (file->quickly) {
            bool there;
            LEDGE_TRY(check_crc(file, bytes, LEDGE_FILE_HEADER + i * (size_t)LEDGE_FILE_ENTRY,
                                file->sections[kind], &there));
            whole = whole || !there;
        }
    }
    if (whole) {
        LEDGE_TRY(check_digest(file, bytes, size));
    }
    for (int kind = 1; kind < LEDGE_SECTION_END; kind++) {
        if (!file->seen[kind] && is_wanted(file, (uint32_t)kind)) {
            return bad(file, "a section is missing");
        }
    }
    const struct ledge_reader *strings = &file->sections[file->strings_at];
    if (strings->size > 0 && strings->bytes[strings->size - 1] != '\0') {
        return bad(file, "names do not end");
    }
    return LEDGE_OK;
}

/* Text at the offset that r reads next; NULL: none, or outside (then r fails, too). */
static const char *text(struct file *file, struct ledge_reader *r)
{
    const struct ledge_reader *strings = &file->sections[file->strings_at];
    uint32_t at = ledge_reader_u32(r);
    if (r->failed || at == LEDGE_NO_STRING || at >= strings->size) {
        r->failed = r->failed || at != LEDGE_NO_STRING;
        return NULL;
    }
    return (const char *)strings->bytes + at;
}

static enum ledge_status read_shape(struct file *file, enum ledge_dtype *dtype, int32_t *rank,
                                    int64_t *dims)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    if (g->failed || *rank < -1 || *rank > LEDGE_MAX_RANK ||
        (*dtype != LEDGE_DTYPE_NONE && ledge_dtype_size(*dtype) == 0)) {
        return bad(file, "a value has no known type or rank");
    }
    for (int32_t i = 0; i < *rank; i++) {
        dims[i] = (int64_t)ledge_reader_u64(g);
        if (dims[i] < -1) {
            return bad(file, "a negative dimension");
        }
    }
    return LEDGE_OK;
}

/* Offset and size of a constant that must fit its shape; read in place when it lies at a multiple
 * of 8. */
static enum ledge_status read_data(struct file *file, enum ledge_dtype dtype, int32_t rank,
                                   const int64_t *dims, const void **data, size_t *bytes)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    const struct ledge_reader *weights = &file->sections[file->weights_at];
    uint64_t offset = ledge_reader_u64(g);
    uint64_t length = ledge_reader_u64(g);
    size_t need = ledge_dtype_size(dtype);
    if (dtype == LEDGE_STRING) {
        return bad(file, "a constant of strings"); /* pointers are no data */
    }
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0 || !ledge_mul_size(need, (size_t)dims[i], &need)) {
            return bad(file, "a constant of unknown size");
        }
    }
    if (g->failed || rank < 0 || dtype == LEDGE_DTYPE_NONE || offset % LEDGE_FILE_ALIGN != 0 ||
        offset > weights->size || length > weights->size - offset || length != need) {
        return bad(file, "a constant does not fit its shape");
    }
    const void *at = weights->bytes + offset;
    if ((uintptr_t)at % 8 != 0) {
        void *copy = ledge_arena_alloc(&file->graph->arena, need, LEDGE_FILE_ALIGN);
        if (copy == NULL) {
            return no_memory(file);
        }
        if (need > 0) {
            memcpy(copy, at, need);
        }
        at = copy;
    }
    *data = at;
    *bytes = need;
    return LEDGE_OK;
}

/* A constant whose elements the file has in packed form only. */
static enum ledge_status read_absent(struct file *file, struct ledge_value *value)
{
    size_t need = ledge_dtype_size(value->dtype);
    for (int32_t i = 0; i < value->rank; i++) {
        if (value->dims[i] < 0 || !ledge_mul_size(need, (size_t)value->dims[i], &need)) {
            return bad(file, "a constant of unknown size");
        }
    }
    if (file->zeros == NULL || value->rank < 0 || value->dtype == LEDGE_STRING ||
        value->dtype == LEDGE_DTYPE_NONE || need > file->zeros_bytes) {
        return bad(file, "a constant without its elements");
    }
    value->data = file->zeros;
    value->bytes = need;
    value->absent = true;
    return LEDGE_OK;
}

static enum ledge_status read_quant(struct file *file, struct ledge_value *value)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    uint32_t n = ledge_reader_u32(g);
    int32_t axis = (int32_t)ledge_reader_u32(g);
    if (g->failed || n == 0 || n > ledge_reader_left(g) / 8 ||
        (n > 1 && (axis < 0 || axis >= value->rank || value->dims[axis] != (int64_t)n))) {
        return bad(file, "quantisation does not fit its value");
    }
    float *scales = LEDGE_NEW_ARRAY(&file->graph->arena, float, n);
    int32_t *zeros = LEDGE_NEW_ARRAY(&file->graph->arena, int32_t, n);
    struct ledge_quant *quant = LEDGE_NEW(&file->graph->arena, struct ledge_quant);
    if (scales == NULL || zeros == NULL || quant == NULL) {
        return no_memory(file);
    }
    for (uint32_t i = 0; i < n; i++) {
        scales[i] = ledge_reader_f32(g);
    }
    for (uint32_t i = 0; i < n; i++) {
        zeros[i] = (int32_t)ledge_reader_u32(g);
    }
    *quant =
        (struct ledge_quant){.scales = scales, .zero_points = zeros, .n = (int32_t)n, .axis = axis};
    value->quant = quant;
    return LEDGE_OK;
}

static enum ledge_status read_value(struct file *file)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    const char *name = text(file, g);
    enum ledge_dtype dtype = (enum ledge_dtype)ledge_reader_u32(g);
    uint32_t flags = ledge_reader_u32(g);
    int32_t rank = (int32_t)ledge_reader_u32(g);
    int64_t dims[LEDGE_MAX_RANK] = {0};
    if (name == NULL || ledge_graph_find(file->graph, name) >= 0) {
        return bad(file, "a value has no name of its own");
    }
    LEDGE_TRY(read_shape(file, &dtype, &rank, dims));
    int32_t number = ledge_graph_add_value(file->graph, name, dtype, rank, dims);
    if (number < 0) {
        return no_memory(file);
    }
    struct ledge_value *value = &file->graph->values[number];
    for (int32_t i = 0; i < rank; i++) {
        const char *dim_name = text(file, g);
        if (dim_name != NULL) {
            value->dim_names[i] = ledge_arena_text(&file->graph->arena, dim_name, strlen(dim_name));
            if (value->dim_names[i] == NULL) {
                return no_memory(file);
            }
        }
    }
    if (g->failed) {
        return bad(file, "a value is cut short");
    }
    if ((flags & LEDGE_VALUE_CONSTANT) != 0) {
        LEDGE_TRY(read_data(file, dtype, rank, dims, &value->data, &value->bytes));
    } else if ((flags & LEDGE_VALUE_ABSENT) != 0) {
        LEDGE_TRY(read_absent(file, value));
    }
    return (flags & LEDGE_VALUE_QUANTISED) != 0 ? read_quant(file, value) : LEDGE_OK;
}

/* n numbers of values (or -1 when absent is allowed). */
static enum ledge_status read_list(struct file *file, uint32_t n, bool absent, int32_t **list)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    if (g->failed || n > ledge_reader_left(g) / 4) {
        return bad(file, "a list is cut short");
    }
    *list = LEDGE_NEW_ARRAY(&file->graph->arena, int32_t, n);
    if (*list == NULL) {
        return no_memory(file);
    }
    for (uint32_t i = 0; i < n; i++) {
        int32_t value = (int32_t)ledge_reader_u32(g);
        if (value >= file->graph->n_values || value < (absent ? -1 : 0)) {
            return bad(file, "a list names no value");
        }
        (*list)[i] = value;
    }
    return LEDGE_OK;
}

static enum ledge_status read_numbers(struct file *file, int32_t node, const char *name, bool ints)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    uint32_t n = ledge_reader_u32(g);
    if (g->failed || n > ledge_reader_left(g) / (ints ? 8 : 4)) {
        return bad(file, "an attribute is cut short");
    }
    int64_t *whole = LEDGE_NEW_ARRAY(&file->graph->arena, int64_t, ints ? n : 0);
    float *real = LEDGE_NEW_ARRAY(&file->graph->arena, float, ints ? 0 : n);
    if (whole == NULL || real == NULL) {
        return no_memory(file);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ints) {
            whole[i] = (int64_t)ledge_reader_u64(g);
        } else {
            real[i] = ledge_reader_f32(g);
        }
    }
    bool set = ints ? ledge_graph_set_ints(file->graph, node, name, whole, n)
                    : ledge_graph_set_floats(file->graph, node, name, real, n);
    return set ? LEDGE_OK : no_memory(file);
}

static enum ledge_status read_tensor(struct file *file, int32_t node, const char *name)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    struct ledge_view view = {.data = NULL};
    const void *data = NULL;
    size_t bytes;
    view.dtype = (enum ledge_dtype)ledge_reader_u32(g);
    view.rank = (int32_t)ledge_reader_u32(g);
    LEDGE_TRY(read_shape(file, &view.dtype, &view.rank, view.dims));
    LEDGE_TRY(read_data(file, view.dtype, view.rank, view.dims, &data, &bytes));
    view.data = (void *)data;
    return ledge_graph_set_tensor(file->graph, node, name, &view) ? LEDGE_OK : no_memory(file);
}

static enum ledge_status read_strings(struct file *file, int32_t node, const char *name)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    uint32_t n = ledge_reader_u32(g);
    if (g->failed || n > ledge_reader_left(g) / 4) {
        return bad(file, "an attribute is cut short");
    }
    const char **list = LEDGE_NEW_ARRAY(&file->graph->arena, const char *, n);
    for (uint32_t i = 0; list != NULL && i < n; i++) {
        list[i] = text(file, g);
        if (list[i] == NULL) {
            return bad(file, "an attribute without its text");
        }
    }
    bool set = list != NULL && ledge_graph_set_strings(file->graph, node, name, list, n);
    return set ? LEDGE_OK : no_memory(file);
}

static enum ledge_status read_body(struct file *file);

static enum ledge_status read_subgraph(struct file *file, int32_t node, const char *name)
{
    struct ledge_graph *graph = file->graph;
    struct ledge_graph *sub = ledge_graph_sub(graph);
    if (sub == NULL) {
        return graph->depth >= LEDGE_MAX_DEPTH ? bad(file, "sub-graphs are too deep")
                                               : no_memory(file);
    }
    int32_t captures = (int32_t)ledge_reader_u32(&file->sections[file->graph_at]);
    file->graph = sub;
    enum ledge_status status = read_body(file);
    if (status == LEDGE_OK) {
        status = ledge_graph_sort(sub, file->err);
    }
    file->graph = graph;
    if (status != LEDGE_OK) {
        return status;
    }
    if (captures < 0 || captures > sub->n_inputs) {
        return bad(file, "a sub-graph captures more than it reads");
    }
    sub->n_captures = captures;
    return ledge_graph_set_graph(graph, node, name, sub) ? LEDGE_OK : no_memory(file);
}

static enum ledge_status read_attr(struct file *file, int32_t node)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    const char *name = text(file, g);
    uint32_t type = ledge_reader_u32(g);
    if (name == NULL || g->failed || ledge_node_attr(&file->graph->nodes[node], name) != NULL) {
        return bad(file, "an attribute has no name of its own");
    }
    bool set = true;
    const char *string;
    switch (type) {
    case LEDGE_ATTR_INT:
        set = ledge_graph_set_int(file->graph, node, name, (int64_t)ledge_reader_u64(g));
        break;
    case LEDGE_ATTR_FLOAT:
        set = ledge_graph_set_float(file->graph, node, name, ledge_reader_f32(g));
        break;
    case LEDGE_ATTR_STRING:
        string = text(file, g);
        if (string == NULL) {
            return bad(file, "an attribute without its text");
        }
        set = ledge_graph_set_string(file->graph, node, name, string);
        break;
    case LEDGE_ATTR_INTS:
    case LEDGE_ATTR_FLOATS:
        return read_numbers(file, node, name, type == LEDGE_ATTR_INTS);
    case LEDGE_ATTR_TENSOR:
        return read_tensor(file, node, name);
    case LEDGE_ATTR_STRINGS:
        return read_strings(file, node, name);
    case LEDGE_ATTR_GRAPH:
        return read_subgraph(file, node, name);
    case LEDGE_ATTR_OTHER:
        set = ledge_graph_set_other(file->graph, node, name);
        break;
    default:
        return bad(file, "an attribute of unknown type");
    }
    return set ? LEDGE_OK : no_memory(file);
}

static enum ledge_status read_node(struct file *file)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    const char *name = text(file, g);
    const char *op = text(file, g);
    const char *domain = text(file, g);
    int32_t opset = (int32_t)ledge_reader_u32(g);
    int32_t *in = NULL;
    int32_t *out = NULL;
    if (name == NULL || op == NULL || domain == NULL) {
        return bad(file, "a node has no name");
    }
    uint32_t n_in = ledge_reader_u32(g);
    LEDGE_TRY(read_list(file, n_in, true, &in));
    uint32_t n_out = ledge_reader_u32(g);
    LEDGE_TRY(read_list(file, n_out, true, &out));
    int32_t node = ledge_graph_add_node(file->graph, domain, op, opset, name, in, (int32_t)n_in,
                                        out, (int32_t)n_out);
    if (node < 0) {
        return no_memory(file);
    }
    uint32_t n_attrs = ledge_reader_u32(g);
    for (uint32_t i = 0; i < n_attrs; i++) {
        LEDGE_TRY(read_attr(file, node));
    }
    int64_t captures = 0;
    for (int32_t i = 0; i < file->graph->nodes[node].n_attrs; i++) {
        const struct ledge_attr *attr = &file->graph->nodes[node].attrs[i];
        captures += attr->type == LEDGE_ATTR_GRAPH ? attr->graph->n_captures : 0;
    }
    if (captures > file->graph->nodes[node].n_in) {
        return bad(file, "a node does not have what its sub-graphs capture");
    }
    return g->failed ? bad(file, "a node is cut short") : LEDGE_OK;
}

static enum ledge_status read_border(struct file *file, uint32_t n_inputs, uint32_t n_outputs)
{
    int32_t *list = NULL;
    LEDGE_TRY(read_list(file, n_inputs, false, &list));
    for (uint32_t i = 0; i < n_inputs; i++) {
        if (file->graph->values[list[i]].data != NULL) {
            return bad(file, "an input is constant");
        }
        if (ledge_graph_add_input(file->graph, list[i]) < 0) {
            return no_memory(file);
        }
    }
    LEDGE_TRY(read_list(file, n_outputs, false, &list));
    for (uint32_t i = 0; i < n_outputs; i++) {
        if (ledge_graph_add_output(file->graph, list[i]) < 0) {
            return no_memory(file);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status read_states(struct file *file)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    if (ledge_reader_left(g) == 0) {
        return LEDGE_OK;
    }
    uint32_t n = ledge_reader_u32(g);
    for (uint32_t i = 0; i < n && !g->failed; i++) {
        struct ledge_state state;
        state.in = (int32_t)ledge_reader_u32(g);
        state.out = (int32_t)ledge_reader_u32(g);
        state.init = (int32_t)ledge_reader_u32(g);
        if (!g->failed && ledge_graph_add_state(file->graph, state) < 0) {
            return no_memory(file);
        }
    }
    return g->failed ? bad(file, "a list of states is cut short") : LEDGE_OK;
}

static enum ledge_status read_metadata(struct file *file)
{
    struct ledge_reader *r = &file->sections[file->metadata_at];
    uint32_t n = ledge_reader_u32(r);
    for (uint32_t i = 0; i < n; i++) {
        const char *key = text(file, r);
        const char *value = text(file, r);
        if (key == NULL || value == NULL) {
            return bad(file, "metadata is cut short");
        }
        if (ledge_graph_add_metadata(file->graph, key, value) < 0) {
            return no_memory(file);
        }
    }
    return r->failed ? bad(file, "metadata is cut short") : LEDGE_OK;
}

/* As deep as sub-graphs are: LEDGE_MAX_DEPTH calls. */
static enum ledge_status read_body(struct file *file)
{
    struct ledge_reader *g = &file->sections[file->graph_at];
    uint32_t n_values = ledge_reader_u32(g);
    uint32_t n_nodes = ledge_reader_u32(g);
    uint32_t n_inputs = ledge_reader_u32(g);
    uint32_t n_outputs = ledge_reader_u32(g);
    const char *name = text(file, g);
    const char *producer = text(file, g);
    if (name == NULL || producer == NULL) {
        return bad(file, "the graph has no name");
    }
    file->graph->name = ledge_arena_text(&file->graph->arena, name, strlen(name));
    file->graph->producer = ledge_arena_text(&file->graph->arena, producer, strlen(producer));
    if (file->graph->name == NULL || file->graph->producer == NULL) {
        return no_memory(file);
    }
    if (n_values > ledge_reader_left(g) / LEAST_VALUE ||
        n_nodes > ledge_reader_left(g) / LEAST_NODE) {
        return bad(file, "the graph is cut short");
    }
    if (!ledge_graph_reserve(file->graph, (int32_t)n_values, (int32_t)n_nodes)) {
        return no_memory(file);
    }
    for (uint32_t i = 0; i < n_values; i++) {
        LEDGE_TRY(read_value(file));
    }
    for (uint32_t i = 0; i < n_nodes; i++) {
        LEDGE_TRY(read_node(file));
    }
    return read_border(file, n_inputs, n_outputs);
}

static enum ledge_status read_graph(struct file *file)
{
    LEDGE_TRY(read_body(file));
    LEDGE_TRY(read_states(file));
    LEDGE_TRY(read_metadata(file));
    return ledge_graph_sort(file->graph, file->err);
}

static enum ledge_status read_file(const void *bytes, size_t size, bool quickly,
                                   struct ledge_graph *graph, struct ledge_error *err)
{
    struct file file = {.graph = graph,
                        .err = err,
                        .quickly = quickly,
                        .strings_at = LEDGE_SECTION_STRINGS,
                        .graph_at = LEDGE_SECTION_GRAPH,
                        .weights_at = LEDGE_SECTION_WEIGHTS,
                        .metadata_at = LEDGE_SECTION_METADATA};
    LEDGE_TRY(read_sections(&file, bytes, size));
    return read_graph(&file);
}

enum ledge_status ledge_file_read(const void *bytes, size_t size, struct ledge_graph *graph,
                                  struct ledge_error *err)
{
    return read_file(bytes, size, false, graph, err);
}

enum ledge_status ledge_file_read_quickly(const void *bytes, size_t size, struct ledge_graph *graph,
                                          struct ledge_error *err)
{
    return read_file(bytes, size, true, graph, err);
}

/* -- the prepared part ----------------------------------------------------------------------------
 */

static enum ledge_status read_parts(struct file *file, uint32_t rung, struct ledge_packed *packed)
{
    struct ledge_reader *r = &file->sections[LEDGE_SECTION_PARTS];
    const struct ledge_reader *data = &file->sections[LEDGE_SECTION_PACKED];
    (void)ledge_reader_u64(r); /* the stamp */
    uint32_t n = ledge_reader_u32(r);
    uint32_t reserved = ledge_reader_u32(r);
    if (r->failed || reserved != 0 || n > ledge_reader_left(r) / LEDGE_PACKED_ENTRY) {
        return bad(file, "the list of packed parts is cut short");
    }
    struct ledge_packed_part *parts =
        LEDGE_NEW_ARRAY(&file->graph->arena, struct ledge_packed_part, n);
    if (parts == NULL) {
        return no_memory(file);
    }
    *packed = (struct ledge_packed){.rung = rung, .parts = parts};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = ledge_reader_u64(r);
        uint64_t offset = ledge_reader_u64(r);
        uint64_t length = ledge_reader_u64(r);
        uint32_t of = ledge_reader_u32(r);
        reserved = ledge_reader_u32(r);
        if (reserved != 0 || offset % LEDGE_FILE_ALIGN != 0 || offset > data->size ||
            length > data->size - offset) {
            return bad(file, "a packed part lies outside");
        }
        const uint8_t *at = data->bytes + offset;
        if (of == rung && (uintptr_t)at % LEDGE_FILE_ALIGN == 0) {
            parts[packed->n++] =
                (struct ledge_packed_part){.key = key, .data = at, .bytes = (size_t)length};
        }
    }
    return LEDGE_OK;
}

/* The list of parts, unchecked but for its size; size 0: there is none. */
static struct ledge_reader find_parts(const void *bytes, size_t size, uint64_t *stamp, uint32_t *n)
{
    struct ledge_reader none = ledge_reader_make(bytes, 0);
    struct ledge_reader r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, 12);
    uint32_t n_sections = ledge_file_is(bytes, size) ? ledge_reader_u32(&r) : 0;
    ledge_reader_seek(&r, LEDGE_FILE_HEADER);
    for (uint32_t i = 0; i < n_sections && i < LEDGE_FILE_MAX_SECTIONS; i++) {
        uint32_t kind = ledge_reader_u32(&r);
        (void)ledge_reader_u32(&r);
        uint64_t offset = ledge_reader_u64(&r);
        uint64_t length = ledge_reader_u64(&r);
        (void)ledge_reader_u64(&r);
        if (r.failed || kind != LEDGE_SECTION_PARTS) {
            continue;
        }
        if (offset > size || length > size - offset || length < LEDGE_PACKED_HEADER) {
            return none;
        }
        struct ledge_reader parts =
            ledge_reader_make((const uint8_t *)bytes + offset, (size_t)length);
        *stamp = ledge_reader_u64(&parts);
        *n = ledge_reader_u32(&parts);
        (void)ledge_reader_u32(&parts);
        return *n <= ledge_reader_left(&parts) / LEDGE_PACKED_ENTRY ? parts : none;
    }
    return none;
}

int32_t ledge_file_packed_info(const void *bytes, size_t size, struct ledge_file_packed_info *infos,
                               int32_t max)
{
    uint64_t stamp = 0;
    uint32_t n = 0;
    int32_t count = 0;
    struct ledge_reader parts = find_parts(bytes, size, &stamp, &n);
    for (uint32_t i = 0; i < n && parts.size > 0; i++) {
        (void)ledge_reader_u64(&parts);
        (void)ledge_reader_u64(&parts);
        uint64_t length = ledge_reader_u64(&parts);
        uint32_t rung = ledge_reader_u32(&parts);
        (void)ledge_reader_u32(&parts);
        int32_t k = 0;
        while (k < count && infos[k].rung != rung) {
            k++;
        }
        if (k == count && count < max) {
            infos[count++] = (struct ledge_file_packed_info){.stamp = stamp, .rung = rung};
        }
        if (k < count) {
            infos[k].parts += length > 0;
            infos[k].bytes += length;
        }
    }
    return count;
}

bool ledge_file_is_prepared(const void *bytes, size_t size, uint64_t stamp, int32_t rung)
{
    struct ledge_file_packed_info infos[LEDGE_FILE_MAX_SECTIONS];
    int32_t n = ledge_file_packed_info(bytes, size, infos, LEDGE_FILE_MAX_SECTIONS);
    for (int32_t i = 0; i < n; i++) {
        if ((stamp == 0 || infos[i].stamp == stamp) &&
            (rung < 0 || infos[i].rung == (uint32_t)rung)) {
            return true;
        }
    }
    return false;
}

enum ledge_status ledge_file_read_prepared(const void *bytes, size_t size, uint32_t rung,
                                           bool quickly, const void *zeros, size_t zeros_bytes,
                                           struct ledge_graph *graph, struct ledge_packed *packed,
                                           struct ledge_error *err)
{
    if (!ledge_file_is_prepared(bytes, size, 0, (int32_t)rung)) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, ".ledge file: not packed for this processor");
    }
    struct file file = {.graph = graph,
                        .err = err,
                        .quickly = quickly,
                        .strings_at = LEDGE_SECTION_TEXTS,
                        .graph_at = LEDGE_SECTION_PREPARED,
                        .weights_at = LEDGE_SECTION_KEPT,
                        .metadata_at = LEDGE_SECTION_ABOUT,
                        .zeros = zeros,
                        .zeros_bytes = zeros_bytes};
    struct ledge_packed found;
    LEDGE_TRY(read_sections(&file, bytes, size));
    LEDGE_TRY(read_graph(&file));
    LEDGE_TRY(read_parts(&file, rung, &found));
    *packed = found;
    return LEDGE_OK;
}
