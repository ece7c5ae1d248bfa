/* Prints how many nanoseconds a local get takes on average; kvraft-bench calls it, see bench/src/face.rs.
 *
 *     local_get DATA_DIR KEYS VALUE_BYTES MILLISECONDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kvraft.h"

#define BATCH 1000
#define KEY_BYTES 17

static void check(enum kvraft_status status, kvraft_error **error)
{
    if (status != KVRAFT_OK) {
        fprintf(stderr, "%s: %s\n", kvraft_status_name(status), kvraft_error_message(*error));
        exit(1);
    }
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double measure(const kvraft_map *map, char (*keys)[KEY_BYTES], size_t count, double window_ns)
{
    kvraft_read_options *options;
    kvraft_error *error;
    kvraft_entry entry;
    double start, calls = 0;
    size_t next = 0;
    int i;

    check(kvraft_read_options_new(&options, &error), &error);
    check(kvraft_read_options_set_consistency(options, KVRAFT_LOCAL, &error), &error);
    start = now_ns();
    while (now_ns() - start < window_ns) {
        for (i = 0; i < BATCH; i++) {
            check(kvraft_get_with(map, keys[next], KEY_BYTES - 1, options, &entry, &error), &error);
            kvraft_entry_free(&entry);
            next = next + 1 == count ? 0 : next + 1;
        }
        calls += BATCH;
    }
    kvraft_read_options_free(options);
    return (now_ns() - start) / calls;
}

int main(int argc, char **argv)
{
    kvraft_config *config;
    kvraft_error *error;
    kvraft_map *map;
    char (*keys)[KEY_BYTES];
    size_t count, bytes, i;
    char *value;

    if (argc != 5) {
        fprintf(stderr, "usage: %s DATA_DIR KEYS VALUE_BYTES MILLISECONDS\n", argv[0]);
        return 2;
    }
    count = strtoul(argv[2], NULL, 10);
    bytes = strtoul(argv[3], NULL, 10);
    keys = malloc(count * sizeof *keys);
    value = malloc(bytes + 1);
    if (!keys || !value) {
        return 1;
    }
    memset(value, 7, bytes);
    check(kvraft_config_new(argv[1], &config, &error), &error);
    check(kvraft_open(config, &map, &error), &error);
    kvraft_config_free(config);
    for (i = 0; i < count; i++) {
        snprintf(keys[i], KEY_BYTES, "key-%012lu", (unsigned long)(i % 1000000000000UL));
        check(kvraft_put(map, keys[i], KEY_BYTES - 1, value, bytes, 0, NULL, &error), &error);
    }
    printf("%.0f\n", measure(map, keys, count, strtod(argv[4], NULL) * 1e6));
    check(kvraft_close(map, &error), &error);
    kvraft_free(map);
    free(value);
    free(keys);
    return 0;
}
