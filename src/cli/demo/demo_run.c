/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/demo/demo_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"

enum ledge_status demo_run_init(struct demo_run *run, const char *work, struct ledge_error *err)
{
    *run = (struct demo_run){.n_daemons = 0};
    ssize_t n = readlink("/proc/self/exe", run->bin, sizeof run->bin - 1);
    char *slash = n > 0 ? memrchr(run->bin, '/', (size_t)n) : NULL;
    if (slash == NULL) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot tell where this program stands");
    }
    *slash = '\0';
    if (work != NULL) {
        LEDGE_TRY(sys_dir_make(work, err));
        return sys_path_real(work, run->work,
                             err); /* functions have working folders of their own */
    }
    const char *temporary = getenv("TMPDIR");
    LEDGE_TRY(
        sys_path(run->work, err, "%s/ledge-demo-XXXXXX", temporary != NULL ? temporary : "/tmp"));
    if (mkdtemp(run->work) == NULL) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: %s", run->work, strerror(errno));
    }
    return LEDGE_OK;
}

enum ledge_status demo_share(const struct demo_run *run, const char *name, char path[SYS_PATH],
                             struct ledge_error *err)
{
    LEDGE_TRY(sys_path(path, err, "%s/../share/ledge/%s", run->bin, name));
    if (sys_file_exists(path)) {
        return LEDGE_OK;
    }
    LEDGE_TRY(sys_path(path, err, "%s/../../../examples/%s", run->bin, name));
    if (sys_file_exists(path)) {
        return LEDGE_OK;
    }
    return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "%s: not beside the programs in %s", name,
                      run->bin);
}

struct arguments {
    const char *items[DEMO_ARGS];
    char program[SYS_PATH];
};

static enum ledge_status gather(const struct demo_run *run, struct arguments *arguments,
                                const char *program, va_list list, struct ledge_error *err)
{
    LEDGE_TRY(sys_path(arguments->program, err, "%s/%s", run->bin, program));
    int n = 0;
    arguments->items[n++] = arguments->program;
    for (const char *item = va_arg(list, const char *); item != NULL;
         item = va_arg(list, const char *)) {
        if (n + 1 == DEMO_ARGS) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "%s: too many arguments", program);
        }
        arguments->items[n++] = item;
    }
    arguments->items[n] = NULL;
    return LEDGE_OK;
}

/* The child's side: standard output to fd, standard error to the log. Does not return. */
static void become(const struct arguments *arguments, int out, int log)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(log, 2) < 0) {
        _exit(127);
    }
    execv(arguments->program, (char *const *)arguments->items);
    dprintf(2, "%s: %s\n", arguments->program, strerror(errno));
    _exit(127);
}

static enum ledge_status open_log(const struct demo_run *run, const char *name, int *log,
                                  struct ledge_error *err)
{
    char path[SYS_PATH];
    LEDGE_TRY(sys_path(path, err, "%s/%s.log", run->work, name));
    *log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (*log < 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: %s", path, strerror(errno));
    }
    return LEDGE_OK;
}

/* Show the last line of what a tool says, on a terminal only. */
static void show(const char *text, size_t n)
{
    if (!isatty(STDERR_FILENO) || n == 0) {
        return;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) {
        n--;
    }
    size_t start = n;
    while (start > 0 && text[start - 1] != '\n' && text[start - 1] != '\r') {
        start--;
    }
    int width = (int)(n - start < 90 ? n - start : 90);
    fprintf(stderr, "\r\033[K    %.*s", width, text + start);
}

static void drain(int fd, int log, struct ledge_buf *out)
{
    char piece[4096];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        if (write(log, piece, (size_t)n) != n) {
            break;
        }
        if (out != NULL) {
            (void)ledge_buf_add(out, piece, (size_t)n);
        }
        show(piece, (size_t)n);
    }
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K");
    }
}

