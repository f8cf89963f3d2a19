/* SPDX-License-Identifier: Apache-2.0 */
/* watch_link.c -- a small HTTP/1.1 client: POST over a unix socket, answers with Content-Length. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "watch.h"

enum { MAX_HEAD = 16384, MAX_BODY = 16 * 1024 * 1024, TIMEOUT_S = 20 };

void watch_link_init(struct watch_link *link, const char *path)
{
    *link = (struct watch_link){.path = path, .fd = -1};
}

void watch_reply_done(struct watch_reply *reply)
{
    free(reply->body);
    *reply = (struct watch_reply){0};
}

const char *watch_reply_text(const struct watch_reply *reply)
{
    return reply->body != NULL ? reply->body : reply->problem != NULL ? reply->problem : "";
}

static void link_close(struct watch_link *link)
{
    if (link->fd >= 0) {
        close(link->fd);
    }
    link->fd = -1;
}

static bool link_open(struct watch_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    if (strlen(link->path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, link->path, strlen(link->path) + 1);
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd >= 0 &&
        setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
        setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
        connect(link->fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        return true;
    }
    int problem = errno;
    link_close(link);
    errno = problem;
    return false;
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* At least one byte, or 0 at the end, -1 for a failure. */
static ssize_t receive(int fd, char *bytes, size_t n)
{
    ssize_t got;
    do {
        got = recv(fd, bytes, n, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

static const char *field_of(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            return line + n + 1 + strspn(line + n + 1, " ");
        }
    }
    return NULL;
}

/* Read the answer. Returns its status, 0 for a failure; *any tells whether a byte had come. */
static int read_answer(int fd, struct watch_reply *reply, bool *any, bool *closes)
{
    char head[MAX_HEAD + 1];
    size_t n = 0;
    char *end = NULL;
    while (end == NULL && n < MAX_HEAD) {
        ssize_t got = receive(fd, head + n, MAX_HEAD - n);
        if (got <= 0) {
            reply->problem = got == 0 ? "connection closed" : strerror(errno);
            return 0;
        }
        *any = true;
        n += (size_t)got;
        head[n] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    const char *length = end != NULL ? field_of(head, "Content-Length") : NULL;
    char *length_end = NULL;
    unsigned long long bytes = length != NULL ? strtoull(length, &length_end, 10) : 0;
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || length_end == length || bytes > MAX_BODY) {
        reply->problem = "not an answer of HTTP/1.1 with a length";
        return 0;
    }
    const char *connection = field_of(head, "Connection");
    *closes = connection != NULL && strncasecmp(connection, "close", 5) == 0;
    size_t have = n - (size_t)(end + 4 - head);
    reply->body = malloc((size_t)bytes + 1);
    if (reply->body == NULL || have > bytes) {
        reply->problem = "answer longer than its length";
        return 0;
    }
    memcpy(reply->body, end + 4, have);
    while (have < bytes) {
        ssize_t got = receive(fd, reply->body + have, (size_t)bytes - have);
        if (got <= 0) {
            reply->problem = "connection closed within an answer";
            return 0;
        }
        have += (size_t)got;
    }
    reply->body[bytes] = '\0';
    reply->n = (size_t)bytes;
    return atoi(head + 9);
}

int watch_call(struct watch_link *link, const char *target, const char *header, const char *value,
               const void *body, size_t n, struct watch_reply *reply)
{
    bool binary = strcasecmp(header, "Content-Type") != 0;
    char *head = NULL;
    int status = 0;
    if (asprintf(&head,
                 "POST %s HTTP/1.1\r\nHost: localhost\r\n%s%s: %s\r\nContent-Length: %zu\r\n\r\n",
                 target, binary ? "Content-Type: application/octet-stream\r\n" : "", header, value,
                 n) < 0) {
        reply->problem = "out of memory";
        return 0;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        bool kept = link->fd >= 0, any = false, closes = false;
        watch_reply_done(reply);
        if (!kept && !link_open(link)) {
            reply->problem = strerror(errno);
            break;
        }
        bool sent = send_all(link->fd, head, strlen(head)) && send_all(link->fd, body, n);
        bool gone = !sent && (errno == EPIPE || errno == ECONNRESET);
        if (!sent) {
            reply->problem = strerror(errno);
        } else {
            errno = 0;
            status = read_answer(link->fd, reply, &any, &closes);
            gone = status == 0 && !any && (errno == 0 || errno == ECONNRESET);
        }
        if (status == 0 || closes) {
            link_close(link);
        }
        if (status != 0 || !kept || !gone) {
            break;
        }
    }
    free(head);
    return status;
}
