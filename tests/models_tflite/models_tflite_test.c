/* SPDX-License-Identifier: Apache-2.0 */
/* models_tflite_test.c -- models that others trained give the answers that are known of them.
 *
 * Sources of the figures: EXPECTED.md beside the data (upstream tests and an independent
 * interpreter). Under sanitizers a tenth of each data set is run and the bars are lower by two
 * standard deviations of that sample.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/preprocess.h"
#include "ledge/ledge.h"
#include "sys/file.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEP = 10 };
#else
enum { STEP = 1 };
#endif

static const char *data_root;

static const char *path_of(const char *name)
{
    static char path[4][1024];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[0], "%s/%s", data_root, name);
    return path[turn];
}

struct net {
    struct ledge_model *model;
    struct ledge_session *session;
    struct ledge_tensor inputs[4];
    struct ledge_tensor outputs[4];
    int32_t n_in, n_out;
};

static void net_open(struct net *net, const char *name)
{
    struct ledge_error err = {0};
    char file[128];
    (void)snprintf(file, sizeof file, "models/tflite/%s.tflite", name);
    memset(net, 0, sizeof *net);
    if (ledge_model_open(path_of(file), NULL, &net->model, &err) != LEDGE_OK ||
        ledge_session_open(net->model, NULL, &net->session, &err) != LEDGE_OK) {
        fail_msg("%s: %s", name, err.text);
    }
    net->n_in = ledge_model_n_inputs(net->model);
    net->n_out = ledge_model_n_outputs(net->model);
    for (int32_t i = 0; i < net->n_in; i++) {
        assert_int_equal(ledge_session_input(net->session, i, &net->inputs[i]), LEDGE_OK);
        net->inputs[i].data = calloc(1, net->inputs[i].bytes);
        assert_non_null(net->inputs[i].data);
    }
}

static void net_close(struct net *net)
{
    for (int32_t i = 0; i < net->n_in; i++) {
        free(net->inputs[i].data);
    }
    ledge_session_close(net->session);
    ledge_model_close(net->model);
}

static void net_run(struct net *net)
{
    struct ledge_error err = {0};
    if (ledge_session_run(net->session, net->inputs, net->n_in, net->outputs, net->n_out, &err) !=
        LEDGE_OK) {
        fail_msg("%s", err.text);
    }
}

static double real_at(const struct ledge_tensor *t, size_t i)
{
    switch (t->dtype) {
    case LEDGE_F32:
        return (double)((const float *)t->data)[i];
    case LEDGE_U8:
        return (double)t->scale * (((const uint8_t *)t->data)[i] - t->zero_point);
    case LEDGE_I32:
        return (double)((const int32_t *)t->data)[i];
    default:
        return (double)t->scale * (((const int8_t *)t->data)[i] - t->zero_point);
    }
}

static size_t count_of(const struct ledge_tensor *t)
{
    return t->bytes / ledge_dtype_size(t->dtype);
}

static size_t best(const struct net *net)
{
    size_t top = 0;
    for (size_t i = 1; i < count_of(&net->outputs[0]); i++) {
        top = real_at(&net->outputs[0], i) > real_at(&net->outputs[0], top) ? i : top;
    }
    return top;
}

/* A bar (share of right answers) for n samples; full data sets are held to the bar itself. */
static void meets(const char *what, size_t right, size_t n, double least, double most)
{
    double share = (double)right / (double)n;
    double slack = STEP == 1 ? 0 : 2 * sqrt(least * (1 - least) / (double)n);
    print_message("%s: %zu of %zu, %.2f%%\n", what, right, n, 100 * share);
    assert_true(n > 0 && share >= least - slack && share <= most + slack);
}

/* -- tar (POSIX ustar), files only -- */

struct tar {
    struct ledge_buf bytes;
    size_t at;
};

static void tar_open(struct tar *tar, const char *name)
{
    *tar = (struct tar){.bytes = LEDGE_BUF_INIT(64 << 20)};
    assert_int_equal(sys_file_read(path_of(name), &tar->bytes, NULL), LEDGE_OK);
}

static const uint8_t *tar_next(struct tar *tar, char name[101], size_t *size)
{
    while (tar->at + 512 <= tar->bytes.len && tar->bytes.data[tar->at] != '\0') {
        const char *header = tar->bytes.data + tar->at;
        (void)snprintf(name, 101, "%.100s", header);
        *size = (size_t)strtoul(header + 124, NULL, 8);
        const uint8_t *data = (const uint8_t *)header + 512;
        tar->at += 512 + (*size + 511) / 512 * 512;
        if (header[156] == '0' || header[156] == '\0') {
            return data;
        }
    }
    return NULL;
}

