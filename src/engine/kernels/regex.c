/* SPDX-License-Identifier: Apache-2.0 */
/* regex.c -- see regex.h. The parser writes the program as it goes; jumps are relative, so that a
 * piece of program can be moved and copied for what repeats. */
#include "engine/kernels/regex.h"

#include <string.h>

#include "base/banned.h"

enum { TEXT_START, TEXT_END, LINE_START, LINE_END, BOUNDARY, NO_BOUNDARY };
enum { REPLACEMENT = 0xfffd, LAST = 0x10ffff, MOST_REPEATS = 1000 };

struct parser {
    struct ledge_regex *out;
    const char *at;
    bool fold, multi, dot_all;
    int32_t depth;
    const char *wrong;
};

static void fail(struct parser *p, const char *what)
{
    if (p->wrong == NULL) {
        p->wrong = what;
    }
}

/* One character of UTF-8; *n its bytes. */
static uint32_t decode(const char *text, size_t bytes, size_t *n)
{
    const uint8_t *u = (const uint8_t *)text;
    size_t length = u[0] < 0x80 ? 1 : u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    uint32_t c = u[0] < 0x80 ? u[0] : u[0] & (0x7fu >> length);
    *n = 1;
    if ((u[0] >= 0x80 && u[0] < 0xc2) || u[0] > 0xf4 || length > bytes) {
        return REPLACEMENT;
    }
    for (size_t i = 1; i < length; i++) {
        if ((u[i] & 0xc0) != 0x80) {
            return REPLACEMENT;
        }
        c = c << 6 | (u[i] & 0x3fu);
    }
    *n = length;
    return c;
}

/* -- writing the program -- */

static void emit(struct parser *p, uint8_t op, int32_t a, int32_t b)
{
    if (p->out->n_steps >= LEDGE_REGEX_MAX - 1) {
        fail(p, "too long");
        return;
    }
    p->out->steps[p->out->n_steps++] =
        (struct ledge_regex_step){.op = op, .a = (int16_t)a, .b = (int16_t)b};
}

/* The same in front of step number `at`. */
static void insert(struct parser *p, int32_t at, uint8_t op, int32_t a, int32_t b)
{
    struct ledge_regex_step *steps = p->out->steps;
    emit(p, op, a, b);
    if (p->wrong == NULL) {
        struct ledge_regex_step step = steps[p->out->n_steps - 1];
        memmove(steps + at + 1, steps + at, (size_t)(p->out->n_steps - 1 - at) * sizeof step);
        steps[at] = step;
    }
}

static void add_range(struct parser *p, uint32_t low, uint32_t high)
{
    if (p->out->n_ranges == LEDGE_REGEX_MAX) {
        fail(p, "too long");
        return;
    }
    p->out->ranges[p->out->n_ranges++] = (struct ledge_regex_range){low, high};
}

/* The ranges from number first on as one step. */
static void emit_class(struct parser *p, int32_t first, bool negated)
{
    emit(p, LEDGE_REGEX_CLASS, first, p->out->n_ranges - first);
    if (p->wrong == NULL) {
        struct ledge_regex_step *step = &p->out->steps[p->out->n_steps - 1];
        step->negated = negated;
        step->folded = p->fold;
    }
}

/* -- classes -- */

/* Pairs of ends, in order, of what a letter behind a backslash or a name in [: :] stands for. */
static const struct named {
    const char *name, *ranges;
} classes[] = {
    {"d", "09"},       {"w", "09AZ__az"},    {"s", "\t\n\f\r  "},   {"alnum", "09AZaz"},
    {"alpha", "AZaz"}, {"blank", "\t\t  "},  {"digit", "09"},       {"graph", "!~"},
    {"lower", "az"},   {"print", " ~"},      {"punct", "!/:@[`{~"}, {"space", "\t\r  "},
    {"upper", "AZ"},   {"word", "09AZ__az"}, {"xdigit", "09AFaf"},  {"ascii", "\001\177"},
};

