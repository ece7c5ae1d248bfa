/* A watch is waited for by a thread, by poll, and ends with its map. */
#include "check.h"

#include <poll.h>
#include <pthread.h>

static kvraft_watch *watch_all(const kvraft_map *map, const kvraft_watch_options *options)
{
    kvraft_range *range;
    kvraft_watch *watch;
    CHECK_OK(kvraft_range_of_prefix("w/", 2, &range, &error));
    CHECK_OK(kvraft_watch_new(map, range, options, &watch, &error));
    kvraft_range_free(range);
    return watch;
}

static uint64_t put(const kvraft_map *map, const char *value)
{
    uint64_t revision;
    CHECK_OK(kvraft_put(map, "w/k", 3, value, strlen(value), PATIENCE_MS, &revision, &error));
    return revision;
}

static int readable(const kvraft_watch *watch, int timeout_ms)
{
    struct pollfd descriptor = {kvraft_watch_fd(watch), POLLIN, 0};
    return poll(&descriptor, 1, timeout_ms);
}

static kvraft_watch_event *next(kvraft_watch *watch)
{
    kvraft_watch_event *event;
    CHECK_OK(kvraft_watch_next(watch, PATIENCE_MS, &event, &error));
    return event;
}

static void events_come_in_order(const kvraft_map *map)
{
    kvraft_watch_options *options;
    kvraft_watch_event *event;
    kvraft_watch *watch;
    kvraft_change change;
    uint64_t revision;

    CHECK_OK(kvraft_watch_options_new(&options, &error));
    CHECK_OK(kvraft_watch_options_set_previous(options, &error));
    watch = watch_all(map, options);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_watch_next(watch, 1, &event, &error));
    CHECK(event == NULL);
    revision = put(map, "1");
    event = next(watch);
    CHECK(kvraft_watch_event_what(event) == KVRAFT_WATCH_CHANGES);
    CHECK(kvraft_watch_event_revision(event) == revision && kvraft_watch_event_count(event) == 1);
    CHECK_OK(kvraft_watch_event_change(event, 0, &change, &error));
    CHECK(change.key_len == 3 && change.entry.value[0] == '1' && change.previous.key == NULL);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_watch_event_change(event, 1, &change, &error));
    kvraft_watch_event_free(event);

    CHECK_OK(kvraft_delete(map, "w/k", 3, PATIENCE_MS, NULL, &error));
    event = next(watch);
    CHECK_OK(kvraft_watch_event_change(event, 0, &change, &error));
    CHECK(change.entry.key == NULL && change.previous.value[0] == '1');
    kvraft_watch_event_free(event);
    kvraft_watch_free(watch);

    /* From the revision of the put, both are told again. */
    CHECK_OK(kvraft_watch_options_set_from(options, revision, &error));
    watch = watch_all(map, options);
    event = next(watch);
    CHECK(kvraft_watch_event_revision(event) == revision);
    kvraft_watch_event_free(event);
    kvraft_watch_free(watch);
    kvraft_watch_options_free(options);
}

static void the_descriptor_tells_when_to_look(const kvraft_map *map)
{
    kvraft_watch *watch = watch_all(map, NULL);
    kvraft_watch_event *event;
    int i;

    CHECK(readable(watch, 0) == 1);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_watch_next(watch, 0, &event, &error));
    CHECK(readable(watch, 0) == 0);
    for (i = 0; i < 3; i++) {
        put(map, "p");
    }
    CHECK(readable(watch, PATIENCE_MS) == 1);
    for (i = 0; i < 3;) {
        const enum kvraft_status status = kvraft_watch_next(watch, 0, &event, NULL);
        if (status == KVRAFT_NOT_FOUND) {
            CHECK(readable(watch, PATIENCE_MS) == 1);
            continue;
        }
        CHECK(status == KVRAFT_OK);
        kvraft_watch_event_free(event);
        i++;
    }
    /* It may ring once more for nothing, never for ever. */
    while (readable(watch, 0) == 1) {
        CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_watch_next(watch, 0, &event, &error));
    }
    kvraft_watch_free(watch);
}

static void a_resync_begins_with_all_entries(const kvraft_map *map)
{
    kvraft_watch_options *options;
    kvraft_watch_event *event;
    kvraft_watch *watch;
    kvraft_change change;
    const uint64_t revision = put(map, "s");

    CHECK_OK(kvraft_watch_options_new(&options, &error));
    CHECK_OK(kvraft_watch_options_set_resync(options, &error));
    watch = watch_all(map, options);
    event = next(watch);
    CHECK(kvraft_watch_event_what(event) == KVRAFT_WATCH_SNAPSHOT_BEGIN);
    CHECK(kvraft_watch_event_revision(event) >= revision);
    kvraft_watch_event_free(event);
    event = next(watch);
    CHECK(kvraft_watch_event_what(event) == KVRAFT_WATCH_SNAPSHOT_ENTRIES);
    CHECK(kvraft_watch_event_count(event) == 1 && kvraft_watch_event_revision(event) == 0);
    CHECK_OK(kvraft_watch_event_change(event, 0, &change, &error));
    CHECK(change.entry.value[0] == 's' && change.entry.revision == revision);
    kvraft_watch_event_free(event);
    event = next(watch);
    CHECK(kvraft_watch_event_what(event) == KVRAFT_WATCH_SNAPSHOT_END);
    CHECK(kvraft_watch_event_count(event) == 0);
    kvraft_watch_event_free(event);
    kvraft_watch_free(watch);
    kvraft_watch_options_free(options);
}

static void *wait_for_the_end(void *watch)
{
    kvraft_watch_event *event;
    CHECK_STATUS(KVRAFT_CLOSED,
                 kvraft_watch_next((kvraft_watch *)watch, 500000, &event, &error));
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_watch_next((kvraft_watch *)watch, 0, &event, &error));
    CHECK(event == NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    kvraft_watch *waited_for, *polled;
    kvraft_watch_event *event;
    kvraft_map *map;
    pthread_t waiter;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    map = open_at(argv[1]);
    events_come_in_order(map);
    the_descriptor_tells_when_to_look(map);
    a_resync_begins_with_all_entries(map);

    waited_for = watch_all(map, NULL);
    polled = watch_all(map, NULL);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_watch_next(polled, 0, &event, &error));
    CHECK(pthread_create(&waiter, NULL, wait_for_the_end, waited_for) == 0);
    CHECK_OK(kvraft_close(map, &error));
    CHECK(pthread_join(waiter, NULL) == 0);
    CHECK(readable(polled, PATIENCE_MS) == 1);
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_watch_next(polled, 0, &event, &error));
    kvraft_free(map);
    kvraft_watch_free(waited_for);
    kvraft_watch_free(polled);
    return 0;
}
