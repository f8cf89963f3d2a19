/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c -- run models on inputs made from a seed and print a digest of every output, so that
 * the answers of two processors or two rungs can be laid side by side.
 *
 * Usage: identity [--consistent] THREADS DUMP_DIR|- MODEL...
 * One line for each output: MODEL OUTPUT DTYPE ELEMENTS DIGEST (FNV-1a, 64 bits). With a folder
 * the bytes of outputs that are not 8 bits wide are written there, too. Needs libledge only. */
#include <inttypes.h>
#include <ledge/ledge.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 16, MAX_PATH = 1024 };

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Bytes of any value, one in eight at an end of the range; floats in -1 .. 1. */
static void fill(struct ledge_tensor *tensor, uint32_t *state)
{
    if (tensor->dtype == LEDGE_F32) {
        float *to = tensor->data;
        for (size_t i = 0; i < tensor->bytes / sizeof *to; i++) {
            to[i] = (float)next(state) / 8388608.0f - 1.0f;
        }
        return;
    }
    unsigned char *to = tensor->data;
    for (size_t i = 0; i < tensor->bytes; i++) {
        uint32_t x = next(state);
        static const unsigned char ends[4] = {0, 127, 128, 255};
        to[i] = (x & 0x700u) == 0 ? ends[x >> 12 & 3u] : (unsigned char)(x >> 4);
    }
}

static uint64_t digest(const struct ledge_tensor *tensor)
{
    const unsigned char *bytes = tensor->data;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < tensor->bytes; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

static int dump(const char *folder, const char *name, int32_t output,
                const struct ledge_tensor *tensor)
{
    char path[MAX_PATH];
    int n = snprintf(path, sizeof path, "%s/%s.%d", folder, name, (int)output);
    FILE *file = n > 0 && (size_t)n < sizeof path ? fopen(path, "wb") : NULL;
    if (file == NULL) {
        return 1;
    }
    size_t done = fwrite(tensor->data, 1, tensor->bytes, file);
    return fclose(file) != 0 || done != tensor->bytes;
}

static int report(const char *path, const char *folder, const struct ledge_tensor *outputs,
                  int32_t n)
{
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    for (int32_t i = 0; i < n; i++) {
        size_t size = ledge_dtype_size(outputs[i].dtype);
        printf("%s %d %s %zu %016" PRIx64 "\n", name, (int)i, ledge_dtype_text(outputs[i].dtype),
               outputs[i].bytes / (size > 0 ? size : 1), digest(&outputs[i]));
        if (strcmp(folder, "-") != 0 && size > 1 && dump(folder, name, i, &outputs[i]) != 0) {
            fprintf(stderr, "cannot write into %s\n", folder);
            return 1;
        }
    }
    return 0;
}

static int run(struct ledge_session *session, const char *path, const char *folder, int32_t n_in,
               int32_t n_out, struct ledge_error *err)
{
    struct ledge_tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
    uint32_t state = 12345;
    int rc = 1;
    for (int32_t i = 0; i < n_in; i++) {
        if (ledge_session_input(session, i, &inputs[i]) != LEDGE_OK ||
            (inputs[i].data = aligned_alloc(64, (inputs[i].bytes + 127) / 64 * 64)) == NULL) {
            return 1;
        }
        fill(&inputs[i], &state);
    }
    if (ledge_session_run(session, inputs, n_in, outputs, n_out, err) == LEDGE_OK) {
        rc = report(path, folder, outputs, n_out);
    }
    for (int32_t i = 0; i < n_in; i++) {
        free(inputs[i].data);
    }
    return rc;
}

static int one(const char *path, int32_t threads, int32_t numerics, const char *folder)
{
    struct ledge_error err = {.text = ""};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_session_options options = {.threads = threads, .numerics = numerics};
    int rc = 1;
    if (ledge_model_open(path, NULL, &model, &err) == LEDGE_OK) {
        int32_t n_in = ledge_model_n_inputs(model);
        int32_t n_out = ledge_model_n_outputs(model);
        if (n_in <= MAX_TENSORS && n_out <= MAX_TENSORS &&
            ledge_session_open(model, &options, &session, &err) == LEDGE_OK) {
            rc = run(session, path, folder, n_in, n_out, &err);
        }
    }
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", path, err.text);
    }
    ledge_session_close(session);
    ledge_model_close(model);
    return rc;
}

int main(int argc, char **argv)
{
    bool consistent = argc > 1 && strcmp(argv[1], "--consistent") == 0;
    int at = consistent ? 2 : 1;
    if (argc < at + 3) {
        fprintf(stderr, "usage: identity [--consistent] THREADS DUMP_DIR|- MODEL...\n");
        return 2;
    }
    for (int i = at + 2; i < argc; i++) {
        if (one(argv[i], (int32_t)atoi(argv[at]),
                consistent ? LEDGE_NUMERICS_CONSISTENT : LEDGE_NUMERICS_FAST, argv[at + 1]) != 0) {
            return 1;
        }
    }
    return 0;
}
