/* Three processes are one map: each puts its name, and waits until it sees those of the others.
 *
 *     cluster DIRECTORY
 *
 * Processes are forked before anything is opened, since a fork takes no threads along. In real life
 * each runs on a machine of its own, with its address and the same list of members.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kvraft.h>

#define NODES 3
#define PATIENCE_MS 60000

static const char *const names[NODES] = {"a", "b", "c"};

static void check(enum kvraft_status status, kvraft_error **error)
{
    if (status != KVRAFT_OK) {
        fprintf(stderr, "%s: %s\n", kvraft_status_name(status), kvraft_error_message(*error));
        exit(1);
    }
}

static void set(kvraft_config *config, const char *name, const char *value)
{
    kvraft_error *error;
    check(kvraft_config_set_str(config, name, value, &error), &error);
}

static kvraft_map *open_node(const char *dir, const char *name, const char *address,
                             const char *members)
{
    kvraft_config *config;
    kvraft_error *error;
    kvraft_map *map;
    char data_dir[4096];

    snprintf(data_dir, sizeof data_dir, "%s/%s", dir, name);
    check(kvraft_config_new(data_dir, &config, &error), &error);
    set(config, "name", name);
    set(config, "listen", address);
    set(config, "members", members);
    /* At least 32 random bytes, the same on all nodes: `kvraft-server gen-secret` makes some. */
    set(config, "cluster_secret", "0123456789abcdef0123456789abcdef");
    check(kvraft_open(config, &map, &error), &error);
    kvraft_config_free(config);
    check(kvraft_wait_ready(map, PATIENCE_MS, &error), &error);
    return map;
}

/* Waits until count keys begin with prefix. */
static void wait_for_all(const kvraft_map *map, const char *prefix, uint64_t count)
{
    kvraft_watch_options *options;
    kvraft_watch_event *event;
    kvraft_watch *watch;
    kvraft_range *range;
    kvraft_error *error;
    uint64_t seen;

    check(kvraft_range_of_prefix(prefix, strlen(prefix), &range, &error), &error);
    check(kvraft_watch_options_new(&options, &error), &error);
    check(kvraft_watch_options_set_resync(options, &error), &error);
    check(kvraft_watch_new(map, range, options, &watch, &error), &error);
    do {
        check(kvraft_watch_next(watch, PATIENCE_MS, &event, &error), &error);
        kvraft_watch_event_free(event);
        check(kvraft_count(map, range, NULL, &seen, &error), &error);
    } while (seen < count);
    kvraft_watch_free(watch);
    kvraft_watch_options_free(options);
    kvraft_range_free(range);
}

/* A process writes here when it is done, */
static int done[2];
/* and this one is closed when all are. */
static int end[2];

static void wait_for_the_end(int number)
{
    char nothing;

    if (write(done[1], names[number], 1) != 1 || read(end[0], &nothing, 1) != 0) {
        perror("the parent is gone");
        exit(1);
    }
}

static int run_node(const char *dir, int number, const char *address, const char *members)
{
    kvraft_map *map = open_node(dir, names[number], address, members);
    kvraft_error *error;
    char key[32];

    snprintf(key, sizeof key, "here/%s", names[number]);
    check(kvraft_put(map, key, strlen(key), "yes", 3, PATIENCE_MS, NULL, &error), &error);
    wait_for_all(map, "here/", NODES);
    printf("%s sees all three\n", names[number]);
    fflush(stdout);
    /* Who leaves takes a vote along: all stay until all are done. */
    wait_for_the_end(number);
    check(kvraft_close(map, &error), &error);
    kvraft_free(map);
    return 0;
}

/* Writes an address of this machine on which nobody listened a moment ago. */
static void free_address(char *address, size_t size)
{
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = {0};
    socklen_t len = sizeof any;

    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(udp, (struct sockaddr *)&any, sizeof any) != 0
        || getsockname(udp, (struct sockaddr *)&any, &len) != 0) {
        perror("no free port");
        exit(1);
    }
    snprintf(address, size, "127.0.0.1:%u", (unsigned)ntohs(any.sin_port));
    close(udp);
}

int main(int argc, char **argv)
{
    char addresses[NODES][32], members[256], name;
    int number, status, failed = 0;
    size_t len = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    for (number = 0; number < NODES; number++) {
        free_address(addresses[number], sizeof addresses[number]);
        len += (size_t)snprintf(members + len, sizeof members - len, "%s%s=%s",
                                number ? "," : "", names[number], addresses[number]);
    }
    if (pipe(done) != 0 || pipe(end) != 0) {
        perror("no pipe");
        return 1;
    }
    for (number = 0; number < NODES; number++) {
        if (fork() == 0) {
            close(done[0]);
            close(end[1]);
            return run_node(argv[1], number, addresses[number], members);
        }
    }
    close(done[1]);
    for (number = 0; number < NODES; number++) {
        failed |= read(done[0], &name, 1) != 1;
    }
    close(end[1]);
    for (number = 0; number < NODES; number++) {
        failed |= wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    return failed;
}
