/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/demo_data.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "cli/demo/parts.h"
#include "sys/file.h"
#include "sys/process.h"

/* SHA-256 over "digest  path\n" of every picture of the list below, in the list's order. */
#define SIGN_DIGITS_SHA256 "b77d6d76875e504809c13d34baa6ac0fa14523312cfa17ea1e16d0b4cd1e6a64"
#define SIGN_DIGITS_ORIGIN                                                                         \
    "https://codeload.github.com/ardamavi/Sign-Language-Digits-Dataset/tar.gz/4b09433ef9d5"

static const char *const sign_digits[] = {
#include "cli/demo/sign_digits.inc"
};

enum { SIGN_DIGITS = sizeof sign_digits / sizeof sign_digits[0], GENERATED_PER_CLASS = 70 };
enum { PICTURE_BYTES = 1 << 20, MIN_PER_CLASS = 20 };

void demo_data_done(struct demo_data *data)
{
    for (size_t i = 0; i < data->n; i++) {
        free(data->pictures[i].path);
    }
    free(data->pictures);
    *data = (struct demo_data){.n = 0};
}

static enum ledge_status add_picture(struct demo_data *data, const char *path, int label,
                                     struct ledge_error *err)
{
    struct demo_picture *grown = realloc(data->pictures, (data->n + 1) * sizeof data->pictures[0]);
    if (grown == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%s: no memory", path);
    }
    data->pictures = grown;
    struct demo_picture picture = {.path = strdup(path), .label = label};
    if (picture.path == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%s: no memory", path);
    }
    data->pictures[data->n++] = picture;
    return sys_file_sha256(path, data->pictures[data->n - 1].sha256, err);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void free_names(struct dirent **names, int n)
{
    for (int i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
}

static bool is_picture(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 ||
                           strcasecmp(dot, ".png") == 0);
}

static enum ledge_status read_class(struct demo_data *data, const char *folder, int label,
                                    struct ledge_error *err)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, visible, alphasort);
    enum ledge_status status = LEDGE_OK;
    for (int i = 0; i < n && status == LEDGE_OK; i++) {
        char path[SYS_PATH];
        status = sys_path(path, err, "%s/%s", folder, names[i]->d_name);
        if (status == LEDGE_OK && is_picture(names[i]->d_name)) {
            status = add_picture(data, path, label, err);
        }
    }
    free_names(names, n);
    return status;
}

static int by_digest(const void *a, const void *b)
{
    return strcmp(((const struct demo_picture *)a)->sha256,
                  ((const struct demo_picture *)b)->sha256);
}

/* Forget the pictures from number first on: their folder holds too few for a class. */
static void drop_pictures(struct demo_data *data, size_t first)
{
    while (data->n > first) {
        free(data->pictures[--data->n].path);
    }
}

static enum ledge_status read_folder(struct demo_data *data, const char *root,
                                     struct ledge_error *err)
{
    struct dirent **names = NULL;
    int n = scandir(root, &names, visible, alphasort);
    if (n < 0) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "%s: no such folder of class folders", root);
    }
    enum ledge_status status = LEDGE_OK;
    for (int i = 0; i < n && status == LEDGE_OK && data->n_labels < DEMO_CLASSES; i++) {
        char folder[SYS_PATH];
        status = sys_path(folder, err, "%s/%s", root, names[i]->d_name);
        size_t before = data->n;
        if (status == LEDGE_OK) {
            status = read_class(data, folder, data->n_labels, err);
        }
        if (data->n >= before + MIN_PER_CLASS) {
            (void)snprintf(data->labels[data->n_labels++], sizeof data->labels[0], "%.31s",
                           names[i]->d_name);
        } else {
            drop_pictures(data, before);
        }
    }
    free_names(names, n);
    if (status == LEDGE_OK && data->n_labels <= DEMO_JUNIOR_CLASSES) {
        status = ledge_fail(err, LEDGE_ERR_FORMAT,
                            "%s: %d class folders with %d pictures or more, the demo needs %d",
                            root, data->n_labels, MIN_PER_CLASS, DEMO_JUNIOR_CLASSES + 1);
    }
    if (status == LEDGE_OK) {
        qsort(data->pictures, data->n, sizeof data->pictures[0], by_digest);
    }
    return status;
}