/* -- keyword spotting: 500 spectra as i8, labels in y_labels.csv "file,classes,class" -- */

static size_t label_of_file(const struct ledge_buf *csv, const char *name)
{
    const char *base = strrchr(name, '/');
    const char *line = strstr(csv->data, base != NULL ? base + 1 : name);
    assert_non_null(line);
    const char *class = strchr(strchr(line, ',') + 1, ',') + 1;
    return (size_t)strtoul(class, NULL, 10);
}

static void spot_keywords(const char *model, float scale, int32_t zero, double least)
{
    struct net net;
    struct tar tar;
    struct ledge_buf csv = LEDGE_BUF_INIT(1 << 20);
    char name[101];
    size_t size, n = 0, right = 0, at = 0;
    assert_int_equal(sys_file_read(path_of("audio/kws01-mfcc/y_labels.csv"), &csv, NULL), LEDGE_OK);
    tar_open(&tar, "audio/kws01-mfcc/kws01.tar");
    net_open(&net, model);
    for (const uint8_t *x; (x = tar_next(&tar, name, &size)) != NULL;) {
        if (strstr(name, ".bin") == NULL || at++ % STEP != 0) {
            continue;
        }
        assert_int_equal(size, 490);
        if (net.inputs[0].dtype == LEDGE_I8) {
            memcpy(net.inputs[0].data, x, size);
        } else {
            for (size_t i = 0; i < size; i++) {
                ((float *)net.inputs[0].data)[i] = scale * (float)((int8_t)x[i] - zero);
            }
        }
        net_run(&net);
        right += best(&net) == label_of_file(&csv, name);
        n++;
    }
    meets(model, right, n, least, 1);
    net_close(&net);
    ledge_buf_done(&csv);
    ledge_buf_done(&tar.bytes);
}

static void keyword_spotting(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, "mlperf_kws_int8");
    float scale = net.inputs[0].scale;
    int32_t zero = net.inputs[0].zero_point;
    net_close(&net);
    spot_keywords("mlperf_kws_int8", scale, zero, 0.90);
    spot_keywords("mlperf_kws_float32", scale, zero, 0.90);
}

/* -- pictures of CIFAR-10: test/<class>/<n>.jpg; the classes in alphabetical order -- */

static size_t cifar_class(const char *name)
{
    static const char *const classes[10] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                            "dog",      "frog",       "horse", "ship", "truck"};
    for (size_t i = 0; i < 10; i++) {
        if (strstr(name, classes[i]) != NULL) {
            return i;
        }
    }
    fail_msg("no class in %s", name);
    return 0;
}

/* x = pixel / divisor, quantised by the input's scale. */
static void classify_cifar(const char *model, double divisor, double expected)
{
    struct net net;
    struct tar tar;
    char name[101];
    size_t size, n = 0, right = 0, at = 0;
    struct data_preprocess p = {.width = 32,
                                .height = 32,
                                .channels = 3,
                                .layout = DATA_NHWC,
                                .crop = 1,
                                .std = {divisor / 255, divisor / 255, divisor / 255}};
    tar_open(&tar, "images/cifar10/cifar10-train3000-test1000.tar");
    net_open(&net, model);
    for (const uint8_t *x; (x = tar_next(&tar, name, &size)) != NULL;) {
        if (strncmp(name, "test/", 5) != 0 || at++ % STEP != 0) {
            continue;
        }
        struct sys_image image;
        assert_int_equal(sys_image_decode(x, size, 3, &image, NULL), LEDGE_OK);
        assert_int_equal(data_preprocess_run(&p, &image, &net.inputs[0], net.inputs[0].data, NULL),
                         LEDGE_OK);
        sys_image_done(&image);
        net_run(&net);
        right += best(&net) == cifar_class(name);
        n++;
    }
    meets(model, right, n, expected - 0.01, expected + 0.01);
    net_close(&net);
    ledge_buf_done(&tar.bytes);
}

static void cifar10(void **state)
{
    (void)state;
    classify_cifar("mlperf_ic_resnet8_float", 1, 0.754);
    classify_cifar("mlperf_ic_resnet8_int8", 1, 0.755);
    classify_cifar("tinymaix_cifar10_f", 255, 0.735);
    classify_cifar("tinymaix_cifar10_q", 255, 0.732);
}

/* -- the first 2000 digits of MNIST's test set -- */

