/* Threads that wait for a quorum which never comes are let go by kvraft_close. */
#include "check.h"

#include <pthread.h>

#define THREADS 4
/* Longer than DEADLINE_S: only kvraft_close can end these calls. */
#define FOREVER_MS 500000

static kvraft_map *map;
static pthread_barrier_t all_started;

static void *writer(void *unused)
{
    pthread_barrier_wait(&all_started);
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_put(map, "k", 1, "v", 1, FOREVER_MS, NULL, &error));
    return unused;
}

static void *reader(void *unused)
{
    kvraft_bytes value;
    pthread_barrier_wait(&all_started);
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_get(map, "k", 1, FOREVER_MS, &value, NULL, &error));
    return unused;
}

static void *waiter(void *unused)
{
    pthread_barrier_wait(&all_started);
    CHECK_STATUS(KVRAFT_CLOSED, kvraft_wait_ready(map, FOREVER_MS, &error));
    return unused;
}

int main(int argc, char **argv)
{
    static void *(*const work[THREADS])(void *) = {writer, reader, waiter, writer};
    pthread_t threads[THREADS];
    kvraft_config *config;
    int i;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    /* Two of the three members are never started. */
    config = config_for(argv[1]);
    set(config, "name", "a");
    set(config, "listen", "127.0.0.1:0");
    set(config, "members", "a=127.0.0.1:1,b=127.0.0.1:2,c=127.0.0.1:3");
    set(config, "insecure", "true");
    map = open_with(config);

    CHECK(pthread_barrier_init(&all_started, NULL, THREADS + 1) == 0);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work[i], NULL) == 0);
    }
    pthread_barrier_wait(&all_started);
    /* Nobody comes: this look at it gives the threads time to begin their calls. */
    CHECK_STATUS(KVRAFT_UNAVAILABLE, kvraft_wait_ready(map, 300, &error));
    CHECK_OK(kvraft_close(map, &error));
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    pthread_barrier_destroy(&all_started);
    kvraft_free(map);
    return 0;
}
