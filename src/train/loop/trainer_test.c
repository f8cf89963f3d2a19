/* SPDX-License-Identifier: Apache-2.0 */
/* A whole run on a small made-up set: it learns; its bytes do not depend on threads, stops, or
 * SIGKILL; transfer; refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "data/philox.h"
#include "engine/port/port.h"
#include "import/import.h"
#include "sys/file.h"
#include "train/arch/arch.h"
#include "train/loop/trainer.h"

enum { SIDE = 16, SAMPLES = 120, CLASSES = 3 };

static char folder[] = "/tmp/ledge-trainer-XXXXXX";
static struct ledge_error err;

static void must(enum ledge_status status)
{
    if (status != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
}

static const char *in_folder(const char *name)
{
    static char text[8][256];
    static int next;
    char *t = text[next++ % 8];
    (void)snprintf(t, sizeof text[0], "%s/%s", folder, name);
    return t;
}

/* Class 0: a bright upper half, 1: a bright left half, 2: a bright middle; with noise. */
static uint8_t pixel(int label, int sample, int y, int x)
{
    bool bright = label == 0   ? y < SIDE / 2
                  : label == 1 ? x < SIDE / 2
                               : abs(x - SIDE / 2) < 4 && abs(y - SIDE / 2) < 4;
    uint32_t noise = data_philox(3, (uint64_t)sample, (uint64_t)(y * SIDE + x)).word[0];
    return (uint8_t)((bright ? 120 : 40) + (int)(noise % 100));
}

static int set_up(void **state)
{
    static uint8_t images[16 + SAMPLES * SIDE * SIDE] = {0, 0, 8, 3,    0, 0, 0, SAMPLES,
                                                         0, 0, 0, SIDE, 0, 0, 0, SIDE};
    static uint8_t labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, SAMPLES};
    static const char recipe[] =
        "name: small\nseed: 5\n"
        "data: {kind: idx, path: images-idx3-ubyte, val_fraction: 0.25}\n"
        "augment: {shift: 0.1, flip: false, brightness: 0.1}\n"
        "model: {arch: cnn4, width: 0.25, dropout: 0.1}\n"
        "train: {epochs: 4, batch: 16, lr: 0.01, optimizer: adam, weight_decay: 0.0001}\n";
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < SAMPLES; i++) {
        labels[8 + i] = (uint8_t)(i % CLASSES);
        for (int k = 0; k < SIDE * SIDE; k++) {
            images[16 + i * SIDE * SIDE + k] = pixel(i % CLASSES, i, k / SIDE, k % SIDE);
        }
    }
    must(sys_file_write(in_folder("images-idx3-ubyte"), images, sizeof images, 0600, &err));
    must(sys_file_write(in_folder("labels-idx1-ubyte"), labels, sizeof labels, 0600, &err));
    must(sys_file_write(in_folder("recipe.yaml"), recipe, sizeof recipe - 1, 0600, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sys_tree_remove(folder, NULL) == LEDGE_OK ? 0 : -1;
}

/* Stop or die after a number of steps. */
struct fate {
    int64_t steps, at;
    volatile sig_atomic_t stop;
    bool die;
};

static void report(void *user, const struct train_report *r)
{
    struct fate *fate = user;
    if (!r->epoch_done && ++fate->steps == fate->at) {
        if (fate->die) {
            (void)raise(SIGKILL);
        }
        fate->stop = 1;
    }
}

static enum ledge_status run(const char *out, int32_t threads, bool resume, struct fate *fate,
                             const char *const *sets, size_t n_sets, struct train_result *result)
{
    struct train_recipe recipe;
    struct fate none = {0};
    fate = fate != NULL ? fate : &none;
    struct train_options options = {.out = in_folder(out),
                                    .resume = resume,
                                    .threads = threads,
                                    .stop = &fate->stop,
                                    .report = report,
                                    .user = fate};
    must(train_recipe_load(in_folder("recipe.yaml"), sets, n_sets, &recipe, &err));
    enum ledge_status status = train_run(&recipe, &options, result, &err);
    train_recipe_done(&recipe);
    return status;
}

static struct ledge_buf bytes_of(const char *name)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(16 << 20);
    must(sys_file_read(in_folder(name), &buf, &err));
    return buf;
}

static void assert_same(const char *a, const char *b)
{
    struct ledge_buf x = bytes_of(a);
    struct ledge_buf y = bytes_of(b);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    ledge_buf_done(&x);
    ledge_buf_done(&y);
}

