/* What a single node is given it gives back, also after it was closed and opened again. */
#include "check.h"

static void check_value(const kvraft_map *map, const void *key, size_t key_len, const void *wanted,
                        size_t wanted_len, uint64_t wanted_revision)
{
    kvraft_bytes value;
    uint64_t revision;
    CHECK_OK(kvraft_get(map, key, key_len, PATIENCE_MS, &value, &revision, &error));
    CHECK(value.data != NULL);
    CHECK(value.len == wanted_len);
    CHECK(wanted_len == 0 || memcmp(value.data, wanted, wanted_len) == 0);
    CHECK(revision == wanted_revision);
    kvraft_bytes_free(&value);
    CHECK(value.data == NULL && value.len == 0);
    kvraft_bytes_free(&value);
}

int main(int argc, char **argv)
{
    static const char binary[] = {0, 1, '\n', (char)0xff, 0};
    kvraft_bytes value, json;
    uint64_t first, second, third;
    kvraft_map *map;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    CHECK(strcmp(kvraft_version(), KVRAFT_VERSION) == 0);
    CHECK(kvraft_abi_version() == KVRAFT_ABI_VERSION);

    map = open_with(config_for(argv[1]));
    CHECK_OK(kvraft_wait_ready(map, PATIENCE_MS, &error));

    CHECK_OK(kvraft_put(map, "text", 4, "hello", 5, PATIENCE_MS, &first, &error));
    CHECK_OK(kvraft_put(map, binary, sizeof binary, binary, sizeof binary, 0, &second, &error));
    CHECK_OK(kvraft_put(map, "empty", 5, NULL, 0, 0, &third, &error));
    CHECK(first > 0 && second > first && third > second);
    check_value(map, "text", 4, "hello", 5, first);
    check_value(map, binary, sizeof binary, binary, sizeof binary, second);
    check_value(map, "empty", 5, NULL, 0, third);

    CHECK_OK(kvraft_delete(map, "empty", 5, 0, NULL, &error));
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_delete(map, "empty", 5, 0, &third, &error));
    CHECK(third > second);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_get(map, "empty", 5, 0, &value, &third, &error));
    CHECK(value.data == NULL && third == 0);

    CHECK_OK(kvraft_node_status_json(map, &json, &error));
    CHECK(strlen((const char *)json.data) == json.len);
    CHECK(strstr((const char *)json.data, "\"leaderID\":\"node\"") != NULL);
    CHECK(strstr((const char *)json.data, "\"isLead\":true") != NULL);
    kvraft_bytes_free(&json);

    CHECK_OK(kvraft_close(map, &error));
    CHECK_OK(kvraft_close(map, &error));
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_put(map, "late", 4, "x", 1, 0, NULL, &error));
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_get(map, "text", 4, 0, &value, NULL, &error));
    kvraft_free(map);

    map = open_with(config_for(argv[1]));
    check_value(map, "text", 4, "hello", 5, first);
    check_value(map, binary, sizeof binary, binary, sizeof binary, second);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return 0;
}