static bool add_named(struct parser *p, const char *name, size_t n, bool negated)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strlen(classes[i].name) != n || memcmp(classes[i].name, name, n) != 0) {
            continue;
        }
        uint32_t from = 0;
        for (const char *r = classes[i].ranges; *r != '\0'; r += 2) {
            uint32_t low = (uint8_t)r[0], high = (uint8_t)r[1];
            if (!negated) {
                add_range(p, low, high);
            } else if (low > from) {
                add_range(p, from, low - 1);
            }
            from = high + 1;
        }
        if (negated) {
            add_range(p, from, LAST);
        }
        return true;
    }
    return false;
}

static uint32_t hex(struct parser *p)
{
    uint32_t value = 0;
    bool braces = *p->at == '{';
    p->at += braces;
    for (int i = 0; i < (braces ? 7 : 2); i++, p->at++) {
        char c = *p->at;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) {
            if (!braces || i == 0) {
                fail(p, "bad \\x");
            }
            break;
        }
        value = value << 4 | digit;
    }
    if (braces && *p->at++ != '}') {
        p->at--;
        fail(p, "bad \\x");
    }
    if (value > LAST) {
        fail(p, "bad \\x");
    }
    return value;
}

/* The character that stands here, escapes (behind their backslash) included. */
static uint32_t character(struct parser *p, bool escaped)
{
    static const char letters[] = "tnrfva", values[] = "\t\n\r\f\v\a";
    const char *known = escaped && *p->at != '\0' ? strchr(letters, *p->at) : NULL;
    bool letter = (*p->at >= 'a' && *p->at <= 'z') || (*p->at >= 'A' && *p->at <= 'Z') ||
                  (*p->at >= '0' && *p->at <= '9');
    size_t n;
    if (known != NULL) {
        p->at++;
        return (uint8_t)values[known - letters];
    }
    if (escaped && *p->at == 'x') {
        p->at++;
        return hex(p);
    }
    if (*p->at == '\0' || (escaped && letter)) {
        fail(p, *p->at == '\0' ? "it ends too early" : "an escape that is not known here");
        return 0;
    }
    uint32_t c = decode(p->at, strlen(p->at), &n);
    p->at += n;
    return c;
}

static bool is_class_letter(char c)
{
    return c != '\0' && strchr("dwsDWS", c) != NULL;
}

static void add_letter(struct parser *p)
{
    char c = *p->at++, low = (char)(c | 0x20);
    (void)add_named(p, &low, 1, c != low);
}

/* Behind "[". */
static void bracket(struct parser *p)
{
    int32_t first = p->out->n_ranges;
    bool negated = *p->at == '^', begin = true;
    p->at += negated;
    for (; p->wrong == NULL && (begin || *p->at != ']'); begin = false) {
        if (p->at[0] == '[' && p->at[1] == ':') {
            const char *name = p->at + 2 + (p->at[2] == '^'), *end = strstr(name, ":]");
            if (end == NULL || !add_named(p, name, (size_t)(end - name), p->at[2] == '^')) {
                fail(p, "a class that is not known");
                return;
            }
            p->at = end + 2;
            continue;
        }
        bool escaped = *p->at == '\\';
        p->at += escaped;
        if (escaped && is_class_letter(*p->at)) {
            add_letter(p);
            continue;
        }
        uint32_t low = character(p, escaped), high = low;
        if (p->at[0] == '-' && p->at[1] != ']' && p->at[1] != '\0') {
            p->at++;
            escaped = *p->at == '\\';
            p->at += escaped;
            high = character(p, escaped);
        }
        if (high < low) {
            fail(p, "a range that goes down");
        }
        add_range(p, low, high);
    }
    if (p->wrong == NULL) {
        p->at++;
        emit_class(p, first, negated);
    }
}

/* -- groups, what repeats -- */

static void alternatives(struct parser *p);

/* Behind "(?": flags, up to and with ":" or ")". True where a group follows. */
static bool flags(struct parser *p)
{
    bool on = true;
    for (;; p->at++) {
        switch (*p->at) {
        case 'i':
            p->fold = on;
            break;
        case 'm':
            p->multi = on;
            break;
        case 's':
            p->dot_all = on;
            break;
        case 'U':
            break; /* lazy: the same texts match */
        case '-':
            on = false;
            break;
        case ':':
        case ')':
            return *p->at++ == ':';
        default:
            fail(p, "a group that is not known here");
            return false;
        }
    }
}

