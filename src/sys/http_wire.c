/* SPDX-License-Identifier: Apache-2.0 */
/* http_wire.c -- heads, bodies and URLs. Source: RFC 9112 sections 2 to 7 (messages), RFC 3986
 * (URLs). */
#include "sys/http_wire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/status.h"
#include "base/whole.h"

enum { MAX_EXTRA = 8192 };

/* tchar of RFC 9110 section 5.6.2 */
static bool is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return n > 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    unsigned char low = (unsigned char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static bool version_of(const char *text, struct sys_http_head *head)
{
    if (strncmp(text, "HTTP/1.", 7) != 0 || !is_digit(text[7])) {
        return false;
    }
    head->minor = text[7] - '0';
    return true;
}

/* METHOD SP target SP HTTP/1.x */
static enum ledge_status request_line(struct sys_http_head *head, char *line,
                                      struct ledge_error *err)
{
    char *target = strchr(line, ' ');
    char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
    if (version == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "the request line has no three parts");
    }
    *target++ = '\0';
    *version++ = '\0';
    if (!is_token(line, strlen(line)) || strlen(line) > 16 || *target == '\0' ||
        strlen(version) != 8 || !version_of(version, head)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "the request line is not HTTP/1.1");
    }
    head->method = line;
    head->target = target;
    return LEDGE_OK;
}

/* HTTP/1.x SP 3 digits [SP reason] */
static enum ledge_status status_line(struct sys_http_head *head, const char *line,
                                     struct ledge_error *err)
{
    if (!version_of(line, head) || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) ||
        !is_digit(line[11]) || (line[12] != ' ' && line[12] != '\0')) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "the answer is not HTTP/1.1");
    }
    head->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (head->status < 100) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "status %d in the answer", head->status);
    }
    return LEDGE_OK;
}

static enum ledge_status field_line(struct sys_http_head *head, char *line, struct ledge_error *err)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || !is_token(line, (size_t)(colon - line))) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "header line %zu is malformed",
                          head->n_fields + 1);
    }
    if (head->n_fields == SYS_HTTP_MAX_FIELDS) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "more than %d header lines", SYS_HTTP_MAX_FIELDS);
    }
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t n = strlen(value);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t')) {
        n--;
    }
    value[n] = '\0';
    head->fields[head->n_fields++] = (struct sys_http_field){line, value};
    return LEDGE_OK;
}

static enum ledge_status parse_lines(struct sys_http_head *head, size_t n, bool request,
                                     struct ledge_error *err)
{
    char *end = head->text + n;
    char *line = head->text;
    for (bool first = true; line < end; first = false) {
        char *stop = memchr(line, '\r', (size_t)(end - line));
        if (stop == NULL || stop + 1 >= end || stop[1] != '\n') {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "a header line does not end in CR LF");
        }
        *stop = '\0';
        for (const char *c = line; c < stop; c++) {
            if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) {
                return ledge_fail(err, LEDGE_ERR_FORMAT, "a control character in the header");
            }
        }
        if (first) {
            LEDGE_TRY(request ? request_line(head, line, err) : status_line(head, line, err));
        } else if (line < stop) {
            LEDGE_TRY(field_line(head, line, err));
        }
        line = stop + 2;
    }
    return LEDGE_OK;
}

enum ledge_status sys_http_head_parse(struct sys_http_head *head, const void *bytes, size_t n,
                                      bool request, struct ledge_error *err)
{
    *head = (struct sys_http_head){.text = malloc(n + 16)};
    if (head->text == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a header of %zu bytes", n);
    }
    memcpy(head->text, bytes, n);
    memset(head->text + n, 0, 16); /* so that fixed offsets of a short first line stay inside */
    enum ledge_status status = n < 4 ? ledge_fail(err, LEDGE_ERR_FORMAT, "an empty header")
                                     : parse_lines(head, n, request, err);
    if (status == LEDGE_OK && (request ? head->method == NULL : head->status == 0)) {
        status = ledge_fail(err, LEDGE_ERR_FORMAT, "an empty header");
    }
    if (status != LEDGE_OK) {
        sys_http_head_done(head);
    }
    return status;
}

void sys_http_head_done(struct sys_http_head *head)
{
    free(head->text);
    *head = (struct sys_http_head){0};
}

const char *sys_http_head_field(const struct sys_http_head *head, const char *name)
{
    for (size_t i = 0; i < head->n_fields; i++) {
        if (strcasecmp(head->fields[i].name, name) == 0) {
            return head->fields[i].value;
        }
    }
    return NULL;
}