enum ledge_status demo_data_generate(const char *root, struct demo_data *data,
                                     struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf file = LEDGE_BUF_INIT(PICTURE_BYTES);
    for (int part = 0; part < DEMO_PARTS; part++) {
        char path[SYS_PATH];
        LEDGE_TRY(sys_path(path, err, "%s/%s", root, demo_part_name(part)));
        LEDGE_TRY(sys_dir_make(path, err));
        for (int i = 0; i < GENERATED_PER_CLASS; i++) {
            struct sys_image image;
            LEDGE_TRY(demo_part_draw(part, (uint64_t)i + 1, &image, err));
            ledge_buf_clear(&file);
            enum ledge_status status = sys_image_encode_jpeg(&image, 90, &file, err);
            sys_image_done(&image);
            LEDGE_TRY(status);
            LEDGE_TRY(sys_path(path, err, "%s/%s/%03d.jpg", root, demo_part_name(part), i));
            LEDGE_TRY(sys_file_write(path, file.data, file.len, 0644, err));
        }
    }
    data->simulated = true;
    (void)snprintf(data->origin, sizeof data->origin,
                   "SIMULATED: machine parts on a belt, drawn by the built-in generator");
    return read_folder(data, root, err);
}

/* Every picture of the list is there and their common digest is right. */
static bool digest_is_right(const char *root)
{
    struct ledge_sha256 all;
    uint8_t digest[LEDGE_SHA256_BYTES];
    char hex[LEDGE_SHA256_HEX];
    ledge_sha256_init(&all);
    for (int i = 0; i < SIGN_DIGITS; i++) {
        char path[SYS_PATH];
        char line[256];
        if (sys_path(path, NULL, "%s/%s", root, sign_digits[i]) != LEDGE_OK ||
            sys_file_sha256(path, hex, NULL) != LEDGE_OK) {
            return false;
        }
        int n = snprintf(line, sizeof line, "%s  %s\n", hex, sign_digits[i]);
        ledge_sha256_add(&all, line, (size_t)n);
    }
    ledge_sha256_end(&all, digest);
    ledge_hex(digest, sizeof digest, hex);
    return strcmp(hex, SIGN_DIGITS_SHA256) == 0;
}

/* False when there is no network; an answer with the wrong digest is removed and told. */
static bool download(const char *root)
{
    char archive[SYS_PATH];
    const char *origin = getenv("LEDGE_DEMO_ORIGIN");
    if (sys_path(archive, NULL, "%s/archive.tar.gz", root) != LEDGE_OK ||
        sys_dir_make(root, NULL) != LEDGE_OK) {
        return false;
    }
    if (digest_is_right(root)) {
        return true;
    }
    const char *fetch[] = {"curl", "-fsSL",      "--connect-timeout",
                           "5",    "--max-time", "180",
                           "-o",   archive,      origin != NULL ? origin : SIGN_DIGITS_ORIGIN,
                           NULL};
    const char *unpack[] = {"tar",         "-xzf",        archive,
                            "-C",          root,          "--strip-components=2",
                            "--wildcards", "*/Dataset/*", NULL};
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf output = LEDGE_BUF_INIT(65536);
    int code = 0;
    if (sys_process_run(fetch, &output, &code, NULL) != LEDGE_OK || code != 0) {
        return false;
    }
    if (sys_process_run(unpack, &output, &code, NULL) != LEDGE_OK || code != 0 ||
        !digest_is_right(root)) {
        bool removed = sys_tree_remove(root, NULL) == LEDGE_OK;
        fprintf(stderr, "demo: the download's SHA-256 is not the expected one: not used%s\n",
                removed ? "" : ", and it could not be removed");
        return false;
    }
    return true;
}

