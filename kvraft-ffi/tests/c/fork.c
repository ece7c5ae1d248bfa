/* A forked child cannot use the parent's map, can do without it, and does it no harm. */
#include "check.h"

#include <sys/types.h>
#include <sys/wait.h>

/* What came of the parent's map before the fork. */
struct made {
    kvraft_watch *watch;
    kvraft_scan *scan;
    kvraft_lease *lease;
    kvraft_lock *lock;
    kvraft_backup *backup;
};

static void called(void *context, enum kvraft_status status, kvraft_outcome *outcome,
                   const kvraft_error *error)
{
    (void)context, (void)status, (void)outcome, (void)error;
    CHECK(!"a callback came in the child");
}

static struct made make(const kvraft_map *map)
{
    struct made made;
    kvraft_range *all;
    CHECK_OK(kvraft_range_all(&all, &error));
    CHECK_OK(kvraft_watch_new(map, all, NULL, &made.watch, &error));
    CHECK_OK(kvraft_scan_new(map, all, NULL, &made.scan, &error));
    CHECK_OK(kvraft_lease_new(map, 60000, &made.lease, &error));
    CHECK_OK(kvraft_lock_take(map, "l", 1, 60000, PATIENCE_MS, &made.lock, &error));
    CHECK_OK(kvraft_backup_new(map, NULL, &made.backup, &error));
    kvraft_range_free(all);
    return made;
}

static void free_all(struct made made)
{
    kvraft_watch_free(made.watch);
    kvraft_scan_free(made.scan);
    kvraft_lease_free(made.lease);
    kvraft_lock_free(made.lock);
    kvraft_backup_free(made.backup);
}

static void what_was_made_is_refused(struct made made)
{
    kvraft_watch_event *event;
    kvraft_entry entry;
    kvraft_bytes chunk;

    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_watch_next(made.watch, 0, &event, &error));
    CHECK(kvraft_watch_fd(made.watch) == -1);
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_scan_next(made.scan, &entry, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_lease_revoke(made.lease, &error));
    CHECK(!kvraft_lease_is_alive(made.lease));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_lock_unlock(made.lock, &error));
    CHECK(!kvraft_lock_is_held(made.lock));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_backup_next(made.backup, &chunk, &error));
    free_all(made);
}

static void in_the_child(kvraft_map *map, struct made made, const char *own_dir)
{
    kvraft_bytes value;
    kvraft_map *own;

    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_put(map, "k", 1, "child", 5, 0, NULL, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_get(map, "k", 1, 0, &value, NULL, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_delete(map, "k", 1, 0, NULL, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_wait_ready(map, 0, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_node_status_json(map, &value, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked",
                kvraft_get_async(map, "k", 1, NULL, called, NULL, &error));
    what_was_made_is_refused(made);
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_close(map, &error));
    kvraft_free(map);

    own = open_with(config_for(own_dir));
    CHECK_OK(kvraft_put(own, "k", 1, "own", 3, PATIENCE_MS, NULL, &error));
    CHECK_OK(kvraft_close(own, &error));
    kvraft_free(own);
}

int main(int argc, char **argv)
{
    kvraft_bytes value;
    struct made made;
    kvraft_map *map;
    pid_t child;
    int status;

    alarm(DEADLINE_S);
    CHECK(argc == 3);
    map = open_with(config_for(argv[1]));
    CHECK_OK(kvraft_put(map, "k", 1, "parent", 6, PATIENCE_MS, NULL, &error));

    made = make(map);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(DEADLINE_S);
        in_the_child(map, made, argv[2]);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    CHECK_OK(kvraft_get(map, "k", 1, PATIENCE_MS, &value, NULL, &error));
    CHECK(value.len == 6 && memcmp(value.data, "parent", 6) == 0);
    kvraft_bytes_free(&value);
    CHECK(kvraft_lease_is_alive(made.lease) && kvraft_lock_is_held(made.lock));
    CHECK_OK(kvraft_lock_unlock(made.lock, &error));
    free_all(made);
    CHECK_OK(kvraft_put(map, "k", 1, "later", 5, PATIENCE_MS, NULL, &error));
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return 0;
}
