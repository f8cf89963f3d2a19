/* SPDX-License-Identifier: Apache-2.0 */
/* process.c -- children on the loop.
 *
 * A child's end is seen by its pidfd (Linux 5.3), not by SIGCHLD: no global handler, no race
 * between loops. When the child itself is gone, the rest of its process group is killed, so that no
 * grandchild of a function outlives it. A failing exec is reported to the parent through a pipe
 * that a good exec closes. */
#define _GNU_SOURCE /* close_range, pipe2 */
#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/status.h"
#include "sys/file.h"

enum { LINE_MAX_BYTES = 4096, READ_ROUNDS = 16, STEADY_MS = 60000, FD_EXEC = 3 };

struct sys_process {
    struct sys_loop *loop;
    struct sys_process_options options; /* its argv, env, cwd are NULL: the copies below count */
    char **argv, **env, *cwd;
    pid_t pid;
    int pidfd, output;
    struct sys_watch *exit_watch, *output_watch;
    struct sys_timer *timer; /* SIGKILL after SIGTERM, or the next start, or the late `stopped` */
    int64_t started_ms;
    int32_t restarts;
    int32_t failures; /* in a row, for the backoff */
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    int busy;   /* callbacks on the stack */
    bool freed; /* by one of them */
    size_t line_bytes;
    char line[LINE_MAX_BYTES + 1];
};

/* -- starting -- */

extern char **environ;

static void free_strings(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        free(list[i]);
    }
    free(list);
}

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL) {
        n++;
    }
    return n;
}

/* first, then those of `second` whose NAME= is not in first; each a copy. */
static char **join_strings(const char *const *first, const char *const *second)
{
    size_t n = count(first);
    size_t m = count(second);
    char **list = calloc(n + m + 1, sizeof *list);
    size_t at = 0;
    for (size_t i = 0; list != NULL && i < n + m; i++) {
        const char *text = i < n ? first[i] : second[i - n];
        size_t name = strcspn(text, "=") + 1;
        bool known = false;
        for (size_t k = 0; i >= n && k < n; k++) {
            known = known || strncmp(first[k], text, name) == 0;
        }
        if (known) {
            continue;
        }
        list[at] = strdup(text);
        if (list[at++] == NULL) {
            free_strings(list);
            return NULL;
        }
    }
    return list;
}

/* argv[0] as a path: itself when it has a slash, else found in PATH. */
static bool find_program(const char *name, char path[PATH_MAX])
{
    if (strchr(name, '/') != NULL) {
        return (size_t)snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    }
    const char *at = getenv("PATH");
    for (at = at == NULL ? "/usr/local/bin:/usr/bin:/bin" : at; *at != '\0';) {
        size_t n = strcspn(at, ":");
        int len = n == 0 ? snprintf(path, PATH_MAX, "./%s", name)
                         : snprintf(path, PATH_MAX, "%.*s/%s", (int)n, at, name);
        if (len > 0 && len < PATH_MAX && access(path, X_OK) == 0) {
            return true;
        }
        at += n + (at[n] == ':' ? 1 : 0);
    }
    return false;
}

/* Between fork and exec: async-signal-safe calls only. Never returns. */
static void run_child(const char *path, char *const *argv, char *const *env, const char *cwd,
                      int output, int failed, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool good = getppid() == parent && nothing >= 0 && dup2(nothing, 0) == 0;
    if (good && output >= 0) {
        good = dup2(output, 1) == 1 && dup2(output, 2) == 2;
    }
    if (failed != FD_EXEC) {
        good = good && dup3(failed, FD_EXEC, O_CLOEXEC) == FD_EXEC;
    }
    if (good && close_range(FD_EXEC + 1, ~0U, 0) != 0) {
        for (int fd = FD_EXEC + 1; fd < 1024; fd++) { /* before Linux 5.9 */
            close(fd);
        }
    }
    if (good && (cwd == NULL || chdir(cwd) == 0)) {
        execve(path, argv, env);
    }
    int code = errno;
    ssize_t unused = write(FD_EXEC, &code, sizeof code);
    (void)unused;
    _exit(127);
}

/* Wait for the child's exec; 0, or the errno of its failure. */
static int exec_result(int fd)
{
    int code = 0;
    ssize_t n;
    while ((n = read(fd, &code, sizeof code)) < 0 && errno == EINTR) {
    }
    return n == (ssize_t)sizeof code ? code : 0;
}

