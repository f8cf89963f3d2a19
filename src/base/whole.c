/* SPDX-License-Identifier: Apache-2.0 */
#include "base/whole.h"

#include "base/status.h"

bool ledge_whole_read(const char *text, int64_t low, int64_t high, int64_t *value)
{
    bool negative = text[0] == '-';
    const char *at = text + (negative ? 1 : 0);
    int64_t sum = 0; /* of the digits, below zero: INT64_MIN has no counterpart above */
    if (*at == '\0') {
        return false;
    }
    for (; *at != '\0'; at++) {
        int digit = *at - '0';
        if (digit < 0 || digit > 9 || sum < (INT64_MIN + digit) / 10) {
            return false;
        }
        sum = 10 * sum - digit;
    }
    if (!negative && sum == INT64_MIN) {
        return false;
    }
    sum = negative ? sum : -sum;
    if (sum < low || sum > high) {
        return false;
    }
    *value = sum;
    return true;
}

enum ledge_status ledge_whole_option(const char *name, const char *text, int64_t low, int64_t high,
                                     int64_t *value, struct ledge_error *err)
{
    if (!ledge_whole_read(text, low, high, value)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: '%s' is not a whole number from %lld to %lld",
                          name, text, (long long)low, (long long)high);
    }
    return LEDGE_OK;
}
