/* Checks that say where they failed and end the program; a hang ends it as well. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvraft.h"

/* Far longer than any program here runs, under sanitizers too. */
#define DEADLINE_S 240
/* Far longer than a call takes on a loaded machine. */
#define PATIENCE_MS 30000

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

/* Makes a call whose last argument is &error, and checks what became of it. */
#define CHECK_STATUS(expected, call)                                                         \
    do {                                                                                     \
        kvraft_error *error = NULL;                                                          \
        const enum kvraft_status status_ = (call);                                           \
        check_status(__FILE__, __LINE__, #call, (expected), status_, error, NULL);           \
    } while (0)

/* As CHECK_STATUS, and the message of the error must contain the words. */
#define CHECK_ERROR(expected, words, call)                                                   \
    do {                                                                                     \
        kvraft_error *error = NULL;                                                          \
        const enum kvraft_status status_ = (call);                                           \
        check_status(__FILE__, __LINE__, #call, (expected), status_, error, (words));        \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(KVRAFT_OK, call)

static inline void check_status(const char *file, int line, const char *call,
                                enum kvraft_status expected, enum kvraft_status actual,
                                kvraft_error *error, const char *words)
{
    const char *message = kvraft_error_message(error);
    const int fails = expected > KVRAFT_OK;
    if (actual != expected || kvraft_error_status(error) != (fails ? expected : KVRAFT_OK)
        || (error != NULL) != fails || (words && (!message || !strstr(message, words)))) {
        fprintf(stderr, "%s:%d: %s is %s, not %s: %s\n", file, line, call,
                kvraft_status_name(actual), kvraft_status_name(expected),
                message ? message : "(no message)");
        exit(1);
    }
    kvraft_error_free(error);
}

static inline kvraft_config *config_for(const char *data_dir)
{
    kvraft_config *config;
    CHECK_OK(kvraft_config_new(data_dir, &config, &error));
    return config;
}

static inline void set(kvraft_config *config, const char *name, const char *value)
{
    CHECK_OK(kvraft_config_set_str(config, name, value, &error));
}

/* Opens what is configured, and frees the settings. */
static inline kvraft_map *open_with(kvraft_config *config)
{
    kvraft_map *map;
    CHECK_OK(kvraft_open(config, &map, &error));
    kvraft_config_free(config);
    return map;
}

/* What the tests' clusters know each other by. */
#define SECRET "0123456789abcdef0123456789abcdef"
#define CONNECT "connect:"

/* Opens a node in a data directory, or connects to a member for "connect:HOST:PORT". */
static inline kvraft_map *open_at(const char *place)
{
    kvraft_client_config *config;
    kvraft_map *map;

    if (strncmp(place, CONNECT, strlen(CONNECT)) != 0) {
        return open_with(config_for(place));
    }
    CHECK_OK(kvraft_client_config_new(place + strlen(CONNECT), &config, &error));
    CHECK_OK(kvraft_client_config_set_str(config, "cluster_secret", SECRET, &error));
    CHECK_OK(kvraft_client_config_set_str(config, "request_timeout", "60s", &error));
    CHECK_OK(kvraft_connect(config, &map, &error));
    kvraft_client_config_free(config);
    return map;
}

#endif