static enum ledge_status read_sign_digits(struct demo_data *data, const char *root,
                                          struct ledge_error *err)
{
    for (int i = 0; i < SIGN_DIGITS; i++) {
        char path[SYS_PATH];
        LEDGE_TRY(sys_path(path, err, "%s/%s", root, sign_digits[i]));
        LEDGE_TRY(add_picture(data, path, sign_digits[i][0] - '0', err));
    }
    for (int i = 0; i < DEMO_CLASSES; i++) {
        (void)snprintf(data->labels[i], sizeof data->labels[i], "%d", i);
    }
    data->n_labels = DEMO_CLASSES;
    qsort(data->pictures, data->n, sizeof data->pictures[0], by_digest);
    return LEDGE_OK;
}

enum ledge_status demo_data_find(const char *option, const char *work, struct demo_data *data,
                                 struct ledge_error *err)
{
    char path[SYS_PATH];
    *data = (struct demo_data){.n = 0};
    if (option != NULL) {
        (void)snprintf(data->origin, sizeof data->origin, "%s", option);
        return read_folder(data, option, err);
    }
    const char *shared = getenv("LEDGE_DATA");
    if (shared != NULL) {
        LEDGE_TRY(sys_path(path, err, "%s/images/sign-digits", shared));
        if (sys_file_exists(path)) {
            (void)snprintf(data->origin, sizeof data->origin,
                           "Sign Language Digits (Apache-2.0), from LEDGE_DATA");
            return read_folder(data, path, err);
        }
    }
    LEDGE_TRY(sys_path(path, err, "%s/download", work));
    if (download(path)) {
        (void)snprintf(data->origin, sizeof data->origin,
                       "Sign Language Digits (Apache-2.0), downloaded, SHA-256 checked");
        return read_sign_digits(data, path, err);
    }
    LEDGE_TRY(sys_path(path, err, "%s/generated", work));
    return demo_data_generate(path, data, err);
}

static enum ledge_status copy_to(const struct demo_picture *picture, const char *work,
                                 const char *part, const char *label, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf file = LEDGE_BUF_INIT(PICTURE_BYTES);
    char path[SYS_PATH];
    LEDGE_TRY(sys_path(path, err, "%s/%s/%s", work, part, label));
    LEDGE_TRY(sys_dir_make(path, err));
    LEDGE_TRY(sys_path(path, err, "%s/%s/%s/%.16s.jpg", work, part, label, picture->sha256));
    LEDGE_TRY(sys_file_read(picture->path, &file, err));
    return sys_file_write(path, file.data, file.len, 0644, err);
}

enum ledge_status demo_data_lay_out(const struct demo_data *data, const char *work,
                                    struct demo_split *split, struct ledge_error *err)
{
    int total[DEMO_CLASSES] = {0};
    int seen[DEMO_CLASSES] = {0};
    *split = (struct demo_split){.test = 0};
    for (size_t i = 0; i < data->n; i++) {
        total[data->pictures[i].label]++;
    }
    for (size_t i = 0; i < data->n; i++) {
        const struct demo_picture *picture = &data->pictures[i];
        const char *label = data->labels[picture->label];
        bool junior = picture->label < DEMO_JUNIOR_CLASSES;
        int number = seen[picture->label]++;
        if (number < total[picture->label] / 5) {
            LEDGE_TRY(copy_to(picture, work, "test", label, err));
            split->test++;
            if (junior) {
                LEDGE_TRY(copy_to(picture, work, "test-junior", label, err));
                split->junior_test++;
            }
        } else if (junior && number % 2 == 0) {
            LEDGE_TRY(copy_to(picture, work, "junior", label, err));
            split->junior_train++;
        } else {
            char camera[16];
            (void)snprintf(camera, sizeof camera, "cam-%d", split->camera++ % DEMO_CAMERAS + 1);
            LEDGE_TRY(copy_to(picture, work, camera, ".", err));
        }
    }
    return LEDGE_OK;
}

const char *demo_data_label(const struct demo_data *data, const char *sha256)
{
    struct demo_picture key = {.path = NULL};
    (void)snprintf(key.sha256, sizeof key.sha256, "%s", sha256);
    const struct demo_picture *found =
        bsearch(&key, data->pictures, data->n, sizeof data->pictures[0], by_digest);
    return found != NULL ? data->labels[found->label] : NULL;
}