static void read_digits(struct data_set *set, const char *model, double expected)
{
    struct net net;
    size_t n = 0, right = 0;
    net_open(&net, model);
    for (int64_t i = 0; i < 2000; i += STEP) {
        assert_int_equal(data_set_read(set, i, &net.inputs[0], net.inputs[0].data, NULL), LEDGE_OK);
        net_run(&net);
        right += best(&net) == (size_t)data_set_label(set, i);
        n++;
    }
    meets(model, right, n, expected - 0.005, expected + 0.005);
    net_close(&net);
}

static void mnist(void **state)
{
    (void)state;
    struct data_preprocess p = {
        .width = 28, .height = 28, .channels = 1, .layout = DATA_NHWC, .crop = 1, .std = {1, 1, 1}};
    struct data_set_spec spec = {.kind = DATA_KIND_IDX,
                                 .path = path_of("images/mnist/t10k-images-idx3-ubyte.gz"),
                                 .preprocess = &p};
    struct data_set *set;
    struct ledge_error err = {0};
    if (data_set_open(&spec, &set, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    read_digits(set, "tinymaix_mnist_valid_f", 0.9545);
    read_digits(set, "tinymaix_mnist_valid_q", 0.9530);
    read_digits(set, "tinymaix_mnist_dw_q", 0.9060);
    read_digits(set, "tinymaix_mnist_resnet_q", 0.9740);
    data_set_close(set);
}

/* -- single pictures -- */

static void see(struct net *net, const char *picture, const struct data_preprocess *p)
{
    struct sys_image image;
    struct ledge_error err = {0};
    if (sys_image_load(path_of(picture), 0, &image, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(data_preprocess_check(p, &net->inputs[0], NULL), LEDGE_OK);
    assert_int_equal(data_preprocess_run(p, &image, &net->inputs[0], net->inputs[0].data, NULL),
                     LEDGE_OK);
    sys_image_done(&image);
    net_run(net);
}

static void look(const char *model, const char *picture, size_t class, double expected,
                 double tolerance)
{
    struct net net;
    struct data_preprocess p;
    net_open(&net, model);
    assert_int_equal(data_preprocess_of_model(net.model, &p, NULL), LEDGE_OK);
    if (net.inputs[0].dtype == LEDGE_F32) {
        for (int c = 0; c < 3; c++) {
            p.mean[c] = p.std[c] = 0.5;
        }
    } else {
        assert_non_null(ledge_model_metadata(net.model, DATA_KEY_LABELS));
    }
    see(&net, picture, &p);
    double score = real_at(&net.outputs[0], class);
    print_message("%s %s: class %zu, score of %zu %.3f\n", model, picture, best(&net), class,
                  score);
    assert_int_equal(best(&net), class);
    assert_true(fabs(score - expected) <= tolerance);
    net_close(&net);
}

static void mobilenets(void **state)
{
    (void)state;
    const char *burger = "models/tflite/samples/burger.jpg";
    const char *cat = "models/tflite/samples/cat.bmp";
    /* The whole picture, stretched. Float: within 0.01; the quantised answers were had with float
     * maths on rounded values, so TFLite's own arithmetic may differ by more. */
    look("mobilenet_v1_0.25_224_float", burger, 934, 0.988, 0.01);
    look("mobilenet_v1_0.25_224_float", cat, 286, 0.486, 0.01);
    look("mobilenet_v1_0.25_224_quant", burger, 934, 0.969, 0.01);
    look("mobilenet_v1_0.25_224_quant", cat, 286, 0.426, 0.035);
    look("mobilenet_v2_1.0_224_quant", burger, 934, 0.977, 0.01);
    look("mobilenet_v2_1.0_224_quant", cat, 286, 0.762, 0.01);
}

/* The bytes of these pictures are i8 bit patterns. */
static void person_detection(void **state)
{
    (void)state;
    static const char *const pictures[2] = {"models/tflite/samples/tflm/no_person.bmp",
                                            "models/tflite/samples/tflm/person.bmp"};
    static const double expected[2] = {0.266, 0.941};
    struct net net;
    struct data_preprocess p;
    net_open(&net, "tflm_person_detect");
    assert_int_equal(data_preprocess_of_model(net.model, &p, NULL), LEDGE_OK);
    p.raw = true;
    for (int i = 0; i < 2; i++) {
        see(&net, pictures[i], &p);
        double person = real_at(&net.outputs[0], 1);
        print_message("%s: person %.3f\n", pictures[i], person);
        assert_true(fabs(person - expected[i]) < 0.02);
    }
    net_close(&net);
}

/* The golden mask holds class x 10; at most 1 % of the pixels may differ. */
static void segmentation(void **state)
{
    (void)state;
    struct net net;
    struct sys_image golden;
    struct data_preprocess p;
    net_open(&net, "deeplabv3_257_float");
    assert_int_equal(data_preprocess_of_model(net.model, &p, NULL), LEDGE_OK);
    p.mean[0] = p.mean[1] = p.mean[2] = 0.5;
    p.std[0] = p.std[1] = p.std[2] = 0.5;
    see(&net, "models/tflite/samples/segmentation_input_rotation0.jpg", &p);
    assert_int_equal(sys_image_load(path_of("models/tflite/samples/"
                                            "segmentation_golden_rotation0.png"),
                                    1, &golden, NULL),
                     LEDGE_OK);
    const float *scores = net.outputs[0].data;
    int32_t wrong = 0;
    for (int32_t i = 0; i < 257 * 257; i++) {
        int32_t top = 0;
        for (int32_t c = 1; c < 21; c++) {
            top = scores[i * 21 + c] > scores[i * 21 + top] ? c : top;
        }
        wrong += top * 10 != golden.pixels[i];
    }
    print_message("deeplabv3_257_float: %d of %d pixels differ\n", (int)wrong, 257 * 257);
    assert_true(wrong < 257 * 257 / 100);
    sys_image_done(&golden);
    net_close(&net);
}

/* The picture as side x side pixels, each the blend of the four nearest: what the known boxes were
 * had with (a filter that looks at all pixels gives others). */
static void sample(const struct sys_image *image, int32_t side, uint8_t *to)
{
    for (int32_t i = 0; i < side * side; i++) {
        double y = fmax((i / side + 0.5) * image->height / side - 0.5, 0);
        double x = fmax((i % side + 0.5) * image->width / side - 0.5, 0);
        int32_t top = (int32_t)y, left = (int32_t)x;
        int32_t bottom = top + 1 < image->height ? top + 1 : top;
        int32_t right = left + 1 < image->width ? left + 1 : left;
        for (int32_t c = 0; c < 3; c++) {
            const uint8_t *pixels = image->pixels + c;
            double above = pixels[3 * (top * image->width + left)] * (left + 1 - x) +
                           pixels[3 * (top * image->width + right)] * (x - left);
            double below = pixels[3 * (bottom * image->width + left)] * (left + 1 - x) +
                           pixels[3 * (bottom * image->width + right)] * (x - left);
            to[3 * i + c] = (uint8_t)lround(above * (top + 1 - y) + below * (y - top));
        }
    }
}

/* Boxes in pixels of the picture, as x, y, width, height: at most 1 % of its side off; scores 0.05.
 */
static void detection(void **state)
{
    (void)state;
    static const struct {
        double box[4], class, score; /* COCO: 16 cat, 17 dog, counted from 0 */
    } expected[4] = {{{54, 396, 393, 196}, 16, 0.645},
                     {{602, 157, 394, 447}, 16, 0.609},
                     {{259, 394, 181, 209}, 16, 0.563},
                     {{387, 197, 281, 409}, 17, 0.500}};
    const double width = 1200, height = 600;
    struct net net;
    struct sys_image image;
    net_open(&net, "ssd_mobilenet_v1_coco_quant");
    assert_int_equal(
        sys_image_load(path_of("models/tflite/samples/cats_and_dogs.jpg"), 3, &image, NULL),
        LEDGE_OK);
    sample(&image, 300, net.inputs[0].data);
    sys_image_done(&image);
    net_run(&net);
    const float *corners = net.outputs[0].data, *classes = net.outputs[1].data;
    const float *scores = net.outputs[2].data;
    assert_int_equal(net.outputs[0].dims[1], 10);
    assert_true(*(const float *)net.outputs[3].data == 10);
    for (int i = 0; i < 4; i++) {
        const float *c = corners + 4 * i; /* top, left, bottom, right */
        double box[4] = {(double)c[1] * width, (double)c[0] * height, (double)(c[3] - c[1]) * width,
                         (double)(c[2] - c[0]) * height};
        print_message("ssd: class %g score %.3f box %.0f,%.0f,%.0f,%.0f\n", (double)classes[i],
                      (double)scores[i], box[0], box[1], box[2], box[3]);
        assert_true((double)classes[i] == expected[i].class);
        assert_true(fabs((double)scores[i] - expected[i].score) <= 0.05);
        for (int k = 0; k < 4; k++) {
            assert_true(fabs(box[k] - expected[i].box[k]) <= 0.01 * (k % 2 == 0 ? width : height));
        }
    }
    net_close(&net);
}

/* -- sounds: 16 bits, one channel, 16 kHz -- */

static size_t read_wav(const char *name, struct ledge_buf *file, const int16_t **samples)
{
    *file = LEDGE_BUF_INIT(1 << 20);
    assert_int_equal(sys_file_read(path_of(name), file, NULL), LEDGE_OK);
    for (size_t at = 12; at + 8 <= file->len;) {
        uint32_t bytes;
        memcpy(&bytes, file->data + at + 4, sizeof bytes);
        assert_true(bytes <= file->len - at - 8);
        if (memcmp(file->data + at, "data", 4) == 0) {
            *samples = (const int16_t *)(file->data + at + 8);
            return bytes / 2;
        }
        at += 8 + (size_t)bytes;
    }
    fail_msg("%s: no samples", name);
    return 0;
}

static void sound_events(void **state)
{
    (void)state;
    struct net net;
    struct ledge_buf file;
    const int16_t *samples;
    net_open(&net, "yamnet_audio_classifier");
    size_t n = read_wav("models/tflite/samples/speech.wav", &file, &samples);
    assert_true(n >= 15600);
    for (size_t i = 0; i < 15600; i++) { /* the end of it */
        ((float *)net.inputs[0].data)[i] = (float)samples[n - 15600 + i] / 32768.0f;
    }
    net_run(&net);
    double speech = real_at(&net.outputs[0], 0), room = real_at(&net.outputs[0], 500);
    print_message("yamnet: speech %.4f, small room %.4f\n", speech, room);
    assert_int_equal(best(&net), 0);
    assert_true(fabs(speech - 0.957) <= 0.004 && fabs(room - 0.0195) <= 0.004);
    ledge_buf_done(&file);
    net_close(&net);
}

/* 49 windows of 30 ms, one each 20 ms, become 40 numbers each; the front end keeps its estimate of
 * the noise from window to window. */
static void speech_commands(void **state)
{
    (void)state;
    static const char *const names[4] = {"silence", "noise", "yes", "no"};
    static const size_t labels[4] = {0, 0, 2, 3}; /* silence, unknown, yes, no */
    struct net front, net;
    net_open(&front, "tflm_audio_preprocessor_int8");
    net_open(&net, "tflm_micro_speech_quantized");
    for (int i = 0; i < 4; i++) {
        char path[128];
        struct ledge_buf file;
        const int16_t *samples;
        (void)snprintf(path, sizeof path, "models/tflite/samples/tflm/%s_1000ms.wav", names[i]);
        assert_true(read_wav(path, &file, &samples) >= 48 * 320 + 480);
        ledge_session_reset(front.session);
        for (size_t w = 0; w < 49; w++) {
            memcpy(front.inputs[0].data, samples + w * 320, 480 * sizeof *samples);
            net_run(&front);
            memcpy((char *)net.inputs[0].data + w * 40, front.outputs[0].data, 40);
        }
        net_run(&net);
        print_message("micro_speech: %s is %zu with %.3f\n", names[i], best(&net),
                      real_at(&net.outputs[0], best(&net)));
        assert_int_equal(best(&net), labels[i]);
        ledge_buf_done(&file);
    }
    net_close(&front);
    net_close(&net);
}

/* -- every model runs -- */

static void try_model(const char *name)
{
    struct net net;
    net_open(&net, name);
    for (int step = 0; step < 2; step++) { /* twice: what is kept from run to run */
        net_run(&net);
        for (int32_t k = 0; k < net.n_out; k++) {
            for (size_t i = 0; i < count_of(&net.outputs[k]); i++) {
                assert_true(isfinite(real_at(&net.outputs[k], i)));
            }
        }
    }
    net_close(&net);
}

static void each_model_runs(void **state)
{
    (void)state;
    DIR *folder = opendir(path_of("models/tflite"));
    int n = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[256];
        (void)snprintf(name, sizeof name, "%s", entry->d_name);
        char *end = strstr(name, ".tflite");
        if (end != NULL) {
            *end = '\0';
            try_model(name);
            n++;
        }
    }
    (void)closedir(folder);
    assert_true(n >= 35);
}

int main(void)
{
    const char *given = getenv("LEDGE_DATA");
    data_root = given != NULL ? given : LEDGE_SHARED_DATA;
    if (!sys_file_exists(path_of("models/tflite/mlperf_kws_int8.tflite"))) {
        (void)printf("skipped: no models below %s\n", data_root);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyword_spotting),
        cmocka_unit_test(cifar10),
        cmocka_unit_test(mnist),
        cmocka_unit_test(mobilenets),
        cmocka_unit_test(person_detection),
        cmocka_unit_test(segmentation),
        cmocka_unit_test(detection),
        cmocka_unit_test(sound_events),
        cmocka_unit_test(speech_commands),
        cmocka_unit_test(each_model_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
