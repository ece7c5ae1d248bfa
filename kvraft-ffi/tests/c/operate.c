/* What operators do: look, compare, back up, restore, recover; and a client beside a member. */
#include "check.h"

static void json_has(kvraft_bytes *json, const char *words)
{
    CHECK(json->data[json->len] == 0);
    if (!strstr((const char *)json->data, words)) {
        fprintf(stderr, "%s is not in %s\n", words, (const char *)json->data);
        exit(1);
    }
    kvraft_bytes_free(json);
}

static void a_node_says_how_it_is(const kvraft_map *map)
{
    kvraft_node_status *status;
    kvraft_member member;
    kvraft_bytes json;
    size_t bytes;

    CHECK_OK(kvraft_max_value_bytes(map, &bytes, &error));
    CHECK(bytes == 1024);
    CHECK_OK(kvraft_max_command_bytes(map, &bytes, &error));
    CHECK(bytes > 1024);
    CHECK_OK(kvraft_node_status_new(map, &status, &error));
    CHECK(strcmp(kvraft_node_status_name(status), "n1") == 0);
    CHECK(strcmp(kvraft_node_status_leader(status), "n1") == 0);
    CHECK(strcmp(kvraft_node_status_role(status), "leader") == 0);
    CHECK(kvraft_node_status_is_leader(status) && kvraft_node_status_is_ready(status));
    CHECK(kvraft_node_status_term(status) > 0 && kvraft_node_status_revision(status) > 0);
    CHECK(kvraft_node_status_applied(status) > 0 && kvraft_node_status_committed(status) > 0);
    CHECK(kvraft_node_status_keys(status) == 1 && kvraft_node_status_bytes(status) == 2);
    CHECK(kvraft_node_status_member_count(status) == 1);
    CHECK_OK(kvraft_node_status_member(status, 0, &member, &error));
    CHECK(strcmp(member.name, "n1") == 0 && strlen(member.node_id) == 16 && member.voter);
    CHECK(strncmp(member.address, "127.0.0.1:", 10) == 0 && strcmp(member.http, "") == 0);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_node_status_member(status, 1, &member, &error));
    kvraft_node_status_free(status);

    CHECK_OK(kvraft_node_status_json(map, &json, &error));
    json_has(&json, "\"leaderID\":\"n1\"");
    CHECK_OK(kvraft_metrics_json(map, &json, &error));
    json_has(&json, "\"keys\":1");
    CHECK_OK(kvraft_verify(map, &json, &error));
    json_has(&json, "\"verdict\":\"agreed\"");
}

static void the_only_member_stays_as_it_is(const kvraft_map *map)
{
    CHECK_OK(kvraft_promote(map, "n1", &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_demote(map, "n1", &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_remove_member(map, "nobody", &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_transfer_leadership(map, NULL, &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_transfer_leadership(map, "nobody", &error));
    CHECK_OK(kvraft_shrink(map, 1, &error));
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT, kvraft_shrink(map, 0, &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_refill(map, &error));
}

static void a_client_has_the_same_verbs(const kvraft_map *member)
{
    kvraft_client_config *config;
    kvraft_node_status *status;
    kvraft_member first;
    kvraft_map *client;
    kvraft_bytes value;

    CHECK_OK(kvraft_node_status_new(member, &status, &error));
    CHECK_OK(kvraft_node_status_member(status, 0, &first, &error));
    CHECK_OK(kvraft_client_config_new(first.address, &config, &error));
    CHECK_OK(kvraft_client_config_set_str(config, "cluster_secret", SECRET, &error));
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT,
                 kvraft_client_config_set_str(config, "data_dir", "d", &error));
    CHECK_OK(kvraft_connect(config, &client, &error));
    kvraft_client_config_free(config);
    kvraft_node_status_free(status);
    CHECK_OK(kvraft_get(client, "k", 1, PATIENCE_MS, &value, NULL, &error));
    CHECK(value.len == 1 && value.data[0] == 'v');
    kvraft_bytes_free(&value);
    CHECK_OK(kvraft_put(client, "k", 1, "w", 1, PATIENCE_MS, NULL, &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_refill(client, &error));
    CHECK_OK(kvraft_close(client, &error));
    kvraft_free(client);
}

/* Writes a backup to a file and returns its last revision. */
static uint64_t back_up(const kvraft_map *map, const char *path)
{
    FILE *file = fopen(path, "wb");
    kvraft_backup *backup;
    kvraft_bytes chunk;
    enum kvraft_status status;
    uint64_t revision;

    CHECK(file);
    CHECK_OK(kvraft_backup_new(map, NULL, &backup, &error));
    revision = kvraft_backup_revision(backup);
    CHECK(revision > 0 && kvraft_backup_entries(backup) == 1);
    while ((status = kvraft_backup_next(backup, &chunk, NULL)) == KVRAFT_OK) {
        CHECK(fwrite(chunk.data, 1, chunk.len, file) == chunk.len);
        kvraft_bytes_free(&chunk);
    }
    CHECK(status == KVRAFT_NOT_FOUND);
    kvraft_backup_free(backup);
    CHECK(fclose(file) == 0);
    return revision;
}

static void holds_what_was_put(const char *dir, const char *name)
{
    kvraft_config *config = config_for(dir);
    kvraft_bytes value;
    kvraft_map *map;

    set(config, "name", name);
    map = open_with(config);
    CHECK_OK(kvraft_get(map, "k", 1, PATIENCE_MS, &value, NULL, &error));
    CHECK(value.len == 1 && value.data[0] == 'w');
    kvraft_bytes_free(&value);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
}

int main(int argc, char **argv)
{
    kvraft_config *config;
    kvraft_bytes json;
    kvraft_map *map;
    uint64_t revision;

    alarm(DEADLINE_S);
    CHECK(argc == 5);
    config = config_for(argv[1]);
    set(config, "name", "n1");
    set(config, "listen", "127.0.0.1:0");
    set(config, "cluster_secret", SECRET);
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "not a number",
                kvraft_config_set_u64(config, "name", 7, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "colour",
                kvraft_config_set_u64(config, "colour", 7, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "true or false",
                kvraft_config_set_bool(config, "name", true, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "colour",
                kvraft_config_set_bool(config, "colour", true, &error));
    CHECK_OK(kvraft_config_set_u64(config, "max_value_bytes", 1024, &error));
    CHECK_OK(kvraft_config_set_bool(config, "auto_promote", false, &error));
    map = open_with(config);
    CHECK_OK(kvraft_put(map, "k", 1, "v", 1, PATIENCE_MS, NULL, &error));

    a_node_says_how_it_is(map);
    the_only_member_stays_as_it_is(map);
    a_client_has_the_same_verbs(map);
    revision = back_up(map, argv[2]);
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_verify_data_dir(argv[1], &json, &error));
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);

    CHECK_OK(kvraft_verify_backup(argv[2], &json, &error));
    json_has(&json, "\"sound\":true");
    CHECK_OK(kvraft_verify_data_dir(argv[1], &json, &error));
    json_has(&json, "\"sound\":true");
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_set_aside(argv[1], &json, &error));
    CHECK_OK(kvraft_restore(argv[2], argv[3], "n2", revision + 1, &json, &error));
    json_has(&json, "\"entries\":1");
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_restore(argv[2], argv[3], "n2", 0, NULL, &error));
    holds_what_was_put(argv[3], "n2");
    CHECK_OK(kvraft_recover_quorum(argv[1], argv[4], &json, &error));
    json_has(&json, "\"name\":\"n1\"");
    holds_what_was_put(argv[4], "n1");
    return 0;
}
