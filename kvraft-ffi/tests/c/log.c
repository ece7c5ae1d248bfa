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
    return 0;
}
