/* A member of a cluster that does what it is told on standard input, a line at a time.
 *
 *     member DATA_DIR NAME LISTEN MEMBERS CLUSTER_SECRET
 *
 * It says "ready" when it knows a leader, then answers each line with a line:
 *
 *     put KEY VALUE    put REVISION
 *     get KEY          value VALUE, or absent
 *     delete KEY       deleted, or absent
 *     status           the status as JSON
 *
 * A failed call is answered with "error NAME MESSAGE". At the end of the input it closes its map.
 */
#include "check.h"

#define LINE_BYTES 4096

static void answer_error(enum kvraft_status status, kvraft_error *error)
{
    printf("error %s %s\n", kvraft_status_name(status), kvraft_error_message(error));
    kvraft_error_free(error);
}

static void put(const kvraft_map *map, const char *key, const char *value)
{
    kvraft_error *error;
    uint64_t revision;
    const enum kvraft_status status = kvraft_put(map, key, strlen(key), value, strlen(value),
                                                 PATIENCE_MS, &revision, &error);
    if (status == KVRAFT_OK) {
        printf("put %llu\n", (unsigned long long)revision);
    } else {
        answer_error(status, error);
    }
}

static void get(const kvraft_map *map, const char *key)
{
    kvraft_error *error;
    kvraft_bytes value;
    const enum kvraft_status status =
        kvraft_get(map, key, strlen(key), PATIENCE_MS, &value, NULL, &error);
    if (status == KVRAFT_OK) {
        printf("value %.*s\n", (int)value.len, (const char *)value.data);
    } else if (status == KVRAFT_NOT_FOUND) {
        printf("absent\n");
    } else {
        answer_error(status, error);
    }
    kvraft_bytes_free(&value);
}

static void take_away(const kvraft_map *map, const char *key)
{
    kvraft_error *error;
    const enum kvraft_status status =
        kvraft_delete(map, key, strlen(key), PATIENCE_MS, NULL, &error);
    if (status == KVRAFT_OK || status == KVRAFT_NOT_FOUND) {
        printf("%s\n", status == KVRAFT_OK ? "deleted" : "absent");
    } else {
        answer_error(status, error);
    }
}

static void tell_status(const kvraft_map *map)
{
    kvraft_bytes json;
    CHECK_OK(kvraft_node_status_json(map, &json, &error));
    printf("%s\n", (const char *)json.data);
    kvraft_bytes_free(&json);
}

static void obey(const kvraft_map *map, char *line)
{
    const char *verb = strtok(line, " \n");
    const char *key = strtok(NULL, " \n");
    const char *value = strtok(NULL, "\n");

    if (verb && key && value && strcmp(verb, "put") == 0) {
        put(map, key, value);
    } else if (verb && key && strcmp(verb, "get") == 0) {
        get(map, key);
    } else if (verb && key && strcmp(verb, "delete") == 0) {
        take_away(map, key);
    } else if (verb && strcmp(verb, "status") == 0) {
        tell_status(map);
    } else {
        printf("error unknown line\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES];
    kvraft_config *config;
    kvraft_map *map;

    alarm(DEADLINE_S);
    CHECK(argc == 6);
    config = config_for(argv[1]);
    set(config, "name", argv[2]);
    set(config, "listen", argv[3]);
    set(config, "members", argv[4]);
    set(config, "cluster_secret", argv[5]);
    map = open_with(config);
    CHECK_OK(kvraft_wait_ready(map, PATIENCE_MS, &error));
    printf("ready\n");
    fflush(stdout);

    while (fgets(line, sizeof line, stdin)) {
        obey(map, line);
    }
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return 0;
}
