/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.c -- /openapi.json (OpenAPI 3.1) out of routes.inc and schemas.inc. */
#include <stdio.h>
#include <string.h>

#include "hub/api.h"
#include "ledge/version.h"

static json_t *ref(const char *name, size_t n)
{
    char text[96];
    (void)snprintf(text, sizeof text, "#/components/schemas/%.*s", (int)n, name);
    return json_pack("{s:s}", "$ref", text);
}

static json_t *scalar(char letter)
{
    switch (letter) {
    case 's':
        return json_pack("{s:s}", "type", "string");
    case 'i':
        return json_pack("{s:s}", "type", "integer");
    case 'n':
        return json_pack("{s:s}", "type", "number");
    case 'b':
        return json_pack("{s:s}", "type", "boolean");
    case 't':
        return json_pack("{s:s,s:s}", "type", "string", "format", "date-time");
    case 'd':
        return json_pack("{s:s,s:s}", "type", "string", "pattern", "^[0-9a-f]{64}$");
    default: /* 'o' */
        return json_object();
    }
}

static json_t *type_of(const char *text, size_t n)
{
    if (n > 2 && text[0] == '[') {
        return json_pack("{s:s,s:o}", "type", "array", "items", type_of(text + 1, n - 2));
    }
    return n == 1 ? scalar(text[0]) : ref(text, n);
}

/* "id:s reason:s? models:[Running]" */
static json_t *schema(const char *fields)
{
    json_t *properties = json_object(), *required = json_array();
    for (const char *at = fields; *at != '\0';) {
        size_t n = strcspn(at, " "), name = strcspn(at, ":");
        bool optional = at[n - 1] == '?';
        json_t *type = type_of(at + name + 1, n - name - 1 - (optional ? 1 : 0));
        if (optional) {
            type = json_pack("{s:[o,{s:s}]}", "anyOf", type, "type", "null");
        } else {
            (void)json_array_append_new(required, json_stringn(at, name));
        }
        char key[64];
        (void)snprintf(key, sizeof key, "%.*s", (int)name, at);
        (void)json_object_set_new(properties, key, type);
        at += n + (at[n] == ' ');
    }
    return json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "required",
                     required);
}

static json_t *schemas(void)
{
    static const struct {
        const char *name, *fields;
    } list[] = {
#define HUB_SCHEMA(name, fields) {#name, fields},
#include "hub/schemas.inc"
#undef HUB_SCHEMA
    };
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        (void)json_object_set_new(all, list[i].name, schema(list[i].fields));
    }
    return all;
}

/* The content of a body: {"application/json":{"schema":…}} */
static json_t *content(const char *what)
{
    if (strcmp(what, "bytes") == 0) {
        return json_pack("{s:{}}", "application/octet-stream");
    }
    if (strcmp(what, "text") == 0) {
        return json_pack("{s:{s:{s:s}}}", "text/plain", "schema", "type", "string");
    }
    if (strcmp(what, "events") == 0) {
        return json_pack("{s:{s:{s:s}}}", "text/event-stream", "schema", "type", "string");
    }
    size_t n = strlen(what);
    if (what[0] != '[') {
        return json_pack("{s:{s:o}}", "application/json", "schema", ref(what, n));
    }
    json_t *list =
        json_pack("{s:s,s:{s:o,s:{s:[s,s]}},s:[s,s]}", "type", "object", "properties", "items",
                  type_of(what, n), "next", "type", "string", "null", "required", "items", "next");
    return json_pack("{s:{s:o}}", "application/json", "schema", list);
}

static void add_parameter(json_t *list, const char *name, size_t n, const char *where)
{
    (void)json_array_append_new(list,
                                json_pack("{s:s%,s:s,s:b,s:{s:s}}", "name", name, n, "in", where,
                                          "required", strcmp(where, "path") == 0, "schema", "type",
                                          strncmp(name, "limit", 5) == 0 ? "integer" : "string"));
}

static json_t *parameters(const struct hub_route *route)
{
    json_t *list = json_array();
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at, '{')) {
        at++;
        add_parameter(list, at, strcspn(at, "}"), "path");
    }
    for (const char *at = route->query; *at != '\0';) {
        size_t n = strcspn(at, " ");
        add_parameter(list, at, n, "query");
        at += n + (at[n] == ' ');
    }
    return list;
}

static json_t *security(unsigned who)
{
    json_t *list = json_array();
    if ((who & HUB_ADMIN) != 0) {
        (void)json_array_append_new(list, json_pack("{s:[]}", "bearer"));
        (void)json_array_append_new(list, json_pack("{s:[]}", "cookie"));
    }
    if ((who & HUB_DEVICE) != 0) {
        (void)json_array_append_new(list, json_pack("{s:[]}", "certificate"));
    }
    return list;
}

static json_t *operation(const struct hub_route *route)
{
    char status[8];
    (void)snprintf(status, sizeof status, "%d", route->status);
    json_t *good = json_pack("{s:s}", "description", route->summary);
    if (route->gives[0] != '\0') {
        (void)json_object_set_new(good, "content", content(route->gives));
    }
    json_t *problem = json_pack("{s:s,s:{s:{s:o}}}", "description", "what went wrong", "content",
                                "application/problem+json", "schema", ref("Problem", 7));
    json_t *made = json_pack("{s:s,s:o,s:{s:o,s:o},s:o}", "summary", route->summary, "parameters",
                             parameters(route), "responses", status, good, "default", problem,
                             "security", security(route->who));
    if (route->takes[0] != '\0') {
        (void)json_object_set_new(
            made, "requestBody",
            json_pack("{s:b,s:o}", "required", 1, "content", content(route->takes)));
    }
    return made;
}

static void set_operation(json_t *paths, const struct hub_route *route)
{
    char method[16];
    size_t n = strlen(route->method);
    for (size_t i = 0; i <= n && i < sizeof method; i++) {
        char c = route->method[i];
        method[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    json_t *path = json_object_get(paths, route->path);
    if (path == NULL) {
        path = json_object();
        (void)json_object_set_new(paths, route->path, path);
    }
    (void)json_object_set_new(path, method, operation(route));
}

json_t *hub_openapi(void)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < hub_n_routes; i++) {
        set_operation(paths, &hub_routes[i]);
    }
    json_t *schemes =
        json_pack("{s:{s:s,s:s},s:{s:s,s:s,s:s,s:s},s:{s:s,s:s}}", "bearer", "type", "http",
                  "scheme", "bearer", "cookie", "type", "apiKey", "in", "cookie", "name",
                  "ledge_session", "description", "writes also need X-Ledge-Csrf: 1", "certificate",
                  "type", "mutualTLS", "description", "certificate of an enrolled device");
    return json_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:{s:o,s:o}}", "openapi", "3.1.0", "info", "title",
                     "Ledge hub", "version", LEDGE_VERSION_STRING, "description",
                     "Devices, models, deployments, records and labels of a fleet.", "paths", paths,
                     "components", "schemas", schemas(), "securitySchemes", schemes);
}