/* *output: the reading end of a pipe for the child's output, when asked for (not NULL). */
static enum ledge_status spawn(char *const *argv, char *const *env, const char *cwd, pid_t *pid,
                               int *output, struct ledge_error *err)
{
    char path[PATH_MAX];
    int failed[2] = {-1, -1};
    int out[2] = {-1, -1};
    if (!find_program(argv[0], path)) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "%.200s: not found in PATH", argv[0]);
    }
    if (pipe2(failed, O_CLOEXEC) != 0 || (output != NULL && pipe2(out, O_CLOEXEC) != 0)) {
        int code = errno;
        close(failed[0]);
        close(failed[1]);
        return ledge_fail(err, LEDGE_ERR_IO, "pipe for %.180s: %s", path, strerror(code));
    }
    pid_t parent = getpid();
    pid_t child = fork();
    int code = errno;
    if (child == 0) {
        run_child(path, argv, env, cwd, out[1], failed[1], parent);
    }
    close(failed[1]);
    close(out[1]);
    if (child > 0) {
        (void)setpgid(child, child); /* also here: kill(-pid) is right from now on */
        code = exec_result(failed[0]);
    }
    close(failed[0]);
    if (child < 0 || code != 0) {
        close(out[0]);
        if (child > 0) {
            (void)waitpid(child, NULL, 0);
        }
        return ledge_fail(err, code == ENOENT ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO,
                          "cannot start %.180s: %s", path, strerror(code));
    }
    *pid = child;
    if (output != NULL) {
        *output = out[0];
    }
    return LEDGE_OK;
}

/* -- a supervised child -- */

/* After a callback: true when the process was freed inside it and must not be touched. */
static bool leave(struct sys_process *p)
{
    if (--p->busy == 0 && p->freed) {
        free(p);
        return true;
    }
    return p->freed;
}

static void put_line(struct sys_process *p)
{
    p->line[p->line_bytes] = '\0';
    p->line_bytes = 0;
    p->options.on_line(p->options.arg, p->line);
}

/* Cut what was read into lines; stops when a callback freed the process. */
static void take_output(struct sys_process *p, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && !p->freed; i++) {
        if (bytes[i] == '\n') {
            put_line(p);
            continue;
        }
        p->line[p->line_bytes++] = bytes[i] == '\0' ? '?' : bytes[i];
        if (p->line_bytes == LINE_MAX_BYTES) {
            put_line(p);
        }
    }
}

/* Read what is there (bounded, so that one chatty child cannot hold the loop). */
static void drain(struct sys_process *p, int rounds)
{
    char bytes[4096];
    while (rounds-- > 0 && !p->freed) {
        ssize_t n = read(p->output, bytes, sizeof bytes);
        if (n > 0) {
            take_output(p, bytes, (size_t)n);
        } else if (n == 0) {
            sys_watch_free(p->output_watch);
            p->output_watch = NULL;
            return;
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void on_output(void *arg, int events)
{
    struct sys_process *p = arg;
    (void)events;
    p->busy++;
    drain(p, READ_ROUNDS);
    (void)leave(p);
}

static void close_child(struct sys_process *p)
{
    sys_watch_free(p->exit_watch);
    sys_watch_free(p->output_watch);
    p->exit_watch = NULL;
    p->output_watch = NULL;
    if (p->pidfd >= 0) {
        close(p->pidfd);
    }
    if (p->output >= 0) {
        close(p->output);
    }
    p->pidfd = -1;
    p->output = -1;
    p->pid = 0;
}

static void start_again(void *arg);

static int64_t backoff(const struct sys_process *p)
{
    int64_t delay = p->options.backoff_ms;
    int64_t limit = p->options.backoff_max_ms;
    for (int32_t k = 0; k < p->failures && k < 30 && (limit <= 0 || delay < limit); k++) {
        delay *= 2;
    }
    if (limit > 0 && delay > limit) {
        delay = limit;
    }
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        random = (uint32_t)sys_monotonic_ms() * 2654435761U;
    }
    return delay / 2 + (int64_t)(random % (uint32_t)(delay / 2 + 1)); /* 50 to 100 % */
}

/* The child is gone with this wait status: tell, and start again or not. */
static void ended(struct sys_process *p, int status)
{
    bool again = p->options.backoff_ms > 0 && !p->stopping;
    sys_timer_free(p->timer);
    p->timer = NULL;
    if (sys_monotonic_ms() - p->started_ms > STEADY_MS) {
        p->failures = 0;
    }
    if (again) {
        p->timer = sys_timer_start(p->loop, backoff(p), 0, start_again, p);
        p->failures++;
    }
    p->busy++;
    if (p->options.on_exit != NULL) {
        p->options.on_exit(p->options.arg, status, again);
    }
    if (!p->freed && p->stopping && p->stopped != NULL) {
        void (*stopped)(void *arg) = p->stopped;
        p->stopped = NULL;
        stopped(p->stopped_arg);
    }
    (void)leave(p);
}

static void on_end(void *arg, int events)
{
    struct sys_process *p = arg;
    int status = 0;
    (void)events;
    /* While the zombie holds the pid, the group's number cannot have gone to somebody else. */
    (void)kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) {
    }
    p->busy++;
    if (p->output >= 0) {
        drain(p, 64 * READ_ROUNDS);
        if (!p->freed && p->line_bytes > 0) {
            put_line(p);
        }
    }
    if (!p->freed) {
        close_child(p);
    }
    if (!leave(p)) {
        ended(p, status);
    }
}

static enum ledge_status start(struct sys_process *p, struct ledge_error *err)
{
    pid_t pid;
    int output = -1;
    LEDGE_TRY(
        spawn(p->argv, p->env, p->cwd, &pid, p->options.on_line != NULL ? &output : NULL, err));
    p->pid = pid;
    p->output = output;
    p->started_ms = sys_monotonic_ms();
    p->pidfd = pidfd_open(pid, 0);
    if (p->pidfd >= 0) {
        p->exit_watch = sys_watch_start(p->loop, p->pidfd, SYS_READ, on_end, p);
    }
    if (output >= 0) {
        (void)fcntl(output, F_SETFL, O_NONBLOCK);
        p->output_watch = sys_watch_start(p->loop, output, SYS_READ, on_output, p);
    }
    if (p->exit_watch == NULL || (output >= 0 && p->output_watch == NULL)) {
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        close_child(p);
        return ledge_fail(err, LEDGE_ERR_IO, "%.200s cannot be watched: %s", p->argv[0],
                          strerror(errno));
    }
    if (p->options.on_start != NULL) {
        p->options.on_start(p->options.arg, pid);
    }
    return LEDGE_OK;
}

static void start_again(void *arg)
{
    struct sys_process *p = arg;
    sys_timer_free(p->timer);
    p->timer = NULL;
    p->restarts++;
    p->busy++;
    enum ledge_status status = start(p, NULL);
    if (!leave(p) && status != LEDGE_OK) {
        ended(p, 127 << 8); /* as a shell reports it: could not be executed */
    }
}

enum ledge_status sys_process_start(struct sys_loop *loop,
                                    const struct sys_process_options *options,
                                    struct sys_process **process, struct ledge_error *err)
{
    struct sys_process *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%.200s: out of memory", options->argv[0]);
    }
    p->loop = loop;
    p->options = *options;
    p->options.argv = NULL;
    p->options.env = NULL;
    p->pidfd = -1;
    p->output = -1;
    p->argv = join_strings(NULL, options->argv);
    p->env = join_strings(options->env, (const char *const *)environ);
    p->options.cwd = NULL;
    p->cwd = options->cwd != NULL ? strdup(options->cwd) : NULL;
    enum ledge_status status = LEDGE_OK;
    if (p->argv == NULL || p->env == NULL || (options->cwd != NULL && p->cwd == NULL)) {
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "%.200s: out of memory", options->argv[0]);
    } else {
        status = start(p, err);
    }
    if (status != LEDGE_OK) {
        sys_process_free(p);
        return status;
    }
    *process = p;
    return LEDGE_OK;
}