static void group(struct parser *p)
{
    struct parser before = *p;
    if (p->at[0] == '?') {
        p->at++;
        const char *name = p->at[0] == 'P' && p->at[1] == '<'                      ? p->at + 2
                           : p->at[0] == '<' && p->at[1] != '=' && p->at[1] != '!' ? p->at + 1
                                                                                   : NULL;
        const char *end = name != NULL ? strchr(name, '>') : NULL;
        if (end != NULL) {
            p->at = end + 1;
        } else if (!flags(p)) {
            return; /* for the rest of the group around */
        }
    }
    if (++p->depth > LEDGE_REGEX_DEPTH) {
        fail(p, "groups too deep");
        return;
    }
    alternatives(p);
    if (*p->at != ')') {
        fail(p, "( without )");
        return;
    }
    p->at++;
    p->depth--;
    p->fold = before.fold;
    p->multi = before.multi;
    p->dot_all = before.dot_all;
}

static void escape(struct parser *p)
{
    static const char asserts[] = "AzbB";
    static const uint8_t kinds[] = {TEXT_START, TEXT_END, BOUNDARY, NO_BOUNDARY};
    const char *known = *p->at != '\0' ? strchr(asserts, *p->at) : NULL;
    int32_t first = p->out->n_ranges;
    if (known != NULL) {
        p->at++;
        emit(p, LEDGE_REGEX_ASSERT, kinds[known - asserts], 0);
        return;
    }
    if (is_class_letter(*p->at)) {
        add_letter(p);
    } else {
        uint32_t c = character(p, true);
        add_range(p, c, c);
    }
    emit_class(p, first, false);
}

static void atom(struct parser *p)
{
    int32_t first = p->out->n_ranges;
    switch (*p->at) {
    case '(':
        p->at++;
        group(p);
        return;
    case '[':
        p->at++;
        bracket(p);
        return;
    case '\\':
        p->at++;
        escape(p);
        return;
    case '^':
        p->at++;
        emit(p, LEDGE_REGEX_ASSERT, p->multi ? LINE_START : TEXT_START, 0);
        return;
    case '$':
        p->at++;
        emit(p, LEDGE_REGEX_ASSERT, p->multi ? LINE_END : TEXT_END, 0);
        return;
    case '.':
        p->at++;
        if (!p->dot_all) {
            add_range(p, '\n', '\n');
        }
        emit_class(p, first, true);
        return;
    case '*':
    case '+':
    case '?':
        fail(p, "nothing to repeat");
        return;
    default: {
        uint32_t c = character(p, false);
        add_range(p, c, c);
        emit_class(p, first, false);
    }
    }
}

/* {m}, {m,} or {m,n} at p->at: true and what it says, high -1 for no end; else it is a text. */
static bool counts(struct parser *p, int32_t *low, int32_t *high)
{
    const char *at = p->at + 1;
    int32_t value[2] = {-1, -1};
    int k = 0;
    for (; *at != '}'; at++) {
        if (*at == ',' && k == 0 && value[0] >= 0) {
            k = 1;
        } else if (*at >= '0' && *at <= '9') {
            value[k] = (value[k] < 0 ? 0 : value[k]) * 10 + (*at - '0');
            if (value[k] > MOST_REPEATS) {
                fail(p, "too many repeats");
                return true;
            }
        } else {
            return false;
        }
    }
    if (value[0] < 0) {
        return false;
    }
    *low = value[0];
    *high = k == 0 ? value[0] : value[1];
    if (*high >= 0 && *high < *low) {
        fail(p, "repeats that go down");
    }
    p->at = at + 1;
    return true;
}

