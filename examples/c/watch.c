/* Waits for changes and for a line on standard input in one poll loop: the shape of every event loop.
 * Each line is put under "notes/", and told by the watch. It ends with the input.
 *
 *     watch DATA_DIR
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvraft.h>

#define PREFIX "notes/"

static void check(enum kvraft_status status, kvraft_error **error)
{
    if (status > KVRAFT_OK) {
        fprintf(stderr, "%s: %s\n", kvraft_status_name(status), kvraft_error_message(*error));
        exit(1);
    }
}

static void tell(const kvraft_watch_event *event)
{
    const unsigned long long revision = kvraft_watch_event_revision(event);
    const size_t count = kvraft_watch_event_count(event);
    kvraft_change change;
    size_t i;

    for (i = 0; i < count; i++) {
        kvraft_watch_event_change(event, i, &change, NULL);
        if (change.entry.key) {
            printf("%llu: %.*s is %.*s\n", revision, (int)change.key_len, (const char *)change.key,
                   (int)change.entry.value_len, (const char *)change.entry.value);
        } else {
            printf("%llu: %.*s is gone\n", revision, (int)change.key_len,
                   (const char *)change.key);
        }
    }
    fflush(stdout);
}

/* Takes all events that are there: only then the descriptor is silent until the next one. */
static void tell_all(kvraft_watch *watch)
{
    kvraft_watch_event *event;
    kvraft_error *error;

    for (;;) {
        const enum kvraft_status status = kvraft_watch_next(watch, 0, &event, &error);
        check(status, &error);
        if (status == KVRAFT_NOT_FOUND) {
            return;
        }
        tell(event);
        kvraft_watch_event_free(event);
    }
}

/* Puts each line that is there, and waits for no whole one; returns whether the input goes on. */
static int put_lines(const kvraft_map *map)
{
    static char line[256];
    static size_t len;
    const ssize_t got = read(STDIN_FILENO, line + len, sizeof line - len);
    kvraft_error *error;
    char *end;

    if (got <= 0) {
        return 0;
    }
    len += (size_t)got;
    while ((end = memchr(line, '\n', len)) != NULL || len == sizeof line) {
        const size_t used = end ? (size_t)(end - line) : len;
        const size_t taken = end ? used + 1 : used;

        check(kvraft_put(map, PREFIX "last", strlen(PREFIX "last"), line, used, 0, NULL, &error),
              &error);
        len -= taken;
        memmove(line, line + taken, len);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct pollfd waited_for[2];
    kvraft_config *config;
    kvraft_watch *watch;
    kvraft_range *range;
    kvraft_error *error;
    kvraft_map *map;
    int goes_on = 1;

    check(kvraft_config_new(argc > 1 ? argv[1] : "./data", &config, &error), &error);
    check(kvraft_open(config, &map, &error), &error);
    kvraft_config_free(config);
    check(kvraft_range_of_prefix(PREFIX, strlen(PREFIX), &range, &error), &error);
    check(kvraft_watch_new(map, range, NULL, &watch, &error), &error);
    kvraft_range_free(range);

    waited_for[0].fd = kvraft_watch_fd(watch);
    waited_for[1].fd = STDIN_FILENO;
    waited_for[0].events = waited_for[1].events = POLLIN;
    while (goes_on && poll(waited_for, 2, -1) > 0) {
        if (waited_for[1].revents) {
            goes_on = put_lines(map);
        }
        if (waited_for[0].revents) {
            tell_all(watch);
        }
    }
    tell_all(watch);
    kvraft_watch_free(watch);
    check(kvraft_close(map, &error), &error);
    kvraft_free(map);
    return 0;
}
