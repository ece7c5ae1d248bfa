/* What the library has to say is told a callback, and nobody without one. */
#include "check.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int told, most;

static void listen_to(void *context, int level, const char *part, const char *message)
{
    CHECK(context == &told);
    CHECK(level >= KVRAFT_LOG_ERROR && level <= KVRAFT_LOG_TRACE);
    CHECK(part && message && *message);
    /* Calls that do not wait are fine here, and are told nobody. */
    CHECK(kvraft_version() != NULL);
    pthread_mutex_lock(&mutex);
    told++;
    most = level > most ? level : most;
    pthread_mutex_unlock(&mutex);
}

static int heard(const char *dir, kvraft_log_callback callback, int level)
{
    kvraft_map *map;

    told = 0;
    most = 0;
    CHECK_OK(kvraft_set_log_callback(callback, &told, level, &error));
    map = open_with(config_for(dir));
    CHECK_OK(kvraft_put(map, "k", 1, "v", 1, PATIENCE_MS, NULL, &error));
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return told;
}

/* A listener whose context goes away as soon as it is not called any more. */
static void count(void *context, int level, const char *part, const char *message)
{
    (void)level;
    (void)part;
    (void)message;
    pthread_mutex_lock(&mutex);
    *(int *)context += 1;
    pthread_mutex_unlock(&mutex);
}

static void *write_on(void *argument)
{
    const kvraft_map *map = (const kvraft_map *)argument;
    char key[16];
    int i;

    for (i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%d", i);
        CHECK_OK(kvraft_put(map, key, strlen(key), "v", 1, PATIENCE_MS, NULL, &error));
    }
    return NULL;
}

static void what_a_listener_had_may_be_freed(const char *dir)
{
    kvraft_map *map = open_with(config_for(dir));
    pthread_t threads[2];
    int round, i, heard_of_all = 0;

    for (i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, write_on, map) == 0);
    }
    for (round = 0; round < 100; round++) {
        int *calls = (int *)calloc(1, sizeof *calls);
        CHECK_OK(kvraft_set_log_callback(count, calls, KVRAFT_LOG_TRACE, &error));
        CHECK_OK(kvraft_put(map, "k", 1, "v", 1, PATIENCE_MS, NULL, &error));
        CHECK_OK(kvraft_set_log_callback(NULL, NULL, KVRAFT_LOG_TRACE, &error));
        heard_of_all += *calls;
        free(calls);
    }
    for (i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(heard_of_all > 0);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
}

/* Ends the listening out of the callback itself. */
static void end_it(void *context, int level, const char *part, const char *message)
{
    count(context, level, part, message);
    CHECK_OK(kvraft_set_log_callback(NULL, NULL, KVRAFT_LOG_TRACE, &error));
}

int main(int argc, char **argv)
{
    alarm(DEADLINE_S);
    CHECK(argc == 2);
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "kvraft_log_level",
                kvraft_set_log_callback(listen_to, &told, 6, &error));
    CHECK(heard(argv[1], listen_to, KVRAFT_LOG_DEBUG) > 0);
    CHECK(most <= KVRAFT_LOG_DEBUG);
    CHECK(heard(argv[1], NULL, KVRAFT_LOG_TRACE) == 0);
    CHECK(heard(argv[1], listen_to, KVRAFT_LOG_INFO) > 0);
    CHECK(most <= KVRAFT_LOG_INFO);
    CHECK(heard(argv[1], end_it, KVRAFT_LOG_TRACE) > 0);
    what_a_listener_had_may_be_freed(argv[1]);
    return 0;
}