bool sys_http_head_lists(const struct sys_http_head *head, const char *name, const char *token)
{
    size_t length = strlen(token);
    for (size_t i = 0; i < head->n_fields; i++) {
        if (strcasecmp(head->fields[i].name, name) != 0) {
            continue;
        }
        for (const char *at = head->fields[i].value; *at != '\0';) {
            at += strspn(at, ", \t");
            size_t n = strcspn(at, ", \t");
            if (n == length && strncasecmp(at, token, n) == 0) {
                return true;
            }
            at += n;
        }
    }
    return false;
}

/* A length is digits and nothing else, and the same wherever it is said. */
static enum ledge_status length_of(const struct sys_http_head *head, bool *found, uint64_t *length,
                                   struct ledge_error *err)
{
    *found = false;
    for (size_t i = 0; i < head->n_fields; i++) {
        const char *value = head->fields[i].value;
        if (strcasecmp(head->fields[i].name, "Content-Length") != 0) {
            continue;
        }
        uint64_t n = 0;
        size_t digits = strspn(value, "0123456789");
        if (digits == 0 || digits > 18 || value[digits] != '\0') {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "Content-Length is no number");
        }
        for (size_t k = 0; k < digits; k++) {
            n = n * 10 + (uint64_t)(value[k] - '0');
        }
        if (*found && n != *length) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "two different lengths");
        }
        *found = true;
        *length = n;
    }
    return LEDGE_OK;
}

enum ledge_status sys_http_decoder_init(struct sys_http_decoder *decoder,
                                        const struct sys_http_head *head, bool request,
                                        bool bodiless, struct ledge_error *err)
{
    struct sys_http_decoder made = {0};
    bool sized = false;
    const char *coding = NULL;
    size_t codings = 0;
    for (size_t i = 0; i < head->n_fields; i++) {
        if (strcasecmp(head->fields[i].name, "Transfer-Encoding") == 0) {
            coding = head->fields[i].value;
            codings++;
        }
    }
    LEDGE_TRY(length_of(head, &sized, &made.left, err));
    bool none = bodiless ||
                (!request && (head->status < 200 || head->status == 204 || head->status == 304));
    if (none) {
        made.framing = SYS_HTTP_NONE;
        made.left = 0;
    } else if (coding != NULL) {
        /* Length and coding together is how requests are smuggled (RFC 9112 section 6.3). */
        if (codings > 1 || strcasecmp(coding, "chunked") != 0 || sized || head->minor == 0) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "Transfer-Encoding that is not read");
        }
        made.framing = SYS_HTTP_CHUNKED;
    } else if (sized) {
        made.framing = SYS_HTTP_LENGTH;
    } else {
        made.framing = request ? SYS_HTTP_NONE : SYS_HTTP_TO_CLOSE;
    }
    made.done =
        made.framing == SYS_HTTP_NONE || (made.framing == SYS_HTTP_LENGTH && made.left == 0);
    *decoder = made;
    return LEDGE_OK;
}

enum {
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_EXTENSION, /* until CR */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START, /* at the start of a line after the last chunk */
    TRAILER_LINE,
    TRAILER_LF,
    LAST_LF,
};

/* One byte of what stands between the data of chunks; false: malformed. */
static bool chunk_byte(struct sys_http_decoder *d, unsigned char c)
{
    switch (d->state) {
    case CHUNK_SIZE:
        if (hex_value(c) >= 0) {
            d->left = d->left * 16 + (uint64_t)hex_value(c);
            return ++d->digits <= 12;
        }
        d->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
        return d->digits > 0 && (c == '\r' || c == ';' || c == ' ' || c == '\t');
    case CHUNK_EXTENSION:
        d->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
        return c != '\n' && ++d->extra <= MAX_EXTRA;
    case CHUNK_SIZE_LF:
        d->state = d->left > 0 ? CHUNK_DATA : TRAILER_START;
        return c == '\n';
    case CHUNK_DATA_CR:
        d->state = CHUNK_DATA_LF;
        return c == '\r';
    case CHUNK_DATA_LF:
        d->state = CHUNK_SIZE;
        d->digits = 0;
        return c == '\n';
    case TRAILER_START:
        d->state = c == '\r' ? LAST_LF : TRAILER_LINE;
        return c != '\n' && ++d->extra <= MAX_EXTRA;
    case TRAILER_LINE:
        d->state = c == '\r' ? TRAILER_LF : TRAILER_LINE;
        return c != '\n' && ++d->extra <= MAX_EXTRA;
    case TRAILER_LF:
        d->state = TRAILER_START;
        return c == '\n';
    default: /* LAST_LF */
        d->done = true;
        return c == '\n';
    }
}

