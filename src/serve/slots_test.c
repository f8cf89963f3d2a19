/* SPDX-License-Identifier: Apache-2.0 */
/* slots_test.c -- flips, references and counters, with versions that have no model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/slots.h"

static struct serve_slots slots;
static int n_drained;

static int set_up(void **state)
{
    (void)state;
    serve_slots_init(&slots);
    n_drained = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    serve_slots_done(&slots);
    return 0;
}

static struct serve_version *version_of(const char *name, int number)
{
    struct serve_version *version = calloc(1, sizeof(*version));
    assert_non_null(version);
    snprintf(version->name, sizeof(version->name), "%s", name);
    snprintf(version->version, sizeof(version->version), "%d", number);
    return version;
}

static void on_drained(void *arg)
{
    n_drained++;
    free(arg);
}

static struct serve_slot *slot_of(const char *name)
{
    struct serve_slot *slot = NULL;
    assert_int_equal(serve_slots_get(&slots, name, &slot, NULL), LEDGE_OK);
    return slot;
}

static void old_version_lives_until_its_last_request(void **state)
{
    (void)state;
    struct serve_version *one = version_of("m", 1), *two = version_of("m", 2), *old = NULL;
    struct serve_slot *slot = slot_of("m");
    assert_int_equal(serve_slot_flip(slot, one, &old, NULL), LEDGE_OK);
    assert_null(old);
    serve_version_ref(one);
    serve_version_ref(one);
    assert_int_equal(serve_slot_flip(slot, two, &old, NULL), LEDGE_OK);
    assert_ptr_equal(old, one);
    assert_ptr_equal(slot->current, two);
    serve_version_retire(one, on_drained, one);
    assert_int_equal(n_drained, 0);
    serve_count(slot, one, 200, 1000, NULL);
    serve_version_unref(one);
    assert_int_equal(n_drained, 0);
    serve_version_unref(one);
    assert_int_equal(n_drained, 1);
    assert_int_equal(serve_slot_answers(slot, true), 1);
    serve_version_retire(serve_slot_empty(slot), on_drained, two);
    assert_int_equal(n_drained, 2);
    assert_null(slot->current);
}

/* Counters of versions that are gone are forgotten, oldest first; those in use never. */
static void counters_are_bounded(void **state)
{
    (void)state;
    struct serve_slot *slot = slot_of("m");
    struct serve_version *held = version_of("m", 0), *old = NULL;
    assert_int_equal(serve_slot_flip(slot, held, &old, NULL), LEDGE_OK);
    serve_version_ref(held);
    serve_count(slot, held, 503, 0, NULL);
    for (int i = 1; i <= 40; i++) {
        struct serve_version *version = version_of("m", i);
        assert_int_equal(serve_slot_flip(slot, version, &old, NULL), LEDGE_OK);
        serve_count(slot, version, 200, 1000, NULL);
        serve_version_retire(old, on_drained, old);
    }
    assert_int_equal(slot->n_counted, SERVE_MAX_COUNTED);
    assert_int_equal(serve_slot_answers(slot, false), 1);
    assert_int_equal(serve_slot_answers(slot, true), SERVE_MAX_COUNTED - 1);
    assert_int_equal(n_drained, 39);
    serve_version_unref(held);
    old = serve_slot_empty(slot);
    serve_version_retire(old, on_drained, old);
    assert_int_equal(n_drained, 41);
}

static void too_many_versions_in_use_change_nothing(void **state)
{
    (void)state;
    struct serve_slot *slot = slot_of("m");
    struct serve_version *held[SERVE_MAX_COUNTED], *old = NULL;
    for (int i = 0; i < SERVE_MAX_COUNTED; i++) {
        held[i] = version_of("m", i);
        assert_int_equal(serve_slot_flip(slot, held[i], &old, NULL), LEDGE_OK);
        serve_version_ref(held[i]);
        if (old != NULL) {
            serve_version_retire(old, on_drained, old);
        }
    }
    struct serve_version *more = version_of("m", 99);
    assert_int_equal(serve_slot_flip(slot, more, &old, NULL), LEDGE_ERR_NOMEM);
    assert_ptr_equal(slot->current, held[SERVE_MAX_COUNTED - 1]);
    free(more);
    old = serve_slot_empty(slot);
    serve_version_retire(old, on_drained, old);
    for (int i = 0; i < SERVE_MAX_COUNTED; i++) {
        serve_version_unref(held[i]);
    }
    assert_int_equal(n_drained, SERVE_MAX_COUNTED);
}

static void full_table_forgets_idle_models_only(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < SERVE_MAX_SLOTS; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        slot_of(name)->loading = i == 5 ? 0 : 1;
    }
    struct serve_slot *slot = slot_of("new");
    assert_ptr_equal(serve_slots_find(&slots, "new"), slot);
    assert_null(serve_slots_find(&slots, "m5"));
    slot->pending = 1;
    struct ledge_error err;
    assert_int_equal(serve_slots_get(&slots, "newer", &slot, &err), LEDGE_ERR_FULL);
}

static void counts_codes(void **state)
{
    (void)state;
    struct serve_slot *slot = slot_of("m");
    struct serve_version *version = version_of("m", 1), *old = NULL;
    const int64_t stages[SERVE_STAGES] = {10, 20, 30, 40};
    assert_int_equal(serve_slot_flip(slot, version, &old, NULL), LEDGE_OK);
    serve_count(slot, version, 200, 5000, stages);
    slot->loading = 1;
    serve_count(slot, version, 200, 7000, stages);
    for (int code = 400; code < 420; code++) {
        serve_count(slot, version, code, 100, NULL);
    }
    assert_int_equal(serve_slot_answers(slot, true), 2);
    assert_int_equal(serve_slot_answers(slot, false), 20);
    assert_int_equal(slot->during.count, 21);
    assert_int_equal(version->counts->stages[SERVE_COMPUTE].count, 2);
    serve_version_retire(serve_slot_empty(slot), on_drained, version);
}

static void knows_names(void **state)
{
    (void)state;
    assert_true(serve_name_ok("mobilenet_v2.1-quant"));
    assert_false(serve_name_ok(""));
    assert_false(serve_name_ok("."));
    assert_false(serve_name_ok(".."));
    assert_false(serve_name_ok("a/b"));
    assert_false(serve_name_ok("a\"b"));
    assert_false(
        serve_name_ok("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(old_version_lives_until_its_last_request, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(counters_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_versions_in_use_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_table_forgets_idle_models_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_codes, set_up, tear_down),
        cmocka_unit_test(knows_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