static int count_lines(const char *name)
{
    struct ledge_buf text = bytes_of(name);
    int lines = 0;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    ledge_buf_done(&text);
    return lines;
}

static void test_learns(void **state)
{
    (void)state;
    struct train_result result;
    must(run("straight", 1, false, NULL, NULL, 0, &result));
    assert_int_equal(result.n_classes, CLASSES);
    assert_int_equal(result.train_samples + result.val_samples, SAMPLES);
    print_message("validation accuracy %.3f\n", result.accuracy);
    assert_true(result.accuracy >= 0.9);
    assert_int_equal(count_lines("straight/metrics.jsonl"), 4);
    /* What was written is a model that says what it is. */
    struct ledge_graph graph;
    struct ledge_buf bytes = bytes_of("straight/model.onnx");
    ledge_graph_init(&graph, ledge_allocator_default());
    must(ledge_import_onnx(bytes.data, bytes.len, &graph, &err));
    assert_string_equal(ledge_graph_metadata(&graph, "ledge.labels"), "0\n1\n2");
    assert_non_null(strstr(ledge_graph_metadata(&graph, "ledge.preprocess"), "\"width\":16"));
    assert_int_equal(strlen(ledge_graph_metadata(&graph, "ledge.recipe.sha256")), 64);
    assert_string_equal(ledge_graph_metadata(&graph, "ledge.data.sha256"), result.data_sha256);
    for (int32_t i = 0; i < graph.n_nodes; i++) {
        assert_string_not_equal(graph.nodes[i].op, "Dropout");
    }
    ledge_graph_done(&graph);
    ledge_buf_done(&bytes);
}

static void test_threads(void **state)
{
    (void)state;
    struct train_result result;
    for (int32_t threads = 2; threads <= 3; threads++) {
        must(run("threads", threads, false, NULL, NULL, 0, &result));
        assert_same("straight/model.onnx", "threads/model.onnx");
    }
}

/* Stopped in the middle of epochs, at an epoch's last step, resumed each time. */
static void test_stop(void **state)
{
    (void)state;
    struct train_result result;
    static const int64_t after[] = {1, 5, 6, 4};
    enum ledge_status status = LEDGE_OK;
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        struct fate fate = {.at = after[i]};
        status = run("stopped", 2, i > 0, &fate, NULL, 0, &result);
        assert_int_equal(status, LEDGE_ERR_CANCELLED);
        assert_non_null(strstr(err.text, "--resume goes on there"));
    }
    must(run("stopped", 1, true, NULL, NULL, 0, &result));
    assert_same("straight/model.onnx", "stopped/model.onnx");
    assert_int_equal(count_lines("stopped/metrics.jsonl"), 4);
    /* Nothing left to do: the same file again. */
    must(run("stopped", 1, true, NULL, NULL, 0, &result));
    assert_same("straight/model.onnx", "stopped/model.onnx");
}

static void test_kill(void **state)
{
    (void)state;
    struct train_result result;
    static const int64_t after[] = {2, 8, 7, 9};
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct fate fate = {.at = after[i], .die = true};
            (void)run("killed", 2, true, &fate, NULL, 0, &result);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    must(run("killed", 1, true, NULL, NULL, 0, &result));
    assert_same("straight/model.onnx", "killed/model.onnx");
    assert_int_equal(count_lines("killed/metrics.jsonl"), 4);
}

static void test_refusals(void **state)
{
    (void)state;
    struct train_result result;
    static const char *const seed[] = {"seed=6"};
    static const char *const fast[] = {"train.lr=100", "train.optimizer=sgd", "model.arch=lenet5",
                                       "train.weight_decay=10"};
    assert_int_equal(run("straight", 1, true, NULL, seed, 1, &result), LEDGE_ERR_STATE);
    assert_non_null(strstr(err.text, "another recipe"));
    struct ledge_buf bytes = bytes_of("straight/checkpoint.bin");
    bytes.data[bytes.len / 2] ^= 1;
    must(sys_dir_make(in_folder("broken"), &err));
    must(sys_file_write(in_folder("broken/checkpoint.bin"), bytes.data, bytes.len, 0600, &err));
    ledge_buf_done(&bytes);
    assert_int_equal(run("broken", 1, true, NULL, NULL, 0, &result), LEDGE_ERR_CORRUPT);
    assert_int_equal(run("fast", 1, false, NULL, fast, 4, &result), LEDGE_ERR_RANGE);
    assert_non_null(strstr(err.text, "lower train.lr"));
}

