/* SPDX-License-Identifier: Apache-2.0 */
/* handle_infer.c -- one inference: taken on the loop, run on a worker, answered on the loop.
 *
 * The version is chosen when the request is taken and kept until it is answered: a flip in between
 * does not touch it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/status.h"
#include "serve/internal.h"

enum { MAX_ANSWER = 256 * 1024 * 1024 };

struct job {
    struct serve_server *server;
    struct sys_http_request *http;
    struct serve_slot *slot;
    struct serve_version *version; /* referenced */
    const void *body;              /* BORROWED from http until the reply */
    size_t body_bytes;
    struct serve_headers headers; /* likewise */
    int64_t taken_ns, started_ns, parsed_ns;
    struct serve_times times;
    enum ledge_status status;
    struct ledge_error err;
    struct ledge_buf answer;
    size_t json_bytes;
};

static void reply(struct job *job, int status)
{
    if (status != 200) {
        serve_reply_error(job->http, status, "%s", job->err.text);
        return;
    }
    bool binary = job->json_bytes != job->answer.len;
    if (binary) {
        char text[32];
        snprintf(text, sizeof(text), "%zu", job->json_bytes);
        sys_http_reply_header(job->http, "Inference-Header-Content-Length", text);
    }
    sys_http_reply(job->http, 200, binary ? "application/octet-stream" : "application/json",
                   job->answer.data, job->answer.len);
}

/* Loop's thread. */
static void finish(void *arg)
{
    struct job *job = arg;
    struct serve_server *server = job->server;
    int status = job->status == LEDGE_OK ? 200 : serve_http_status(job->status);
    int64_t stages[SERVE_STAGES] = {
        [SERVE_QUEUE] = job->started_ns - job->taken_ns,
        [SERVE_PRE] = job->parsed_ns - job->started_ns + job->times.pre_ns,
        [SERVE_COMPUTE] = job->times.compute_ns,
        [SERVE_POST] = job->times.post_ns,
    };
    reply(job, status);
    serve_count(job->slot, job->version, status, serve_now_ns() - job->taken_ns,
                status == 200 ? stages : NULL);
    job->slot->pending--;
    server->pending--;
    server->pending_bytes -= job->body_bytes;
    serve_version_unref(job->version);
    ledge_buf_done(&job->answer);
    free(job);
}

/* Worker's thread. */
static void run(void *arg, int32_t lane)
{
    struct job *job = arg;
    struct serve_request *request = malloc(sizeof(*request));
    job->started_ns = serve_now_ns();
    job->parsed_ns = job->started_ns;
    if (request == NULL) {
        job->status = ledge_fail(&job->err, LEDGE_ERR_NOMEM, "out of memory");
    } else {
        request->json = NULL;
        job->status =
            serve_request_parse(job->body, job->body_bytes, &job->headers, request, &job->err);
        job->parsed_ns = serve_now_ns();
        if (job->status == LEDGE_OK) {
            job->status = serve_version_infer(job->version, lane, request, &job->answer,
                                              &job->json_bytes, &job->times, &job->err);
            serve_request_done(request);
        }
        free(request);
    }
    sys_loop_post(job->server->loop, finish, job);
}

/* Why the request cannot be taken now, or NULL. */
static const char *refusal(const struct serve_server *server, size_t body_bytes)
{
    if (server->draining) {
        return "the server is stopping";
    }
    if (body_bytes > server->options.max_pending - server->pending_bytes) {
        return "too many bytes are waiting";
    }
    return NULL;
}

static bool submit(struct serve_server *server, struct sys_http_request *request,
                   struct serve_slot *slot, struct serve_version *version)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return false;
    }
    job->server = server;
    job->http = request;
    job->slot = slot;
    job->version = version;
    job->body = sys_http_body(request, &job->body_bytes);
    job->headers.content_type = sys_http_header(request, "Content-Type");
    job->headers.inference_header_length =
        sys_http_header(request, "Inference-Header-Content-Length");
    job->headers.classification = sys_http_query(request, "classification");
    job->answer = LEDGE_BUF_INIT(MAX_ANSWER);
    job->taken_ns = serve_now_ns();
    /* Counted before the push: a worker may finish before push returns, but its answer is only
     * looked at by this thread, later. */
    slot->pending++;
    server->pending++;
    server->pending_bytes += job->body_bytes;
    serve_version_ref(version);
    if (!serve_pool_push(server->workers, run, job)) {
        slot->pending--;
        server->pending--;
        server->pending_bytes -= job->body_bytes;
        serve_version_unref(version);
        free(job);
        return false;
    }
    return true;
}

void serve_handle_infer(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names)
{
    struct serve_slot *slot = NULL;
    struct serve_version *version = serve_find_version(server, request, names, &slot);
    if (version == NULL) {
        return;
    }
    const char *encoding = sys_http_header(request, "Content-Encoding");
    if (encoding != NULL && strcasecmp(encoding, "identity") != 0) {
        serve_reply_error(request, 415, "Content-Encoding %.32s is not supported", encoding);
        return;
    }
    size_t body_bytes = 0;
    (void)sys_http_body(request, &body_bytes);
    const char *why = refusal(server, body_bytes);
    if (why == NULL && submit(server, request, slot, version)) {
        return;
    }
    serve_count(slot, version, 503, 0, NULL);
    sys_http_reply_header(request, "Retry-After", "1");
    serve_reply_error(request, 503, "model %s: %s", slot->name,
                      why != NULL ? why : "too many requests are waiting");
}
