/* SPDX-License-Identifier: Apache-2.0 */
/* regex_test.c -- what matches and what does not, by RE2's rules; patterns that are refused; texts
 * and patterns on which a backtracking matcher would take for ever. */
#include "engine/kernels/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ledge_regex_step steps[LEDGE_REGEX_MAX];
static struct ledge_regex_range ranges[LEDGE_REGEX_MAX];

static bool matches(const char *pattern, const char *text)
{
    struct ledge_regex regex = {.steps = steps, .ranges = ranges};
    int32_t at = 0;
    const char *wrong = ledge_regex_compile(&regex, pattern, &at);
    if (wrong != NULL) {
        fail_msg("%s, at %d: %s", pattern, (int)at, wrong);
    }
    size_t n = strlen(text);
    char *exact = malloc(n + 1), *scratch = malloc(ledge_regex_scratch(&regex));
    assert_true(exact != NULL && scratch != NULL);
    memcpy(exact, text, n); /* no byte behind the text is read */
    bool found = ledge_regex_match(&regex, exact, n, scratch);
    free(exact);
    free(scratch);
    return found;
}

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *yes, *no; /* texts parted by /, NULL: none */
    } cases[] = {
        {"", "", "a"},
        {"abc", "abc", "ab/abcd/"},
        {"a|bc|", "a/bc/", "b/abc"},
        {"(a|b)*c", "c/ababc", "ab/abca"},
        {"a+b?", "a/aab", "b/abb/"},
        {"a*", "/aaa", "b"},
        {"(a*)*b", "b/aab", "a"},
        {"(|a)+", "/aa", "b"},
        {"a{2}", "aa", "a/aaa"},
        {"a{2,}", "aa/aaaa", "a"},
        {"(ab){1,3}", "ab/ababab", "/abababab"},
        {"(ab|c){0,2}d", "d/abd/cabd", "cccd"},
        {"x{0}y", "y", "xy"},
        {"a{,2}", "a{,2}", "a"},
        {"a+?b*?", "aab/a", "b"},
        {"[a-cx]+", "abcx", "d/"},
        {"[^a-c]", "d/\n", "a/dd"},
        {"[]a]+", "]a", "b"},
        {"[a\\]-]+", "a]-", "b"},
        {"[\\d_]+\\D", "1_2x", "123"},
        {"[[:alpha:]]+[[:^digit:]]", "ab", "a1"},
        {"\\w+\\s\\W", "a_9 !", "a_9!"},
        {".+", "a\u00e9\u4e2d", "/\n"},
        {"(?s).+", "a\n", ""},
        {"^a$", "a", "b"},
        {"a^b", NULL, "ab"},
        {"(?m)a$\n^b", "a\nb", "ab"},
        {"(?i)hEll[o-p]", "HELLO/hellP", "hell"},
        {"(?i:a)b", "Ab/ab", "aB"},
        {"a(?i)b", "aB", "AB"},
        {"(?P<name>a)(?<other>b)(?:c)", "abc", "ab"},
        {"\\bfoo\\b.*", "foo/foo bar", "foob"},
        {"a\\Bb", "ab", "a b"},
        {"\\Aa\\z", "a", "aa"},
        {"\\x41\\x{4e2d}\\t", "A\u4e2d\t", "A"},
        {"[\\x00-\\x7f]", "a", "\u00e9"},
        {"\u00e9?[\u00e0-\u00ef]", "\u00e9/\u00e9\u00e8", "e"},
        {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "a.b@gmail.com/@yahoo.com ",
         "a@hotmail.com/account@gmail.co"},
        {"www\\.[\\w.-]+\\.\\bcom\\b", "www.google.com", "www.com/www.g.comx"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int no = 0; no < 2; no++) {
            const char *at = no ? cases[i].no : cases[i].yes;
            while (at != NULL) {
                char text[64] = "";
                size_t n = strcspn(at, "/");
                memcpy(text, at, n);
                if (matches(cases[i].pattern, text) != !no) {
                    fail_msg("%s against '%s'", cases[i].pattern, text);
                }
                at += n;
                if (*at == '\0') {
                    break;
                }
                at++;
            }
        }
    }
    assert_true(matches("\\.\\*\\\\/", ".*\\/"));
    assert_true(matches(".", "\xff")); /* no UTF-8: one character */
    assert_true(matches("\\x{fffd}.", "\xe4x"));
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "(",  "a)",     "[",     "[b-a]", "*a",     "a**",  "a{3,2}",          "a{1001}",
        "\\", "\\p{L}", "\\Qa",  "(?=a)", "(?<=a)", "(?x)", "[[:nothing:]]",   "\\x{110000}",
        "[a", "\\8",    "(?P<a", "[a-",   "\\x4",   "(?",   "((a{900}){900})", "[\\q]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ledge_regex regex = {.steps = steps, .ranges = ranges};
        int32_t at = 0;
        if (ledge_regex_compile(&regex, bad[i], &at) == NULL) {
            fail_msg("%s was taken", bad[i]);
        }
    }
    char deep[2 * LEDGE_REGEX_DEPTH + 8] = "";
    memset(deep, '(', LEDGE_REGEX_DEPTH + 1);
    struct ledge_regex regex = {.steps = steps, .ranges = ranges};
    int32_t at = 0;
    assert_non_null(ledge_regex_compile(&regex, deep, &at));
}

static void test_long_texts(void **state)
{
    (void)state;
    static char text[20001];
    memset(text, 'a', sizeof text - 1);
    assert_false(matches("(a*)*b", text));
    assert_false(matches("(a|aa)+$b", text));
    assert_true(matches("(a?){200}a*", text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