/* Weights of the first convolution. */
static const float *first_weights(const char *name, struct ledge_graph *graph,
                                  struct ledge_buf *bytes)
{
    *bytes = bytes_of(name);
    ledge_graph_init(graph, ledge_allocator_default());
    must(ledge_import_onnx(bytes->data, bytes->len, graph, &err));
    int32_t value = ledge_graph_find(graph, "conv1.weight");
    assert_true(value >= 0);
    return graph->values[value].data;
}

static void transfer_case(const char *out, const char *freeze, bool same)
{
    char base[300];
    char frozen[64];
    struct train_result result;
    struct ledge_graph graphs[2];
    struct ledge_buf bytes[2];
    (void)snprintf(base, sizeof base, "model.base=%s", in_folder("straight/model.onnx"));
    (void)snprintf(frozen, sizeof frozen, "model.freeze=%s", freeze);
    const char *const sets[] = {base, frozen, "data.classes=[2, 0]", "train.epochs=2"};
    must(run(out, 2, false, NULL, sets, 4, &result));
    assert_int_equal(result.n_classes, 2);
    char model[64];
    (void)snprintf(model, sizeof model, "%s/model.onnx", out);
    const float *a = first_weights("straight/model.onnx", &graphs[0], &bytes[0]);
    const float *b = first_weights(model, &graphs[1], &bytes[1]);
    assert_true((memcmp(a, b, 4 * 9 * sizeof *a) == 0) == same);
    assert_string_equal(ledge_graph_metadata(&graphs[1], "ledge.labels"), "2\n0");
    for (int i = 0; i < 2; i++) {
        ledge_graph_done(&graphs[i]);
        ledge_buf_done(&bytes[i]);
    }
}

static void test_transfer(void **state)
{
    (void)state;
    transfer_case("frozen", "true", true);
    transfer_case("thawed", "false", false);
}

/* Every architecture runs one epoch, on an input that is not square to its liking. */
static void test_architectures(void **state)
{
    (void)state;
    static const char *const archs[] = {"model.arch=lenet5",  "model.arch=ds-cnn",
                                        "model.arch=resnet8", "model.arch=mobilenet-v1-0.25",
                                        "model.arch=mlp",     "model.arch=cnn4"};
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++) {
        struct train_result result;
        const char *const sets[] = {archs[i],          "train.epochs=1",     "input.width=40",
                                    "input.height=33", "input.channels=3",   "model.head=flat",
                                    "data.limit=32",   "model.output=logits"};
        must(run("arch", 2, false, NULL, sets, 8, &result));
        print_message("%s: %lld parameters\n", archs[i], (long long)result.parameters);
        assert_true(result.parameters > 1000);
    }
    struct train_result result;
    static const char *const small[] = {"input.width=8", "input.height=8"};
    assert_int_equal(run("arch", 1, false, NULL, small, 2, &result), LEDGE_ERR_SHAPE);
    assert_non_null(strstr(err.text, "too small"));
}

/* A table: standardised in the graph, so that one feature in thousands does not hide the other. */
static void test_table(void **state)
{
    (void)state;
    struct ledge_buf text = LEDGE_BUF_INIT(1 << 20);
    struct train_result result;
    (void)ledge_buf_text(&text, "height,width,kind\n");
    for (int i = 0; i < 200; i++) {
        struct data_philox r = data_philox(8, 0, (uint64_t)i);
        double a = (double)data_philox_signed(r.word[0]);
        double b = (double)data_philox_signed(r.word[1]);
        (void)ledge_buf_printf(&text, "%.4f,%.4f,%s\n", 5000 + 900 * a, 0.01 * b,
                               a * b > 0 ? "like" : "unlike");
    }
    must(sys_file_write(in_folder("table.csv"), text.data, text.len, 0600, &err));
    ledge_buf_done(&text);
    char path[300];
    (void)snprintf(path, sizeof path, "data.path=%s", in_folder("table.csv"));
    const char *const sets[] = {path, "data.kind=csv", "model.arch=mlp", "train.epochs=40",
                                "model.dropout=0"};
    must(run("table", 2, false, NULL, sets, 5, &result));
    print_message("table: accuracy %.3f\n", result.accuracy);
    assert_true(result.accuracy >= 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_stop),          cmocka_unit_test(test_kill),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_transfer),
        cmocka_unit_test(test_architectures), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
