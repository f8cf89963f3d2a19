/* SPDX-License-Identifier: Apache-2.0 */
/* ledge_file_test.c -- .ledge files: round trip, every truncation, every single-bit flip. */
#include "engine/run/testing.h"

#include <stdlib.h>

#include "base/digest.h"
#include "engine/format/ledge_file.h"

static uint8_t *write_sample(size_t *size)
{
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    test_sample(&graph);
    assert_int_equal(ledge_file_write(&graph, NULL, size, NULL), LEDGE_OK);
    uint8_t *bytes = NULL;
    assert_int_equal(posix_memalign((void **)&bytes, 64, *size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, size, NULL), LEDGE_OK);
    ledge_graph_done(&graph);
    return bytes;
}

static void same_attr(const struct ledge_attr *a, const struct ledge_attr *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->i, b->i);
    assert_true(a->f == b->f);
    assert_int_equal(a->n, b->n);
    if (a->s != NULL) {
        assert_string_equal(a->s, b->s);
    }
    if (a->ints != NULL) {
        assert_memory_equal(a->ints, b->ints, a->n * 8);
    }
    if (a->floats != NULL) {
        assert_memory_equal(a->floats, b->floats, a->n * 4);
    }
    if (a->tensor != NULL) {
        assert_int_equal(ledge_view_bytes(a->tensor), ledge_view_bytes(b->tensor));
        assert_memory_equal(a->tensor->data, b->tensor->data, ledge_view_bytes(a->tensor));
    }
}

static void round_trip(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_sample(&size);
    struct ledge_graph want, got;
    struct ledge_error err;
    ledge_graph_init(&want, NULL);
    test_sample(&want);
    ledge_graph_init(&got, NULL);
    assert_true(ledge_file_is(bytes, size));
    assert_int_equal(ledge_file_read(bytes, size, &got, &err), LEDGE_OK);
    assert_int_equal(got.n_values, want.n_values);
    assert_int_equal(got.n_nodes, want.n_nodes);
    for (int32_t i = 0; i < want.n_values; i++) {
        const struct ledge_value *a = &want.values[i], *b = &got.values[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->dims, b->dims, sizeof a->dims);
        assert_int_equal(a->bytes, b->bytes);
        if (a->data != NULL) {
            assert_memory_equal(a->data, b->data, a->bytes);
            assert_true((const uint8_t *)b->data > bytes &&
                        (const uint8_t *)b->data < bytes + size); /* in place */
        }
        assert_int_equal(a->quant != NULL, b->quant != NULL);
        if (a->quant != NULL) {
            assert_true(a->quant->scales[0] == b->quant->scales[0]);
            assert_int_equal(a->quant->zero_points[0], b->quant->zero_points[0]);
        }
    }
    assert_string_equal(got.values[got.inputs[0]].dim_names[0], "N");
    for (int32_t i = 0; i < want.n_nodes; i++) {
        const struct ledge_node *a = &want.nodes[i], *b = &got.nodes[i];
        assert_string_equal(a->op, b->op);
        assert_int_equal(a->opset, b->opset);
        assert_int_equal(a->n_in, b->n_in);
        assert_memory_equal(a->in, b->in, (size_t)a->n_in * sizeof *a->in);
        assert_int_equal(a->n_attrs, b->n_attrs);
        for (int32_t k = 0; k < a->n_attrs; k++) {
            same_attr(&a->attrs[k], &b->attrs[k]);
        }
    }
    assert_memory_equal(want.outputs, got.outputs, 2 * sizeof *want.outputs);
    assert_string_equal(ledge_graph_metadata(&got, "ledge.labels"), "a,b,c,d,e");
    ledge_graph_done(&want);
    ledge_graph_done(&got);
    free(bytes);
}