enum ledge_status demo_tool(const struct demo_run *run, const char *log, struct ledge_buf *out,
                            int *code, struct ledge_error *err, const char *program, ...)
{
    struct arguments arguments;
    va_list list;
    va_start(list, program);
    enum ledge_status status = gather(run, &arguments, program, list, err);
    va_end(list);
    LEDGE_TRY(status);
    int log_fd, pair[2];
    LEDGE_TRY(open_log(run, log, &log_fd, err));
    if (pipe2(pair, O_CLOEXEC) != 0) {
        close(log_fd);
        return ledge_fail(err, LEDGE_ERR_IO, "pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        become(&arguments, pair[1], log_fd);
    }
    close(pair[1]);
    int wait_status = 0;
    if (child > 0) {
        drain(pair[0], log_fd, out);
        while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) {
        }
    }
    close(pair[0]);
    close(log_fd);
    if (child < 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: %s", program, strerror(errno));
    }
    *code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    return LEDGE_OK;
}

enum ledge_status demo_daemon(struct demo_run *run, const char *log, struct ledge_error *err,
                              const char *program, ...)
{
    struct arguments arguments;
    va_list list;
    va_start(list, program);
    enum ledge_status status = gather(run, &arguments, program, list, err);
    va_end(list);
    LEDGE_TRY(status);
    int log_fd;
    LEDGE_TRY(open_log(run, log, &log_fd, err));
    pid_t child = run->n_daemons < DEMO_DAEMONS ? fork() : -1;
    if (child == 0) {
        become(&arguments, log_fd, log_fd);
    }
    close(log_fd);
    if (child < 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: cannot be started", program);
    }
    run->daemons[run->n_daemons++] = child;
    return LEDGE_OK;
}

int demo_daemons_alive(struct demo_run *run)
{
    for (int i = 0; i < run->n_daemons; i++) {
        if (waitpid(run->daemons[i], NULL, WNOHANG) != 0) {
            return 0;
        }
    }
    return 1;
}

void demo_stop_all(struct demo_run *run)
{
    enum { GRACE_MS = 8000, STEP_MS = 20 };
    while (run->n_daemons > 0) {
        pid_t child = run->daemons[--run->n_daemons];
        kill(child, SIGTERM);
        int waited = 0;
        while (waitpid(child, NULL, WNOHANG) == 0) {
            if (waited == GRACE_MS) {
                kill(-child, SIGKILL);
            }
            (void)poll(NULL, 0, STEP_MS);
            waited += STEP_MS;
        }
    }
}

/* nftw() has no argument for its callback. */
static struct {
    size_t from_length;
    const char *to;
    struct ledge_error *err;
} copying;

static int copy_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    enum { MAX_BYTES = 64 << 20 };
    char target[SYS_PATH], folder[SYS_PATH];
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf file = LEDGE_BUF_INIT(MAX_BYTES);
    (void)info;
    (void)where;
    if (type != FTW_F) {
        return 0;
    }
    if (sys_path(target, copying.err, "%s/%s", copying.to, path + copying.from_length) !=
            LEDGE_OK ||
        sys_path(folder, copying.err, "%.*s", (int)(strrchr(target, '/') - target), target) !=
            LEDGE_OK ||
        sys_dir_make(folder, copying.err) != LEDGE_OK ||
        sys_file_read(path, &file, copying.err) != LEDGE_OK ||
        sys_file_write(target, file.data, file.len, 0644, copying.err) != LEDGE_OK) {
        return 1;
    }
    return 0;
}

enum ledge_status demo_copy_tree(const char *from, const char *to, struct ledge_error *err)
{
    copying.from_length = strlen(from) + 1;
    copying.to = to;
    copying.err = err;
    int failed = nftw(from, copy_one, 16, FTW_PHYS);
    if (failed < 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: %s", from, strerror(errno));
    }
    return failed == 0 ? LEDGE_OK : LEDGE_ERR_IO;
}
