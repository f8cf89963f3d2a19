/* SPDX-License-Identifier: Apache-2.0 */
/* state_test.c -- values kept from run to run: delays, swaps, reset, files, and what is refused. */
#include "engine/run/testing.h"

#include <stdlib.h>

#include "engine/format/ledge_file.h"

/* y = x(t-2) + x(t-1); the state of the older one is an output as it stands. Begins with 5 and 0.
 */
static void delay_line(struct test_net *net, const float *x)
{
    const float five = 5;
    int32_t in = test_input(net, LEDGE_F32, TEST_SHAPE(1), x);
    int32_t last = ledge_graph_add_value(&net->graph, "last", LEDGE_F32, TEST_SHAPE(1));
    int32_t older = ledge_graph_add_value(&net->graph, "older", LEDGE_F32, TEST_SHAPE(1));
    int32_t init = test_constant(net, LEDGE_F32, TEST_SHAPE(1), &five);
    assert_int_equal(ledge_graph_add_state(&net->graph, (struct ledge_state){last, in, init}), 0);
    assert_int_equal(ledge_graph_add_state(&net->graph, (struct ledge_state){older, last, -1}), 1);
    test_output(net, test_node(net, "", "Add", 2, TEST_VALUES(older, last)));
    test_output(net, older);
}

static void expect(struct test_net *net, float sum, float older)
{
    assert_int_equal(ledge_run_once(net->run, &net->err), LEDGE_OK);
    assert_true(*(const float *)test_result(net, 0, TEST_SHAPE(1)) == sum);
    assert_true(*(const float *)test_result(net, 1, TEST_SHAPE(1)) == older);
}

static void a_delay_line_keeps_and_resets(void **state)
{
    (void)state;
    struct test_net net;
    float x = 1;
    test_init(&net);
    delay_line(&net, &x);
    test_run(&net, LEDGE_RUNG_C, 1); /* reads 5, 0 */
    x = 2;
    expect(&net, 1 + 5, 5);
    x = 3;
    expect(&net, 2 + 1, 1);
    expect(&net, 3 + 2, 2);
    ledge_run_reset(net.run);
    expect(&net, 5 + 0, 0);
    test_done(&net);
}

static void states_survive_a_file(void **state)
{
    (void)state;
    struct test_net net, again;
    const float x = 7;
    size_t size;
    test_init(&net);
    delay_line(&net, &x);
    assert_int_equal(ledge_file_write(&net.graph, NULL, &size, NULL), LEDGE_OK);
    uint8_t *bytes = NULL;
    assert_int_equal(posix_memalign((void **)&bytes, 64, size), 0);
    assert_int_equal(ledge_file_write(&net.graph, bytes, &size, NULL), LEDGE_OK);
    test_init(&again);
    assert_int_equal(ledge_file_read(bytes, size, &again.graph, &again.err), LEDGE_OK);
    assert_int_equal(again.graph.n_states, 2);
    again.data[0] = &x;
    test_run(&again, LEDGE_RUNG_C, 1);
    assert_true(*(const float *)test_result(&again, 0, TEST_SHAPE(1)) == 5);
    expect(&again, 7 + 5, 5);
    test_done(&again);
    test_done(&net);
    free(bytes);
}

/* Each becomes the other: neither may be overwritten before it was read. */
static void two_states_swap(void **state)
{
    (void)state;
    struct test_net net;
    const float values[2] = {1, 2};
    int32_t in[2];
    test_init(&net);
    for (int i = 0; i < 2; i++) {
        in[i] = ledge_graph_add_value(&net.graph, NULL, LEDGE_F32, TEST_SHAPE(1));
    }
    for (int i = 0; i < 2; i++) {
        int32_t init = test_constant(&net, LEDGE_F32, TEST_SHAPE(1), &values[i]);
        assert_true(
            ledge_graph_add_state(&net.graph, (struct ledge_state){in[i], in[1 - i], init}) == i);
    }
    test_output(&net, test_node(&net, "", "Sub", 2, in));
    test_output(&net, in[0]);
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_true(*(const float *)test_result(&net, 0, TEST_SHAPE(1)) == -1);
    expect(&net, 1, 2);
    expect(&net, -1, 1);
    test_done(&net);
}

static enum ledge_status plan_with(struct ledge_state wrong, int32_t rank, int64_t dim)
{
    struct test_net net;
    const float x[2] = {1, 2};
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(2), x);
    int32_t kept = ledge_graph_add_value(&net.graph, NULL, LEDGE_F32, rank, TEST_DIMS(dim));
    assert_true(in == 0 && kept == 1);
    test_output(&net, test_node(&net, "", "Add", 2, TEST_VALUES(in, kept)));
    assert_true(ledge_graph_add_state(&net.graph, wrong) == 0);
    enum ledge_status status = ledge_graph_sort(&net.graph, &net.err);
    status = status == LEDGE_OK ? test_try(&net, LEDGE_RUNG_C, 1) : status;
    test_done(&net);
    return status;
}

static void wrong_states_are_refused(void **state)
{
    (void)state;
    assert_int_equal(plan_with((struct ledge_state){1, 2, -1}, 1, 2), LEDGE_OK);
    assert_int_equal(plan_with((struct ledge_state){1, 2, -1}, 1, 1), LEDGE_ERR_SHAPE); /* grows */
    assert_int_equal(plan_with((struct ledge_state){1, 2, -1}, 1, -1), LEDGE_ERR_SHAPE);
    assert_int_equal(plan_with((struct ledge_state){1, 2, -1}, -1, 0), LEDGE_ERR_SHAPE);
    assert_int_equal(plan_with((struct ledge_state){1, 2, -1}, 1, INT64_MAX), LEDGE_ERR_SHAPE);
    assert_int_equal(plan_with((struct ledge_state){1, 99, -1}, 1, 2), LEDGE_ERR_FORMAT);
    assert_int_equal(plan_with((struct ledge_state){99, 2, -1}, 1, 2), LEDGE_ERR_FORMAT);
    assert_int_equal(plan_with((struct ledge_state){1, 2, 0}, 1, 2), LEDGE_ERR_FORMAT); /* input */
    assert_int_equal(plan_with((struct ledge_state){2, 2, -1}, 1, 2), LEDGE_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delay_line_keeps_and_resets),
        cmocka_unit_test(states_survive_a_file),
        cmocka_unit_test(two_states_swap),
        cmocka_unit_test(wrong_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
