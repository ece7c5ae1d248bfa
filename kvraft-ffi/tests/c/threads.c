/* Eight threads use one map at once, each in its own way. */
#include "check.h"

#include <pthread.h>

#define THREADS 8

static kvraft_map *map;
static int rounds;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_told = PTHREAD_COND_INITIALIZER;
static int told;

static void note(void *context, enum kvraft_status status, kvraft_outcome *outcome,
                 const kvraft_error *error)
{
    CHECK(context == NULL && status == KVRAFT_OK && outcome->number > 0 && !error);
    pthread_mutex_lock(&mutex);
    told++;
    pthread_cond_signal(&all_told);
    pthread_mutex_unlock(&mutex);
}

static void *count_up(void *unused)
{
    int i;
    for (i = 0; i < rounds; i++) {
        CHECK_OK(kvraft_increment(map, "n", 1, 1, NULL, NULL, NULL, &error));
        CHECK_OK(kvraft_increment_async(map, "n", 1, 1, NULL, note, NULL, &error));
    }
    return unused;
}

static void *write_and_read(void *name)
{
    kvraft_bytes value;
    int i;
    for (i = 0; i < rounds; i++) {
        CHECK_OK(kvraft_put(map, name, 1, name, 1, PATIENCE_MS, NULL, &error));
        CHECK_OK(kvraft_get(map, name, 1, PATIENCE_MS, &value, NULL, &error));
        CHECK(value.len == 1 && memcmp(value.data, name, 1) == 0);
        kvraft_bytes_free(&value);
    }
    return NULL;
}

static void *walk(void *unused)
{
    kvraft_range *all;
    kvraft_scan *scan;
    kvraft_entry entry;
    kvraft_bytes json;
    int i;
    CHECK_OK(kvraft_range_all(&all, &error));
    for (i = 0; i < rounds; i++) {
        CHECK_OK(kvraft_scan_new(map, all, NULL, &scan, &error));
        while (kvraft_scan_next(scan, &entry, NULL) == KVRAFT_OK) {
            kvraft_entry_free(&entry);
        }
        kvraft_scan_free(scan);
        CHECK_OK(kvraft_node_status_json(map, &json, &error));
        kvraft_bytes_free(&json);
    }
    kvraft_range_free(all);
    return unused;
}

static void *follow(void *unused)
{
    kvraft_watch_event *event;
    kvraft_range *range;
    kvraft_watch *watch;
    int i;
    CHECK_OK(kvraft_range_of_key("n", 1, &range, &error));
    CHECK_OK(kvraft_watch_new(map, range, NULL, &watch, &error));
    CHECK_OK(kvraft_increment(map, "n", 1, 1, NULL, NULL, NULL, &error));
    for (i = 0; i < rounds; i++) {
        const enum kvraft_status status = kvraft_watch_next(watch, 10, &event, NULL);
        CHECK(status == KVRAFT_OK || status == KVRAFT_NOT_FOUND);
        kvraft_watch_event_free(event);
    }
    kvraft_watch_free(watch);
    kvraft_range_free(range);
    return unused;
}

int main(int argc, char **argv)
{
    static void *(*const work[THREADS])(void *) = {count_up, write_and_read, walk, follow,
                                                   count_up, write_and_read, walk, follow};
    static char names[THREADS][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    pthread_t threads[THREADS];
    int64_t number;
    int i;

    alarm(DEADLINE_S);
    CHECK(argc == 3);
    rounds = atoi(argv[2]);
    map = open_at(argv[1]);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work[i], names[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    /* Each call was counted once, also those that nobody waited for. */
    pthread_mutex_lock(&mutex);
    while (told < 2 * rounds) {
        pthread_cond_wait(&all_told, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    CHECK_OK(kvraft_increment(map, "n", 1, 0, NULL, &number, NULL, &error));
    CHECK(told == 2 * rounds && number == 4 * rounds + 2);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return 0;
}
