/* Every status is reached but KVRAFT_INTERNAL, which only a bug reaches. */
#include "check.h"

static kvraft_map *single_node(const char *dir)
{
    kvraft_config *config = config_for(dir);
    set(config, "name", "a");
    set(config, "listen", "127.0.0.1:0");
    set(config, "cluster_secret", SECRET);
    CHECK_OK(kvraft_config_set_u64(config, "storage_limit_bytes", 1000, &error));
    return open_with(config);
}

static void of_the_map(const kvraft_map *map)
{
    static char big[2000];
    kvraft_watch_options *from_the_first;
    kvraft_write_options *if_absent;
    kvraft_backup *backups[3];
    kvraft_watch *watch;
    kvraft_range *all;
    kvraft_bytes value;

    CHECK_OK(kvraft_put(map, "k", 1, "v", 1, PATIENCE_MS, NULL, &error));
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_get(map, "no", 2, 0, &value, NULL, &error));
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT, kvraft_get(map, "", 0, 0, &value, NULL, &error));
    CHECK_STATUS(KVRAFT_FULL, kvraft_put(map, "k", 1, big, sizeof big, 0, NULL, &error));
    CHECK_STATUS(KVRAFT_EXPIRED, kvraft_lease_keep_alive(map, 7, &error));
    CHECK_STATUS(KVRAFT_REFUSED, kvraft_refill(map, &error));
    CHECK_OK(kvraft_write_options_new(&if_absent, &error));
    CHECK_OK(kvraft_write_options_set_if_absent(if_absent, &error));
    CHECK_STATUS(KVRAFT_CONFLICT,
                 kvraft_put_with(map, "k", 1, "v", 1, if_absent, NULL, &error));
    kvraft_write_options_free(if_absent);

    CHECK_OK(kvraft_range_all(&all, &error));
    CHECK_OK(kvraft_watch_options_new(&from_the_first, &error));
    CHECK_OK(kvraft_watch_options_set_from(from_the_first, 0, &error));
    CHECK_STATUS(KVRAFT_COMPACTED, kvraft_watch_new(map, all, from_the_first, &watch, &error));
    kvraft_watch_options_free(from_the_first);
    kvraft_range_free(all);

    CHECK_OK(kvraft_backup_new(map, NULL, &backups[0], &error));
    CHECK_OK(kvraft_backup_new(map, NULL, &backups[1], &error));
    CHECK_STATUS(KVRAFT_OVERLOADED, kvraft_backup_new(map, NULL, &backups[2], &error));
    kvraft_backup_free(backups[0]);
    kvraft_backup_free(backups[1]);
}

static void of_a_stranger(const kvraft_map *map)
{
    kvraft_client_config *config;
    kvraft_node_status *status;
    kvraft_member member;
    kvraft_map *client;

    CHECK_OK(kvraft_node_status_new(map, &status, &error));
    CHECK_OK(kvraft_node_status_member(status, 0, &member, &error));
    CHECK_OK(kvraft_client_config_new(member.address, &config, &error));
    kvraft_node_status_free(status);
    CHECK_OK(kvraft_client_config_set_str(config, "cluster_secret",
                                          "another secret that has its 32 bytes", &error));
    CHECK_STATUS(KVRAFT_UNAUTHORIZED, kvraft_connect(config, &client, &error));
    CHECK(client == NULL);
    kvraft_client_config_free(config);
}

static void of_files(const char *dir, const char *file)
{
    FILE *backup = fopen(file, "wb");
    kvraft_bytes json;

    /* Its first bytes are those of a backup, and there it ends. */
    CHECK(backup && fwrite("kvrback\1", 1, 8, backup) == 8 && fclose(backup) == 0);
    CHECK_STATUS(KVRAFT_CORRUPT, kvraft_restore(file, dir, "a", 0, &json, &error));
    CHECK(json.data == NULL);
    CHECK_STATUS(KVRAFT_STORAGE, kvraft_verify_backup("/no/such/file", &json, &error));
}

/* Opens one of two members; the other one is at another_address. */
static kvraft_map *one_of_two(const char *dir, const char *name, const char *listen,
                              const char *members)
{
    kvraft_config *config = config_for(dir);
    set(config, "name", name);
    set(config, "listen", listen);
    set(config, "members", members);
    set(config, "cluster_secret", SECRET);
    return open_with(config);
}

/* Some time is enough to send so much, and not enough to hear that it is on the disks. */
static void of_a_lost_answer(const kvraft_map *map)
{
    static char big[3 << 20];
    enum kvraft_status status;
    kvraft_error *lost;
    uint32_t timeout_ms = 0;

    do {
        timeout_ms = timeout_ms % 100 + 1;
        status = kvraft_put(map, "big", 3, big, sizeof big, timeout_ms, NULL, &lost);
        CHECK(kvraft_error_may_be_applied(lost) == (status == KVRAFT_INDETERMINATE));
        CHECK(kvraft_error_is_retryable(lost) == (status == KVRAFT_UNAVAILABLE));
        kvraft_error_free(lost);
    } while (status == KVRAFT_OK || status == KVRAFT_UNAVAILABLE);
    CHECK(status == KVRAFT_INDETERMINATE);
}

static void of_a_lost_majority(char **argv)
{
    kvraft_map *a = one_of_two(argv[4], "a", argv[6], argv[8]);
    kvraft_map *b = one_of_two(argv[5], "b", argv[7], argv[8]);
    kvraft_node_status *status;
    kvraft_map *leader, *other;
    kvraft_bytes value;

    CHECK_OK(kvraft_put(a, "k", 1, "v", 1, PATIENCE_MS, NULL, &error));
    of_a_lost_answer(b);
    CHECK_OK(kvraft_node_status_new(a, &status, &error));
    leader = kvraft_node_status_is_leader(status) ? a : b;
    other = leader == a ? b : a;
    kvraft_node_status_free(status);
    CHECK_OK(kvraft_close(other, &error));
    CHECK_STATUS(KVRAFT_UNAVAILABLE, kvraft_get(leader, "k", 1, 100, &value, NULL, &error));
    CHECK_OK(kvraft_close(leader, &error));
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_get(leader, "k", 1, 100, &value, NULL, &error));
    kvraft_free(a);
    kvraft_free(b);
}

int main(int argc, char **argv)
{
    kvraft_map *map;

    alarm(DEADLINE_S);
    CHECK(argc == 9);
    map = single_node(argv[1]);
    of_the_map(map);
    of_a_stranger(map);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    of_files(argv[2], argv[3]);
    of_a_lost_majority(argv);
    return 0;
}