enum ledge_status sys_http_decoder_feed(struct sys_http_decoder *decoder, const void *bytes,
                                        size_t n, size_t *used,
                                        bool (*sink)(void *arg, const void *bytes, size_t n),
                                        void *arg, struct ledge_error *err)
{
    const unsigned char *at = bytes;
    size_t taken = 0;
    while (taken < n && !decoder->done) {
        bool data = decoder->framing != SYS_HTTP_CHUNKED || decoder->state == CHUNK_DATA;
        if (!data) {
            if (!chunk_byte(decoder, at[taken])) {
                return ledge_fail(err, LEDGE_ERR_FORMAT, "a malformed chunk");
            }
            taken++;
            continue;
        }
        size_t piece = n - taken;
        if (decoder->framing != SYS_HTTP_TO_CLOSE) {
            piece = decoder->left < piece ? (size_t)decoder->left : piece;
            decoder->left -= piece;
        }
        if (!sink(arg, at + taken, piece)) {
            return ledge_fail(err, LEDGE_ERR_CANCELLED, "stopped by the receiver");
        }
        taken += piece;
        if (decoder->left == 0 && decoder->framing == SYS_HTTP_LENGTH) {
            decoder->done = true;
        } else if (decoder->left == 0 && decoder->framing == SYS_HTTP_CHUNKED) {
            decoder->state = CHUNK_DATA_CR;
        }
    }
    *used = taken;
    return LEDGE_OK;
}

int sys_http_escaped(const char *at, size_t n)
{
    int high = n >= 3 ? hex_value((unsigned char)at[1]) : -1;
    int low = n >= 3 ? hex_value((unsigned char)at[2]) : -1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool sys_http_unescape(const char *from, size_t n, bool plus, char *text)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c == '%') {
            int byte = sys_http_escaped(from + i, n - i);
            if (byte <= 0) {
                return false;
            }
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        text[to++] = c;
    }
    text[to] = '\0';
    return true;
}

static enum ledge_status bad_url(const char *text, struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_ARG, "not a URL that can be called: %.120s", text);
}

/* host[:port] or [v6][:port] in url->text + at, ended by NUL. */
static bool authority(struct sys_http_url *url, char *host)
{
    char *port = NULL;
    if (*host == '[') {
        char *end = strchr(++host, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0')) {
            return false;
        }
        port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
    } else if ((port = strchr(host, ':')) != NULL) {
        *port++ = '\0';
    }
    url->host = host;
    url->port = url->secure ? 443 : 80;
    if (port != NULL) {
        int64_t number = 0;
        if (!ledge_whole_read(port, 1, 65535, &number)) {
            return false;
        }
        url->port = (uint16_t)number;
    }
    return *host != '\0' && strchr(host, '@') == NULL;
}

enum ledge_status sys_http_url_parse(struct sys_http_url *url, const char *text,
                                     struct ledge_error *err)
{
    size_t n = strlen(text);
    if (n + 2 > sizeof url->text) {
        return bad_url(text, err);
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f || text[i] == '#') {
            return bad_url(text, err);
        }
    }
    *url = (struct sys_http_url){.target = "/"};
    memcpy(url->text, text, n + 1);
    if (strncmp(text, "unix:", 5) == 0) {
        char *colon = strstr(url->text + 5, ":/");
        url->local = true;
        url->host = url->text + 5;
        if (colon != NULL) {
            *colon = '\0';
            url->target = colon + 1;
        }
        return *url->host == '/' ? LEDGE_OK : bad_url(text, err);
    }
    url->secure = strncmp(text, "https://", 8) == 0;
    if (!url->secure && strncmp(text, "http://", 7) != 0) {
        return bad_url(text, err);
    }
    char *host = url->text + (url->secure ? 8 : 7);
    char *slash = strchr(host, '/');
    if (slash != NULL) {
        /* Room for the NUL between host and target: the scheme's bytes in front are spare. */
        size_t length = (size_t)(slash - host);
        memmove(url->text, host, length);
        url->text[length] = '\0';
        url->target = slash;
        host = url->text;
    }
    return authority(url, host) ? LEDGE_OK : bad_url(text, err);
}

const char *sys_http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Status";
}
