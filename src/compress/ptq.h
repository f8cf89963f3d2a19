/* SPDX-License-Identifier: Apache-2.0 */
/* ptq.h -- static int8 quantisation after training: float graph + samples -> QDQ graph.
 *
 * Flow:    graph (import) -> create -> observe samples -> finish -> graph (export/onnx)
 *                                                      -> measure samples -> report
 * Threads: one at a time per object.
 * Memory:  everything hangs on the object's arena: a histogram per observed tensor and two plans.
 * Nothing grows with the number of samples. The graph given, and the bytes its weights lie in, must
 * outlive the object.
 *
 * What is written (opset 13): activations u8, asymmetric, one scale per tensor; weights s8
 * -127..127, one scale per output channel; biases s32 with scale x_scale * w_scale. Weights and
 * biases are stored quantised. The first layer's input is quantised like any other; the model's
 * outputs, and what only reshapes them, stay float, so that logits are never clipped. Source:
 * training-free scheme of Krishnamoorthi, "Quantizing deep convolutional networks", 2018, section
 * 3; node units as ONNX Runtime's QDQ format has them.
 */
#ifndef COMPRESS_PTQ_H
#define COMPRESS_PTQ_H

#include "compress/histogram.h"
#include "engine/graph/graph.h"

struct compress_ptq_options { /* texts are BORROWED until compress_ptq_free() */
    enum compress_method method;
    double percentile;       /* of COMPRESS_PERCENTILE; 0: 99.99 */
    const char *const *keep; /* names of nodes to leave in float, or "first", "last"; BORROWED */
    int32_t n_keep;
    const char *note; /* more JSON members for the recipe in the metadata, e.g.
                         "\"data\":\"sha256:..\""; or NULL */
};

/* One convolution, matrix product, addition, pooling ... of the report. */
struct compress_layer {
    const char *node; /* BORROWED from the object, as op and why */
    const char *op;
    const char *why;    /* NULL: quantised; else why it stays float */
    double low, high;   /* range that the output's codes cover; NAN when the output stays float */
    double clipped;     /* share of calibration values outside it */
    double weight_sqnr; /* dB; NAN without weights */
    double sqnr;    /* dB of the output against the float model, all layers before it quantised too;
                       NAN: not measured */
    int32_t dead;   /* output channels whose weights are all zero */
    int32_t raised; /* channels whose weight scale was raised for their bias */
};

struct compress_ptq;

/* Copy the graph, fold what can be folded, choose what is quantised, and make the plan that
 * calibration runs. graph    float, one f32 input ptq      OWNED: compress_ptq_free() Errors:
 * ERR_UNSUPPORTED (already quantised, several inputs, nothing to quantise), ERR_NOT_FOUND (a name
 * of keep), and what planning reports. */
LEDGE_NODISCARD enum ledge_status compress_ptq_create(const struct ledge_graph *graph,
                                                      const struct compress_ptq_options *options,
                                                      const struct ledge_allocator *allocator,
                                                      struct compress_ptq **ptq,
                                                      struct ledge_error *err);
void compress_ptq_free(struct compress_ptq *ptq);

/* Number of elements of one sample (free dimensions are 1). */
size_t compress_ptq_sample_elements(const struct compress_ptq *ptq);

/* Run the float model on one sample and add its activations to the histograms.
 * Errors: ERR_RANGE (a value is not finite; err names the tensor), ERR_STATE after finish. */
LEDGE_NODISCARD enum ledge_status
compress_ptq_observe(struct compress_ptq *ptq, const float *sample, struct ledge_error *err);

/* Choose ranges and write the QDQ graph; its metadata gain "ledge.quantization" (the recipe as
 * JSON, with its digest). out  BORROWED from the object Errors: ERR_STATE (no sample was observed).
 */
LEDGE_NODISCARD enum ledge_status compress_ptq_finish(struct compress_ptq *ptq,
                                                      const struct ledge_graph **out,
                                                      struct ledge_error *err);

/* After finish: run both models on one sample and add to signal and noise of each layer. The
 * quantised model is run with its quantise and dequantise steps one by one, in float. */
LEDGE_NODISCARD enum ledge_status
compress_ptq_measure(struct compress_ptq *ptq, const float *sample, struct ledge_error *err);

/* The report; FILLED entries, BORROWED. */
const struct compress_layer *compress_ptq_layers(struct compress_ptq *ptq, int32_t *n);

#endif
