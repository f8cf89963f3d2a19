/* SPDX-License-Identifier: Apache-2.0 */
/* messages_test.c -- hello, ack, log-request there and back; the table of states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fleet/deploy_states.h"
#include "fleet/messages.h"

#define EPOCH "00112233445566778899aabbccddeeff"

static void hello_there_and_back(void **state)
{
    struct fleet_hello hello = {.online = true,
                                .boot = "ab12",
                                .gen = 6,
                                .seen = 7,
                                .state = "FETCHING",
                                .epoch = EPOCH,
                                .next = 100,
                                .acked = 90,
                                .agent = "0.1.0",
                                .cpu = "avx512vnni"};
    struct ledge_buf text = LEDGE_BUF_INIT(1024);
    struct fleet_hello back;
    (void)state;
    memset(&back, 0, sizeof back);
    assert_true(fleet_hello_write(&hello, &text));
    assert_int_equal(fleet_hello_parse(text.data, text.len, &back, NULL), LEDGE_OK);
    assert_true(back.online);
    assert_string_equal(back.boot, "ab12");
    assert_int_equal(back.seen, 7);
    assert_string_equal(back.state, "FETCHING");
    assert_string_equal(back.epoch, EPOCH);
    assert_int_equal(back.next, 100);
    assert_int_equal(back.acked, 90);
    assert_string_equal(back.cpu, "avx512vnni");
    ledge_buf_clear(&text);
    hello.online = false;
    assert_true(fleet_hello_write(&hello, &text));
    assert_string_equal(text.data, "{\"v\":1,\"online\":false}");
    assert_int_equal(fleet_hello_parse(text.data, text.len, &back, NULL), LEDGE_OK);
    assert_false(back.online);
    ledge_buf_done(&text);
}

static void hostile_messages(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"v\":2,\"online\":false}",
        "{\"v\":1,\"online\":1}",
        "{\"v\":1,\"online\":true}",
        "{\"v\":1,\"online\":true,\"boot\":\"<script>\",\"gen\":1,\"seen\":1,\"state\":\"IDLE\","
        "\"epoch\":\"" EPOCH "\",\"next\":1,\"acked\":0,\"agent\":\"1\",\"cpu\":\"c\"}",
        "{\"v\":1,\"online\":true,\"boot\":\"a\",\"gen\":-1,\"seen\":1,\"state\":\"IDLE\","
        "\"epoch\":\"" EPOCH "\",\"next\":1,\"acked\":0,\"agent\":\"1\",\"cpu\":\"c\"}",
    };
    struct fleet_hello hello;
    struct fleet_ack ack;
    struct fleet_log_request request;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_not_equal(fleet_hello_parse(bad[i], strlen(bad[i]), &hello, NULL), LEDGE_OK);
        assert_int_not_equal(fleet_ack_parse(bad[i], strlen(bad[i]), &ack, NULL), LEDGE_OK);
        assert_int_not_equal(fleet_log_request_parse(bad[i], strlen(bad[i]), &request, NULL),
                             LEDGE_OK);
    }
}

static void ack_and_log_request(void **state)
{
    struct fleet_ack ack = {.epoch = EPOCH, .seq = 42};
    struct fleet_log_request request = {.function = "watch", .limit = 10};
    struct ledge_buf text = LEDGE_BUF_INIT(1024);
    (void)state;
    assert_true(fleet_ack_write(&ack, &text));
    ack.seq = 0;
    assert_int_equal(fleet_ack_parse(text.data, text.len, &ack, NULL), LEDGE_OK);
    assert_int_equal(ack.seq, 42);
    ledge_buf_clear(&text);
    assert_true(fleet_log_request_write(&request, &text));
    request.limit = 0;
    assert_int_equal(fleet_log_request_parse(text.data, text.len, &request, NULL), LEDGE_OK);
    assert_int_equal(request.limit, 10);
    static const char without[] = "{\"v\":1,\"function\":\"watch\"}";
    assert_int_equal(fleet_log_request_parse(without, sizeof without - 1, &request, NULL),
                     LEDGE_OK);
    assert_int_equal(request.limit, 200);
    ledge_buf_done(&text);
}

static void the_table_of_states_is_closed(void **state)
{
    (void)state;
    for (int i = 0; i < FLEET_STATE_COUNT; i++) {
        const struct fleet_state_row *row = fleet_state_row((enum fleet_deploy_state)i);
        assert_int_equal(fleet_state_parse(row->name), i);
        assert_in_range(row->on_error, 0, FLEET_STATE_COUNT - 1);
        /* Following on_error always ends in a state that nothing is under way in. */
        int at = i;
        for (int steps = 0; steps < FLEET_STATE_COUNT; steps++) {
            at = (int)fleet_state_row((enum fleet_deploy_state)at)->on_error;
        }
        assert_int_equal(fleet_state_row((enum fleet_deploy_state)at)->on_kill, FLEET_KILL_STAY);
    }
    assert_int_equal(fleet_state_parse("trial"), FLEET_STATE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_there_and_back),
        cmocka_unit_test(hostile_messages),
        cmocka_unit_test(ack_and_log_request),
        cmocka_unit_test(the_table_of_states_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
