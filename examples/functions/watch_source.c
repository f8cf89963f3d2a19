/* SPDX-License-Identifier: Apache-2.0 */
/* watch_source.c -- where frames come from: the pictures of a folder, or ffmpeg. */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch.h"

enum { MAX_PICTURE = 64 * 1024 * 1024 };

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

/* -- a folder -----------------------------------------------------------------------------------
 */

static const char *type_of(const char *name)
{
    const char *end = strrchr(name, '.');
    if (end == NULL || strchr(name, '\n') != NULL) {
        return NULL;
    }
    if (strcasecmp(end, ".png") == 0) {
        return "image/png";
    }
    return strcasecmp(end, ".jpg") == 0 || strcasecmp(end, ".jpeg") == 0 ? "image/jpeg" : NULL;
}

/* nftw() has no argument for its callback. */
static struct watch_source *listing;
static size_t max_listed;

static int on_file(const char *path, const struct stat *about, int kind, struct FTW *at)
{
    (void)about;
    (void)at;
    const char *name = path + strlen(listing->config->source);
    name += strspn(name, "/");
    if (kind != FTW_F || type_of(name) == NULL ||
        strlen(name) >= sizeof(((struct watch_frame *)NULL)->name)) {
        return 0;
    }
    if (listing->n_names == max_listed) {
        max_listed = max_listed > 0 ? 2 * max_listed : 256;
        listing->names = realloc(listing->names, max_listed * sizeof(listing->names[0]));
    }
    char *copy = listing->names != NULL ? strdup(name) : NULL;
    if (copy == NULL) {
        watch_log("out of memory");
        exit(1);
    }
    listing->names[listing->n_names++] = copy;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014. */
static uint64_t splitmix64(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Once, until there was one. */
static void tell_empty(struct watch_source *source)
{
    char here[4096];
    if (source->n_names == 0 && !source->told) {
        watch_log("no picture in %s (from %s) yet", source->config->source,
                  getcwd(here, sizeof(here)) != NULL ? here : "?");
    }
    source->told = source->n_names == 0;
}

static void list_folder(struct watch_source *source, const struct watch_state *state)
{
    for (size_t i = 0; i < source->n_names; i++) {
        free(source->names[i]);
    }
    source->n_names = 0;
    listing = source;
    nftw(source->config->source, on_file, 16, 0);
    if (source->n_names > 0) {
        qsort(source->names, source->n_names, sizeof(source->names[0]), by_name);
    }
    if (strcmp(source->config->order, "shuffled") == 0) {
        uint64_t random = (uint64_t)source->config->seed + state->round;
        for (size_t i = source->n_names; i-- > 1;) {
            size_t k = (size_t)(splitmix64(&random) % (i + 1));
            char *swap = source->names[i];
            source->names[i] = source->names[k];
            source->names[k] = swap;
        }
    }
    source->listed = true;
    source->listed_round = state->round;
    tell_empty(source);
}

static bool read_picture(const char *path, struct watch_frame *frame)
{
    struct stat about;
    FILE *file = fopen(path, "rbe");
    if (file == NULL || fstat(fileno(file), &about) != 0 || about.st_size > MAX_PICTURE) {
        watch_log("%s: %s; left out", path, file == NULL ? strerror(errno) : "too large");
        if (file != NULL) {
            fclose(file);
        }
        return false;
    }
    frame->bytes = malloc((size_t)about.st_size + 1);
    frame->n = frame->bytes != NULL ? fread(frame->bytes, 1, (size_t)about.st_size, file) : 0;
    fclose(file);
    return frame->bytes != NULL;
}

static void pace(struct watch_source *source)
{
    if (source->config->fps > 0) {
        double now = watch_now();
        source->due = source->due > now - 1 ? source->due : now - 1;
        watch_wait(source->due - now);
        source->due += 1 / source->config->fps;
    }
}

static bool next_of_folder(struct watch_source *source, struct watch_state *state,
                           struct watch_frame *frame)
{
    char path[4096];
    if (!source->listed || source->listed_round != state->round) {
        list_folder(source, state);
    }
    if (state->index >= source->n_names) {
        if (source->n_names == 0 || (!source->config->loop && state->round == 0)) {
            watch_wait(1);
            source->listed = source->n_names > 0;
            return false;
        }
        state->round++;
        state->index = 0;
        return false;
    }
    pace(source);
    const char *name = source->names[state->index];
    snprintf(frame->name, sizeof(frame->name), "%s", name);
    snprintf(path, sizeof(path), "%s/%s", source->config->source, name);
    frame->content_type = type_of(name);
    if (!read_picture(path, frame)) {
        state->index++;
        return false;
    }
    return true;
}

/* -- ffmpeg -------------------------------------------------------------------------------------
 */

static void start_ffmpeg(struct watch_source *source)
{
    const char *address = source->config->source;
    char rate[32];
    bool v4l2 = starts_with(address, "/dev/");
    int ends[2];
    snprintf(rate, sizeof(rate), "%g", source->config->fps > 0 ? source->config->fps : 30);
    if (pipe(ends) != 0) {
        return;
    }
    source->child = fork();
    if (source->child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("ffmpeg", "ffmpeg", "-nostdin", "-loglevel", "error",
               v4l2 ? "-f" : "-rtsp_transport", v4l2 ? "v4l2" : "tcp", "-i", address, "-r", rate,
               "-q:v", "4", "-f", "mpjpeg", "-", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    source->stream = fdopen(ends[0], "r");
}

/* The next part of a multipart JPEG stream: header lines with its length, an empty line, bytes. */
static bool read_part(FILE *stream, struct watch_frame *frame)
{
    char line[1024];
    unsigned long size = 0;
    while (stream != NULL && fgets(line, sizeof(line), stream) != NULL) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            size = strtoul(line + 15, NULL, 10);
        } else if (line[strspn(line, "\r\n")] == '\0' && size > 0 && size <= MAX_PICTURE) {
            frame->bytes = malloc(size);
            frame->n = frame->bytes != NULL ? fread(frame->bytes, 1, size, stream) : 0;
            return frame->n == size;
        }
    }
    return false;
}

static bool next_of_ffmpeg(struct watch_source *source, const struct watch_state *state,
                           struct watch_frame *frame)
{
    int status = 0;
    if (source->stream == NULL) {
        start_ffmpeg(source);
    }
    if (read_part(source->stream, frame)) {
        source->delay = 0;
        snprintf(frame->name, sizeof(frame->name), "%s-%09llu", state->run,
                 (unsigned long long)state->number);
        frame->content_type = "image/jpeg";
        return true;
    }
    if (source->stream != NULL) {
        fclose(source->stream);
        source->stream = NULL;
    }
    if (source->child > 0) {
        kill(source->child, SIGKILL);
        waitpid(source->child, &status, 0);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        watch_log("watch: %s needs the program ffmpeg, which is not installed",
                  source->config->source);
        exit(1);
    }
    watch_log("camera ended (%d); starting it again", status);
    watch_back_off(&source->delay);
    return false;
}

/* -- either -------------------------------------------------------------------------------------
 */

void watch_source_open(struct watch_source *source, const struct watch_config *config)
{
    *source = (struct watch_source){.config = config, .due = watch_now(), .child = -1};
    source->simulated = !starts_with(config->source, "/dev/") &&
                        !starts_with(config->source, "rtsp://") &&
                        !starts_with(config->source, "rtsps://");
}

bool watch_source_next(struct watch_source *source, struct watch_state *state,
                       struct watch_frame *frame)
{
    return source->simulated ? next_of_folder(source, state, frame)
                             : next_of_ffmpeg(source, state, frame);
}

void watch_source_advance(struct watch_source *source, struct watch_state *state)
{
    if (source->simulated) {
        state->index++;
    }
}
