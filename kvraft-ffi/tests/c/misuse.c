/* Every wrong call is told what is wrong with it, and does nothing else. */
#include "check.h"

#define WRONG(words, call) CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, words, call)

static void null_is_freed(void)
{
    kvraft_bytes empty = {NULL, 0, NULL};
    kvraft_free(NULL);
    kvraft_config_free(NULL);
    kvraft_error_free(NULL);
    kvraft_bytes_free(NULL);
    kvraft_bytes_free(&empty);
    CHECK(kvraft_error_message(NULL) == NULL);
    CHECK(kvraft_error_revision(NULL) == 0);
    CHECK(kvraft_error_status(NULL) == KVRAFT_OK);
}

static void null_is_named(const kvraft_map *map, const char *dir)
{
    kvraft_config *config = config_for(dir);
    kvraft_config *no_config = config;
    kvraft_map *no_map = (kvraft_map *)(void *)&config;
    kvraft_bytes value = {(const uint8_t *)"", 7, NULL};
    uint64_t revision = 7;

    WRONG("data_dir is NULL", kvraft_config_new(NULL, &no_config, &error));
    CHECK(no_config == NULL);
    WRONG("config is NULL", kvraft_config_new(dir, NULL, &error));
    WRONG("config is NULL", kvraft_config_set_str(NULL, "name", "a", &error));
    WRONG("name is NULL", kvraft_config_set_str(config, NULL, "a", &error));
    WRONG("value is NULL", kvraft_config_set_str(config, "name", NULL, &error));
    WRONG("config is NULL", kvraft_open(NULL, &no_map, &error));
    CHECK(no_map == NULL);
    WRONG("map is NULL", kvraft_open(config, NULL, &error));
    WRONG("map is NULL", kvraft_wait_ready(NULL, 1, &error));
    WRONG("map is NULL", kvraft_get(NULL, "k", 1, 0, &value, &revision, &error));
    CHECK(value.data == NULL && value.len == 0 && revision == 0);
    WRONG("value is NULL", kvraft_get(map, "k", 1, 0, NULL, NULL, &error));
    WRONG("key is NULL", kvraft_get(map, NULL, 1, 0, &value, NULL, &error));
    WRONG("map is NULL", kvraft_put(NULL, "k", 1, "v", 1, 0, NULL, &error));
    WRONG("key is NULL", kvraft_put(map, NULL, 1, "v", 1, 0, NULL, &error));
    WRONG("value is NULL", kvraft_put(map, "k", 1, NULL, 1, 0, NULL, &error));
    WRONG("map is NULL", kvraft_delete(NULL, "k", 1, 0, NULL, &error));
    WRONG("key is NULL", kvraft_delete(map, NULL, 1, 0, NULL, &error));
    WRONG("map is NULL", kvraft_close(NULL, &error));
    WRONG("map is NULL", kvraft_node_status_json(NULL, &value, &error));
    WRONG("json is NULL", kvraft_node_status_json(map, NULL, &error));
    CHECK(kvraft_close(NULL, NULL) == KVRAFT_INVALID_ARGUMENT);
    kvraft_config_free(config);
}

static void a_wrong_setting_is_named(const char *dir)
{
    kvraft_config *config = config_for(dir);
    kvraft_map *map;

    WRONG("colour", kvraft_config_set_str(config, "colour", "red", &error));
    WRONG("request_timeout", kvraft_config_set_str(config, "request_timeout", "soon", &error));
    WRONG("UTF-8", kvraft_config_set_str(config, "name", "\xff", &error));
    set(config, "listen", "127.0.0.1:0");
    WRONG("cluster_secret", kvraft_open(config, &map, &error));
    CHECK(map == NULL);
    kvraft_config_free(config);
}

static void settings_of_clients_have_their_forms(void)
{
    kvraft_client_config *config;

    CHECK_OK(kvraft_client_config_new("127.0.0.1:1", &config, &error));
    CHECK_OK(kvraft_client_config_set_u64(config, "request_timeout", 100, &error));
    WRONG("not a number", kvraft_client_config_set_u64(config, "name", 1, &error));
    WRONG("endpoints", kvraft_client_config_set_u64(config, "colour", 1, &error));
    CHECK_OK(kvraft_client_config_set_bool(config, "insecure", true, &error));
    WRONG("not true or false", kvraft_client_config_set_bool(config, "name", true, &error));
    kvraft_client_config_free(config);
}

static void a_wrong_size_is_told_the_right_one(const kvraft_map *map)
{
    static char big[4096];
    kvraft_bytes value;

    WRONG("empty", kvraft_put(map, NULL, 0, "v", 1, 0, NULL, &error));
    WRONG("empty", kvraft_get(map, "k", 0, 0, &value, NULL, &error));
    WRONG("511", kvraft_put(map, big, 512, "v", 1, 0, NULL, &error));
    WRONG("511", kvraft_delete(map, big, 512, 0, NULL, &error));
    WRONG("max_value_bytes", kvraft_put(map, "k", 1, big, 1025, 0, NULL, &error));
    WRONG("address space", kvraft_put(map, "k", 1, big, (size_t)-1, 0, NULL, &error));
}

int main(int argc, char **argv)
{
    kvraft_config *config;
    kvraft_map *map, *second;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    config = config_for(argv[1]);
    set(config, "max_value_bytes", "1KiB");
    CHECK_OK(kvraft_open(config, &map, &error));

    null_is_freed();
    null_is_named(map, argv[1]);
    a_wrong_setting_is_named(argv[1]);
    settings_of_clients_have_their_forms();
    a_wrong_size_is_told_the_right_one(map);
    CHECK_ERROR(KVRAFT_REFUSED, "in use", kvraft_open(config, &second, &error));
    CHECK(second == NULL);

    CHECK_OK(kvraft_put(map, "k", 1, "v", 1, PATIENCE_MS, NULL, &error));
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    kvraft_config_free(config);
    return 0;
}
