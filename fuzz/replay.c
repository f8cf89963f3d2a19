/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c -- feed every file of the folders named on the command line to the fuzz target: old
 * finds stay found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 24 };

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(MAX_BYTES);
    if (file == NULL || bytes == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    size_t n = fread(bytes, 1, MAX_BYTES, file);
    fclose(file);
    /* An exact allocation, so that AddressSanitizer sees a read past the end. */
    uint8_t *exact = malloc(n > 0 ? n : 1);
    for (size_t i = 0; exact != NULL && i < n; i++) {
        exact[i] = bytes[i];
    }
    free(bytes);
    int result = LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return result;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *entry;
        while (dir != NULL && (entry = readdir(dir)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.') {
                continue;
            }
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            (void)replay_file(path);
            files++;
        }
        if (dir != NULL) {
            closedir(dir);
        }
    }
    printf("replayed %d files\n", files);
    return files > 0 ? 0 : 1;
}
