/* A forked child cannot use the parent's map, can do without it, and does it no harm. */
#include "check.h"

#include <sys/types.h>
#include <sys/wait.h>

static void in_the_child(kvraft_map *map, const char *own_dir)
{
    kvraft_bytes value;
    kvraft_map *own;

    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_put(map, "k", 1, "child", 5, 0, NULL, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_get(map, "k", 1, 0, &value, NULL, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_delete(map, "k", 1, 0, NULL, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_wait_ready(map, 0, &error));
    CHECK_ERROR(KVRAFT_CLOSED, "forked", kvraft_node_status_json(map, &value, &error));
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
    kvraft_map *map;
    pid_t child;
    int status;

    alarm(DEADLINE_S);
    CHECK(argc == 3);
    map = open_with(config_for(argv[1]));
    CHECK_OK(kvraft_put(map, "k", 1, "parent", 6, PATIENCE_MS, NULL, &error));

    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(DEADLINE_S);
        in_the_child(map, argv[2]);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    CHECK_OK(kvraft_get(map, "k", 1, PATIENCE_MS, &value, NULL, &error));
    CHECK(value.len == 6 && memcmp(value.data, "parent", 6) == 0);
    kvraft_bytes_free(&value);
    CHECK_OK(kvraft_put(map, "k", 1, "later", 5, PATIENCE_MS, NULL, &error));
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return 0;
}
