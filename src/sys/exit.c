/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/exit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum sys_exit sys_exit_of(enum ledge_status status)
{
    switch (status) {
    case LEDGE_OK:
        return SYS_EXIT_OK;
    case LEDGE_ERR_ARG:
        return SYS_EXIT_USAGE;
    case LEDGE_ERR_GATE:
        return SYS_EXIT_GATE;
    case LEDGE_ERR_NOT_FOUND:
        return SYS_EXIT_NOT_FOUND;
    case LEDGE_ERR_EXISTS:
    case LEDGE_ERR_STATE:
        return SYS_EXIT_CONFLICT;
    case LEDGE_ERR_AUTH:
        return SYS_EXIT_AUTH;
    case LEDGE_ERR_NETWORK:
        return SYS_EXIT_UNREACHABLE;
    case LEDGE_ERR_TIMEOUT:
        return SYS_EXIT_TIMED_OUT;
    default:
        return SYS_EXIT_FAILED;
    }
}

void sys_exit_begin(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            /* the least free number is fd; opened the wrong way round */
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int sys_exit_end(const char *program, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return code;
    }
    fprintf(stderr, "%s: cannot write standard output: %s\n", program,
            errno != 0 ? strerror(errno) : "an earlier write failed");
    return code != SYS_EXIT_OK ? code : SYS_EXIT_FAILED;
}
