/* SPDX-License-Identifier: Apache-2.0 */
/* summary.c -- the fleet in a sentence, and the figures for Prometheus. */
#include <stdio.h>
#include <string.h>

#include "hub/api.h"
#include "hub_sql.h"
#include "ledge/version.h"
#include "sys/mqtt.h"

struct figures {
    int64_t devices, online, models, queue, labelled, records, duplicates, alerts;
};

static bool read_figures(void *arg, const struct sys_row *row)
{
    struct figures *f = arg;
    int64_t *const all[] = {&f->devices,  &f->online,  &f->models,     &f->queue,
                            &f->labelled, &f->records, &f->duplicates, &f->alerts};
    for (int i = 0; i < 8; i++) {
        *all[i] = sys_row_int(row, i);
    }
    return true;
}

static void sentence(const struct figures *f, char text[256])
{
    if (f->devices == 0) {
        (void)snprintf(text, 256, "No device has joined yet.");
        return;
    }
    int n = 0;
    if (f->online == f->devices) {
        n = snprintf(text, 256,
                     f->devices == 1 ? "The one device is online" : "All %lld devices are online",
                     (long long)f->devices);
    } else {
        n = snprintf(text, 256, "%lld of %lld devices %s offline",
                     (long long)(f->devices - f->online), (long long)f->devices,
                     f->devices - f->online == 1 ? "is" : "are");
    }
    if (f->queue > 0) {
        (void)snprintf(text + n, 256 - (size_t)n, "; %lld %s for a label.", (long long)f->queue,
                       f->queue == 1 ? "picture waits" : "pictures wait");
    } else {
        (void)snprintf(text + n, 256 - (size_t)n, "; no picture waits for a label.");
    }
}

void hub_on_summary(struct hub_request *request)
{
    struct ledge_error err;
    struct figures f = {0};
    char text[256];
    if (sys_sql_do(request->hub->sql, &err, read_figures, &f, hub_sql_summary, "") != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    sentence(&f, text);
    hub_reply_json(request, 200,
                   json_pack("{s:{s:I,s:I},s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "devices", "total",
                             f.devices, "online", f.online, "models", f.models, "queue", f.queue,
                             "labelled", f.labelled, "records", f.records, "duplicates",
                             f.duplicates, "alerts", f.alerts, "sentence", text));
}

static void metric(struct ledge_buf *out, const char *name, const char *type, const char *help,
                   double value)
{
    (void)ledge_buf_printf(out, "# HELP ledge_%s %s\n# TYPE ledge_%s %s\nledge_%s %.17g\n", name,
                           help, name, type, name, value);
}

void hub_on_metrics(struct hub_request *request)
{
    struct ledge_error err;
    struct figures f = {0};
    const struct hub *hub = request->hub;
    const struct hub_counts *c = &hub->counts;
    if (sys_sql_do(hub->sql, &err, read_figures, &f, hub_sql_summary, "") != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    struct ledge_buf out = LEDGE_BUF_INIT(1 << 16);
    (void)ledge_buf_printf(
        &out,
        "# HELP ledge_hub_info Version of this hub.\n# TYPE ledge_hub_info gauge\n"
        "ledge_hub_info{version=\"%s\"} 1\n",
        LEDGE_VERSION_STRING);
    metric(&out, "devices", "gauge", "Devices that are enrolled.", (double)f.devices);
    metric(&out, "devices_online", "gauge", "Devices that are online.", (double)f.online);
    metric(&out, "models", "gauge", "Models in the registry.", (double)f.models);
    metric(&out, "label_queue", "gauge", "Pictures that wait for a label.", (double)f.queue);
    metric(&out, "samples_labelled", "gauge", "Pictures that have a label.", (double)f.labelled);
    metric(&out, "records_stored", "gauge", "Records in the store.", (double)f.records);
    metric(&out, "records_duplicate", "gauge", "Records that came again and were not stored.",
           (double)f.duplicates);
    metric(&out, "broker_connected", "gauge", "Is the hub connected to the broker?",
           hub->mqtt != NULL && sys_mqtt_connected(hub->mqtt) ? 1 : 0);
    metric(&out, "http_requests_total", "counter", "HTTP requests.", (double)c->requests);
    metric(&out, "segments_total", "counter", "Segments committed.", (double)c->segments);
    metric(&out, "segments_refused_total", "counter", "Segments that were malformed.",
           (double)c->segments_refused);
    metric(&out, "commits_total", "counter", "Transactions of records.", (double)c->commits);
    metric(&out, "commit_failures_total", "counter", "Transactions of records that failed.",
           (double)c->commit_failures);
    metric(&out, "logins_refused_total", "counter", "Wrong tokens.", (double)c->logins_refused);
    hub_security_headers(request->http, false);
    sys_http_reply(request->http, 200, "text/plain; version=0.0.4; charset=utf-8", out.data,
                   out.len);
    ledge_buf_done(&out);
}
