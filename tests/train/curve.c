/* SPDX-License-Identifier: Apache-2.0 */
/* curve.c -- 20 training steps of a fresh network on made-up batches, for torch_test.py to repeat.
 *
 *   train_curve ARCH OPTIMIZER OUT
 * Files in OUT: params.txt (name and count of each parameter), params.bin (their floats before the
 * first step), x.bin and labels.bin (the batches), losses.txt (a loss per step), after.bin
 * (parameters after the last step).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/philox.h"
#include "engine/port/port.h"
#include "train/arch/arch.h"
#include "train/loop/network.h"
#include "train/loop/optimiser.h"

enum { STEPS = 20, BATCH = 16, SIDE = 20, CLASSES = 5, SAMPLE = SIDE * SIDE };

static void check(enum ledge_status status, const struct ledge_error *err)
{
    if (status != LEDGE_OK) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wbe");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static void write_params(const struct train_network *network, const char *folder, const char *name,
                         FILE *names)
{
    FILE *file = create(folder, name);
    for (int32_t i = 0; i < train_network_n_params(network); i++) {
        const struct train_param *p = train_network_param(network, i);
        (void)fwrite(p->data, sizeof *p->data, (size_t)p->count, file);
        if (names != NULL) {
            fprintf(names, "%s %lld\n", p->name, (long long)p->count);
        }
    }
    (void)fclose(file);
}

/* A pattern per class under noise, so that there is something to learn. */
static void make_batches(float *x, int32_t *labels)
{
    for (int64_t i = 0; i < STEPS * BATCH; i++) {
        labels[i] = (int32_t)(data_philox(1, 0, (uint64_t)i).word[0] % CLASSES);
        for (int64_t k = 0; k < SAMPLE; k++) {
            float noise = data_philox_signed(data_philox(2, (uint64_t)i, (uint64_t)k).word[0]);
            bool on = (k / SIDE + k % SIDE * labels[i]) % 7 < 3;
            x[i * SAMPLE + k] = (on ? 0.5f : -0.5f) + noise;
        }
    }
}

static void train(struct train_network *network, struct train_optimiser *optimiser, const float *x,
                  const int32_t *labels, FILE *losses)
{
    struct ledge_error err;
    for (int64_t step = 0; step < STEPS; step++) {
        float loss;
        const float *logits;
        check(train_network_step(network, x + step * BATCH * SAMPLE, labels + step * BATCH, step,
                                 &loss, &logits, &err),
              &err);
        train_optimiser_apply(optimiser, optimiser->recipe->lr, step);
        fprintf(losses, "%.9g\n", (double)loss);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: train_curve ARCH sgd|adam OUT\n");
        return 2;
    }
    static float x[STEPS * BATCH * SAMPLE];
    static int32_t labels[STEPS * BATCH];
    struct ledge_error err;
    struct ledge_graph graph;
    struct train_network *network = NULL;
    struct train_optimiser optimiser;
    bool sgd = strcmp(argv[2], "sgd") == 0;
    const struct train_recipe recipe = {.optimizer = sgd ? TRAIN_SGD : TRAIN_ADAM,
                                        .lr = sgd ? 0.02 : 0.002,
                                        .momentum = 0.9,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .epsilon = 1e-8};
    const struct train_arch_spec spec = {.name = argv[1],
                                         .rank = 3,
                                         .dims = {1, SIDE, SIDE},
                                         .n_classes = CLASSES,
                                         .width = 1,
                                         .seed = 11};
    const struct train_network_options options = {.batch = BATCH};
    ledge_graph_init(&graph, ledge_allocator_default());
    check(train_arch_build(&spec, &graph, &err), &err);
    check(ledge_graph_sort(&graph, &err), &err);
    check(train_network_create(&graph, &options, &network, &err), &err);
    check(train_optimiser_init(&recipe, network, NULL, &optimiser, &err), &err);
    make_batches(x, labels);
    FILE *names = create(argv[3], "params.txt");
    write_params(network, argv[3], "params.bin", names);
    (void)fclose(names);
    FILE *file = create(argv[3], "x.bin");
    (void)fwrite(x, sizeof x, 1, file);
    (void)fclose(file);
    file = create(argv[3], "labels.bin");
    (void)fwrite(labels, sizeof labels, 1, file);
    (void)fclose(file);
    file = create(argv[3], "losses.txt");
    train(network, &optimiser, x, labels, file);
    (void)fclose(file);
    write_params(network, argv[3], "after.bin", NULL);
    train_optimiser_done(&optimiser);
    train_network_free(network);
    ledge_graph_done(&graph);
    return 0;
}