static void copy(struct parser *p, int32_t from, int32_t n)
{
    for (int32_t i = 0; i < n && p->wrong == NULL; i++) {
        struct ledge_regex_step step = p->out->steps[from + i];
        emit(p, step.op, step.a, step.b);
        if (p->wrong == NULL) {
            p->out->steps[p->out->n_steps - 1] = step;
        }
    }
}

/* The n steps at the end, as often as said. */
static void repeat(struct parser *p, int32_t from, int32_t low, int32_t high)
{
    int32_t n = p->out->n_steps - from;
    struct ledge_regex *out = p->out;
    if (high == 0) {
        out->n_steps = from;
        return;
    }
    for (int32_t i = 1; i < (low > 0 ? low : 1); i++) {
        copy(p, from, n);
    }
    int32_t last = out->n_steps - n;
    if (high < 0 && low > 0) {
        emit(p, LEDGE_REGEX_SPLIT, -n, 1);
    } else if (high < 0) {
        insert(p, from, LEDGE_REGEX_SPLIT, 1, n + 2);
        emit(p, LEDGE_REGEX_JUMP, -n - 1, 0);
    } else {
        if (low == 0) {
            insert(p, last, LEDGE_REGEX_SPLIT, 1, n + 1);
        }
        for (int32_t i = low > 0 ? low : 1; i < high && p->wrong == NULL; i++) {
            emit(p, LEDGE_REGEX_SPLIT, 1, n + 1);
            copy(p, low == 0 ? from + 1 : from, n);
        }
    }
}

static void sequence(struct parser *p)
{
    while (p->wrong == NULL && *p->at != '\0' && *p->at != '|' && *p->at != ')') {
        int32_t from = p->out->n_steps, low = 1, high = 1;
        atom(p);
        bool repeats = true;
        if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
            low = *p->at == '+';
            high = *p->at == '?' ? 1 : -1;
            p->at++;
        } else {
            repeats = *p->at == '{' && counts(p, &low, &high);
        }
        if (repeats && p->wrong == NULL) {
            p->at += *p->at == '?';
            repeat(p, from, low, high);
            if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
                fail(p, "two repeats of one thing");
            }
        }
    }
}

static void alternatives(struct parser *p)
{
    int32_t chain = -1; /* jumps to the end, each with the distance to the one before in b */
    int32_t from = p->out->n_steps;
    sequence(p);
    while (p->wrong == NULL && *p->at == '|') {
        p->at++;
        insert(p, from, LEDGE_REGEX_SPLIT, 1, p->out->n_steps - from + 2);
        int32_t jump = p->out->n_steps;
        emit(p, LEDGE_REGEX_JUMP, 0, chain < 0 ? 0 : jump - chain);
        chain = jump;
        from = p->out->n_steps;
        sequence(p);
    }
    while (p->wrong == NULL && chain >= 0) {
        struct ledge_regex_step *jump = &p->out->steps[chain];
        jump->a = (int16_t)(p->out->n_steps - chain);
        chain = jump->b == 0 ? -1 : chain - jump->b;
    }
}

const char *ledge_regex_compile(struct ledge_regex *regex, const char *pattern, int32_t *at)
{
    struct parser p = {.out = regex, .at = pattern};
    regex->n_steps = regex->n_ranges = 0;
    alternatives(&p);
    if (*p.at != '\0') {
        fail(&p, ") without (");
    }
    if (p.wrong == NULL) {
        regex->steps[regex->n_steps++] = (struct ledge_regex_step){.op = LEDGE_REGEX_MATCH};
    }
    *at = (int32_t)(p.at - pattern);
    return p.wrong;
}

/* -- running it -- */

struct machine {
    const struct ledge_regex *regex;
    uint32_t *seen; /* per step: the last character number + 1 at which it was added */
    int16_t *now, *next, *stack;
    int32_t n_next;
};

size_t ledge_regex_scratch(const struct ledge_regex *regex)
{
    /* Each step is on the stack at most twice. */
    return (size_t)regex->n_steps * (sizeof(uint32_t) + 4 * sizeof(int16_t)) + sizeof(int16_t);
}

