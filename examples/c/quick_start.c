/* Opens a map, writes, reads, and closes it: cc quick_start.c $(pkg-config --cflags --libs kvraft)
 *
 *     quick_start DATA_DIR
 */
#include <stdio.h>
#include <string.h>

#include <kvraft.h>

static int fail(kvraft_error *error)
{
    fprintf(stderr, "%s: %s\n", kvraft_status_name(kvraft_error_status(error)),
            kvraft_error_message(error));
    kvraft_error_free(error);
    return 1;
}

static int use(const kvraft_map *map)
{
    const char key[] = "greeting", value[] = "hello";
    kvraft_error *error;
    kvraft_bytes read;
    uint64_t revision;
    int64_t visits;

    if (kvraft_put(map, key, strlen(key), value, strlen(value), 0, &revision, &error)) {
        return fail(error);
    }
    switch (kvraft_get(map, key, strlen(key), 0, &read, NULL, &error)) {
    case KVRAFT_OK:
        printf("%s is %.*s\n", key, (int)read.len, (const char *)read.data);
        kvraft_bytes_free(&read);
        break;
    case KVRAFT_NOT_FOUND:
        printf("%s is not there\n", key);
        break;
    default:
        return fail(error);
    }
    if (kvraft_increment(map, "visits", 6, 1, NULL, &visits, NULL, &error)) {
        return fail(error);
    }
    printf("visits: %lld\n", (long long)visits);
    return 0;
}

int main(int argc, char **argv)
{
    kvraft_config *config = NULL;
    kvraft_map *map = NULL;
    kvraft_error *error;
    int failed;

    if (kvraft_config_new(argc > 1 ? argv[1] : "./data", &config, &error)
        || kvraft_open(config, &map, &error)) {
        kvraft_config_free(config);
        return fail(error);
    }
    kvraft_config_free(config);
    failed = use(map);
    if (kvraft_close(map, &error)) {
        failed = fail(error);
    }
    kvraft_free(map);
    return failed;
}