/* y = If(c) of two branches that capture x, with a list of texts on the node. */
static void sub_graphs_are_kept(void **state)
{
    (void)state;
    static const char *const texts[] = {"one", "", "three\nlines"};
    struct ledge_graph graph, back;
    struct ledge_error err;
    size_t size;
    ledge_graph_init(&graph, NULL);
    int32_t c = ledge_graph_add_value(&graph, "c", LEDGE_BOOL, 0, NULL);
    int32_t x = ledge_graph_add_value(&graph, "x", LEDGE_F32, TEST_SHAPE(2));
    int32_t y = ledge_graph_add_value(&graph, "y", LEDGE_DTYPE_NONE, -1, NULL);
    const int32_t in[3] = {c, x, x};
    int32_t node = ledge_graph_add_node(&graph, "", "If", 16, NULL, in, 3, &y, 1);
    for (int i = 0; i < 2; i++) {
        struct ledge_graph *sub = ledge_graph_sub(&graph);
        int32_t from = ledge_graph_add_value(sub, "x", LEDGE_DTYPE_NONE, -1, NULL);
        int32_t to = ledge_graph_add_value(sub, "z", LEDGE_DTYPE_NONE, -1, NULL);
        assert_true(ledge_graph_add_node(sub, "", i == 0 ? "Neg" : "Abs", 13, NULL, &from, 1, &to,
                                         1) == 0 &&
                    ledge_graph_add_input(sub, from) == 0 && ledge_graph_add_output(sub, to) == 0);
        sub->n_captures = 1;
        assert_true(
            ledge_graph_set_graph(&graph, node, i == 0 ? "then_branch" : "else_branch", sub));
    }
    assert_true(ledge_graph_set_strings(&graph, node, "texts", texts, 3) &&
                ledge_graph_add_input(&graph, c) == 0 && ledge_graph_add_input(&graph, x) == 1 &&
                ledge_graph_add_output(&graph, y) == 0);
    assert_int_equal(ledge_file_write(&graph, NULL, &size, &err), LEDGE_OK);
    uint8_t *bytes = NULL;
    assert_int_equal(posix_memalign((void **)&bytes, 64, size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, &size, &err), LEDGE_OK);
    ledge_graph_done(&graph);
    ledge_graph_init(&back, NULL);
    assert_int_equal(ledge_file_read(bytes, size, &back, &err), LEDGE_OK);
    const struct ledge_graph *branch = ledge_node_graph(&back.nodes[0], "else_branch");
    assert_non_null(branch);
    assert_int_equal(branch->n_captures, 1);
    assert_string_equal(branch->nodes[0].op, "Abs");
    assert_int_equal(ledge_node_own_inputs(&back.nodes[0]), 1);
    const struct ledge_attr *attr = ledge_node_attr(&back.nodes[0], "texts");
    assert_int_equal(attr->n, 3);
    assert_string_equal(attr->strings[2], texts[2]);
    ledge_graph_done(&back);
    free(bytes);
}

static enum ledge_status try_read(const uint8_t *bytes, size_t size)
{
    struct ledge_graph graph;
    struct ledge_error err = {.text = ""};
    ledge_graph_init(&graph, NULL);
    enum ledge_status status = ledge_file_read(bytes, size, &graph, &err);
    if (status != LEDGE_OK) {
        assert_true(err.text[0] != '\0');
    }
    ledge_graph_done(&graph);
    return status;
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_sample(&size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n > 0 ? n : 1); /* its own block: a read past the end is seen */
        assert_non_null(cut);
        memcpy(cut, bytes, n);
        assert_int_not_equal(try_read(cut, n), LEDGE_OK);
        free(cut);
    }
    free(bytes);
}

static void every_bit_flip_is_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_sample(&size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool minor = bit / 8 == 10 || bit / 8 == 11; /* a later minor version is read */
        assert_int_equal(try_read(bytes, size) == LEDGE_OK, minor);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

static enum ledge_status try_quickly(const uint8_t *bytes, size_t size)
{
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    enum ledge_status status = ledge_file_read_quickly(bytes, size, &graph, NULL);
    ledge_graph_done(&graph);
    return status;
}

/* Read quickly, a file that changed anywhere but in its weights and its digest is refused; without
 * CRCs the digest counts again. */
static void a_quick_reader_leaves_only_the_weights_to_others(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_sample(&size);
    size_t table = 64, weights = 0, end = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t *entry = bytes + table + 32 * (size_t)i;
        if (entry[0] == 3) {
            weights = entry[8] + 256 * (size_t)entry[9];
            end = weights + entry[16] + 256 * (size_t)entry[17];
        }
    }
    assert_true(weights > 64 && end > weights && end <= size);
    size_t read = 0;
    for (size_t bit = 0; bit < size * 8; bit++) {
        size_t at = bit / 8;
        bytes[at] ^= (uint8_t)(1u << bit % 8);
        bool was_read = try_quickly(bytes, size) == LEDGE_OK;
        bool counts = at != 10 && at != 11 && !(at >= 32 && at < 64) && (at < weights || at >= end);
        bool gap = bytes[at] == (1u << bit % 8) && at >= table + 4 * 32; /* between sections */
        assert_false(was_read && counts && !gap);
        read += was_read;
        bytes[at] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(read > 100);
    for (int i = 0; i < 4; i++) {
        memset(bytes + table + 32 * (size_t)i + 24, 0, 8);
    }
    assert_int_equal(try_quickly(bytes, size), LEDGE_ERR_CORRUPT);
    ledge_sha256(bytes + 64, size - 64, bytes + 32);
    assert_int_equal(try_quickly(bytes, size), LEDGE_OK);
    bytes[weights] ^= 1;
    assert_int_equal(try_quickly(bytes, size), LEDGE_ERR_CORRUPT);
    free(bytes);
}

/* With the digest put right again, nothing but the checks stands between a flip and the engine. */
static void flips_behind_a_right_digest_are_harmless(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_sample(&size);
    size_t refused = 0;
    for (size_t bit = 64 * 8; bit < size * 8; bit += 9) { /* one in each byte, all positions */
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ledge_sha256(bytes + 64, size - 64, bytes + 32);
        refused += try_read(bytes, size) != LEDGE_OK;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > 100);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(sub_graphs_are_kept),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_flip_is_refused),
        cmocka_unit_test(a_quick_reader_leaves_only_the_weights_to_others),
        cmocka_unit_test(flips_behind_a_right_digest_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