static bool is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* before and after: the characters around; LAST + 1: none. */
static bool holds(int32_t what, uint32_t before, uint32_t after)
{
    switch (what) {
    case TEXT_START:
        return before > LAST;
    case TEXT_END:
        return after > LAST;
    case LINE_START:
        return before > LAST || before == '\n';
    case LINE_END:
        return after > LAST || after == '\n';
    default:
        return (is_word(before) != is_word(after)) == (what == BOUNDARY);
    }
}

static bool in_class(const struct ledge_regex *regex, const struct ledge_regex_step *step,
                     uint32_t c)
{
    bool letter = step->folded && ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c < 0x80;
    bool in = false;
    for (int32_t i = 0; i < step->b; i++) {
        const struct ledge_regex_range *r = &regex->ranges[step->a + i];
        in = in || (c >= r->low && c <= r->high) ||
             (letter && (c ^ 0x20) >= r->low && (c ^ 0x20) <= r->high);
    }
    return in != step->negated;
}

/* Add step `from` and all it leads to without a character, at place number `at` of the text. */
static void add(struct machine *m, int32_t from, uint32_t at, uint32_t before, uint32_t after)
{
    const struct ledge_regex_step *steps = m->regex->steps;
    int32_t n = 0;
    m->stack[n++] = (int16_t)from;
    while (n > 0) {
        int32_t i = m->stack[--n];
        if (m->seen[i] == at) {
            continue;
        }
        m->seen[i] = at;
        const struct ledge_regex_step *step = &steps[i];
        if (step->op == LEDGE_REGEX_JUMP || step->op == LEDGE_REGEX_SPLIT) {
            m->stack[n++] = (int16_t)(i + step->a);
            if (step->op == LEDGE_REGEX_SPLIT) {
                m->stack[n++] = (int16_t)(i + step->b);
            }
        } else if (step->op != LEDGE_REGEX_ASSERT) {
            m->next[m->n_next++] = (int16_t)i;
        } else if (holds(step->a, before, after)) {
            m->stack[n++] = (int16_t)(i + 1);
        }
    }
}

bool ledge_regex_match(const struct ledge_regex *regex, const char *text, size_t bytes,
                       void *scratch)
{
    size_t steps = (size_t)regex->n_steps, n = 0, taken = 0;
    struct machine m = {.regex = regex, .seen = scratch};
    m.now = (int16_t *)(void *)(m.seen + steps);
    m.next = m.now + steps;
    m.stack = m.next + steps;
    memset(m.seen, 0, steps * sizeof *m.seen);
    uint32_t before = LAST + 1, c = bytes > 0 ? decode(text, bytes, &n) : LAST + 1;
    uint32_t place = 1;
    add(&m, 0, place, before, c);
    while (taken < bytes && m.n_next > 0) {
        int16_t *swap = m.now;
        int32_t n_now = m.n_next;
        uint32_t current = c;
        taken += n;
        m.now = m.next;
        m.next = swap;
        m.n_next = 0;
        c = taken < bytes ? decode(text + taken, bytes - taken, &n) : LAST + 1;
        if (++place == 0) { /* the mark of each place is another one */
            memset(m.seen, 0, steps * sizeof *m.seen);
            place = 1;
        }
        for (int32_t i = 0; i < n_now; i++) {
            const struct ledge_regex_step *step = &regex->steps[m.now[i]];
            if (step->op == LEDGE_REGEX_CLASS && in_class(regex, step, current)) {
                add(&m, m.now[i] + 1, place, current, c);
            }
        }
    }
    bool matches = false;
    for (int32_t i = 0; taken == bytes && i < m.n_next; i++) {
        matches = matches || regex->steps[m.next[i]].op == LEDGE_REGEX_MATCH;
    }
    return matches;
}

enum ledge_status ledge_regex_c(const struct ledge_kernel_call *call)
{
    const struct ledge_string *in = call->in[0]->data;
    uint8_t *out = call->out[0]->data;
    int64_t n = ledge_view_count(call->in[0]);
    for (int64_t i = 0; i < n; i++) {
        out[i] = ledge_regex_match(call->params, in[i].text, in[i].bytes, call->scratch);
    }
    return LEDGE_OK;
}