static void kill_it(void *arg)
{
    struct sys_process *p = arg;
    sys_timer_free(p->timer);
    p->timer = NULL;
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL);
    }
}

static void tell_stopped(void *arg)
{
    struct sys_process *p = arg;
    void (*stopped)(void *stopped_arg) = p->stopped;
    sys_timer_free(p->timer);
    p->timer = NULL;
    p->stopped = NULL;
    if (stopped != NULL) {
        stopped(p->stopped_arg);
    }
}

void sys_process_stop(struct sys_process *p, void (*stopped)(void *arg), void *arg)
{
    int64_t patience = p->options.stop_ms > 0 ? p->options.stop_ms : 5000;
    p->stopped = stopped;
    p->stopped_arg = arg;
    if (p->stopping && p->pid > 0) {
        return;
    }
    p->stopping = true;
    sys_timer_free(p->timer);
    if (p->pid ==
        0) { /* waits for its restart: nothing to kill; tell from the loop, not from here */
        p->timer = sys_timer_start(p->loop, 0, 0, tell_stopped, p);
        return;
    }
    p->timer = sys_timer_start(p->loop, patience, 0, kill_it, p);
    (void)kill(-p->pid, SIGTERM);
}

void sys_process_free(struct sys_process *p)
{
    if (p == NULL || p->freed) {
        return;
    }
    sys_timer_free(p->timer);
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    close_child(p);
    free_strings(p->argv);
    free_strings(p->env);
    free(p->cwd);
    p->freed = true;
    if (p->busy == 0) {
        free(p);
    }
}

pid_t sys_process_pid(const struct sys_process *p)
{
    return p->pid;
}

int32_t sys_process_restarts(const struct sys_process *p)
{
    return p->restarts;
}

enum ledge_status sys_process_run(const char *const *argv, struct ledge_buf *out, int *status,
                                  struct ledge_error *err)
{
    char **copy = join_strings(NULL, argv);
    char bytes[8192];
    pid_t pid;
    int fd = -1;
    if (copy == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%.200s: out of memory", argv[0]);
    }
    enum ledge_status result = spawn(copy, environ, NULL, &pid, &fd, err);
    free_strings(copy);
    if (result != LEDGE_OK) {
        return result;
    }
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) != 0) {
        if (n > 0) {
            (void)ledge_buf_add(out, bytes, (size_t)n); /* past its maximum: out->failed says so */
        } else if (errno != EINTR) {
            break;
        }
    }
    close(fd);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
    }
    return LEDGE_OK;
}
