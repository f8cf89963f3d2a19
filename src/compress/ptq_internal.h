/* SPDX-License-Identifier: Apache-2.0 */
/* ptq_internal.h -- between the files of post-training quantisation. */
#ifndef COMPRESS_PTQ_INTERNAL_H
#define COMPRESS_PTQ_INTERNAL_H

#include "compress/ptq.h"
#include "engine/run/run.h"

enum compress_role {
    COMPRESS_FLOAT,    /* not touched */
    COMPRESS_WEIGHTED, /* constant weights in input 1 */
    COMPRESS_OWN,      /* output gets a scale of its own */
    COMPRESS_PASS,     /* moves values only: output has the input's scale */
    COMPRESS_JOIN,     /* as PASS, with several inputs that share one scale */
};

/* What is known of a value of the graph. */
struct compress_tensor {
    bool quantised;
    bool final;    /* only moved or normalised between here and an output of the model */
    int32_t group; /* representative of the values that share a scale */
    struct compress_histogram *histogram; /* NULL: not observed itself */
    int32_t probe;                        /* output number in the calibration plan, -1: none */
    struct compress_range range;          /* of the group, at its representative; after finish */
    struct compress_affine affine;        /* after finish */
    int32_t fake_value;                   /* dequantised value in the result, -1: none */
    int32_t fake_probe;                   /* output number in the plan of the QDQ graph, -1: none */
    double signal, noise;
};

struct compress_ptq {
    struct ledge_allocator allocator;
    struct ledge_arena arena; /* of everything below but graphs and plans */
    struct compress_ptq_options options;
    struct ledge_graph folded;       /* what is calibrated and rewritten */
    struct compress_tensor *tensors; /* one per value of folded */
    enum compress_role *roles;       /* one per node of folded */
    const char **why;                /* one per node: why it stays float, or NULL */
    struct compress_layer *layers;
    int32_t *layer_nodes; /* node of each layer */
    int32_t n_layers;
    struct ledge_graph probe; /* folded with the observed values as outputs */
    struct ledge_plan *plan;
    struct ledge_run *run;
    struct ledge_graph quantised; /* the result */
    struct ledge_graph fake;      /* the result with the compared values as outputs */
    struct ledge_plan *fake_plan;
    struct ledge_run *fake_run;
    int64_t samples;
    bool finished;
};

/* select.c: roles, quantised values, groups. Errors: ERR_UNSUPPORTED, ERR_NOT_FOUND, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status compress_select(struct compress_ptq *ptq,
                                                  struct ledge_error *err);

int32_t compress_group_of(const struct compress_ptq *ptq, int32_t value);

/* Axis of the output channels of a WEIGHTED node's weights. */
int32_t compress_weight_axis(const struct ledge_graph *graph, const struct ledge_node *node);

/* rewrite.c: fill ptq->quantised from the affines. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status compress_rewrite(struct compress_ptq *ptq,
                                                   struct ledge_error *err);

/* layer of node, or NULL. */
struct compress_layer *compress_layer_of(struct compress_ptq *ptq, int32_t node);

#endif
