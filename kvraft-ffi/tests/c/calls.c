/* A callback is called exactly once, on another thread, and may call back into the library. */
#include "check.h"

#include <pthread.h>

#define MANY 500

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* What a callback was told. */
struct told {
    int calls;
    enum kvraft_status status;
    uint64_t revision;
    int64_t number;
    bool existed;
    kvraft_entry entry;
    kvraft_map *map;
    pthread_t thread;
};

static void note(void *context, enum kvraft_status status, kvraft_outcome *outcome,
                 const kvraft_error *error)
{
    struct told *told = (struct told *)context;
    CHECK((error != NULL) == (status > KVRAFT_OK));
    CHECK(kvraft_error_status(error) == (error ? status : KVRAFT_OK));
    pthread_mutex_lock(&mutex);
    told->calls++;
    told->status = status;
    told->revision = outcome->revision;
    told->number = outcome->number;
    told->existed = outcome->existed;
    told->entry = kvraft_entry_take(&outcome->entry);
    told->thread = pthread_self();
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_until_told(struct told *told)
{
    pthread_mutex_lock(&mutex);
    while (told->calls == 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    CHECK(told->calls == 1);
    pthread_mutex_unlock(&mutex);
}

/* Reads what was put, waits for it, and passes on what it was told. */
static void read_back(void *context, enum kvraft_status status, kvraft_outcome *outcome,
                      const kvraft_error *error)
{
    const struct told *told = (const struct told *)context;
    kvraft_bytes value;
    CHECK(status == KVRAFT_OK);
    CHECK(kvraft_get(told->map, "back", 4, PATIENCE_MS, &value, NULL, NULL) == KVRAFT_OK);
    CHECK(value.len == 1 && value.data[0] == 'v');
    kvraft_bytes_free(&value);
    note(context, status, outcome, error);
}

static void close_it(void *context, enum kvraft_status status, kvraft_outcome *outcome,
                     const kvraft_error *error)
{
    struct told *told = (struct told *)context;
    CHECK(kvraft_close(told->map, NULL) == KVRAFT_OK);
    kvraft_free(told->map);
    note(context, status, outcome, error);
}

static void each_call_has_its_result(kvraft_map *map)
{
    static struct told put, got, sum, gone, absent, wrong, back;
    kvraft_write_options *options;

    CHECK_OK(kvraft_put_async(map, "k", 1, "v", 1, NULL, note, &put, &error));
    wait_until_told(&put);
    CHECK(put.status == KVRAFT_OK && put.revision > 0 && !put.existed && !put.entry.key);
    CHECK(!pthread_equal(put.thread, pthread_self()));
    CHECK_OK(kvraft_get_async(map, "k", 1, NULL, note, &got, &error));
    wait_until_told(&got);
    CHECK(got.status == KVRAFT_OK && got.entry.value_len == 1 && got.entry.value[0] == 'v');
    kvraft_entry_free(&got.entry);
    CHECK_OK(kvraft_increment_async(map, "n", 1, 7, NULL, note, &sum, &error));
    wait_until_told(&sum);
    CHECK(sum.status == KVRAFT_OK && sum.number == 7);
    CHECK_OK(kvraft_write_options_new(&options, &error));
    CHECK_OK(kvraft_write_options_set_want_previous(options, &error));
    CHECK_OK(kvraft_delete_async(map, "k", 1, options, note, &gone, &error));
    kvraft_write_options_free(options);
    wait_until_told(&gone);
    CHECK(gone.status == KVRAFT_OK && gone.existed && gone.entry.value[0] == 'v');
    kvraft_entry_free(&gone.entry);
    CHECK_OK(kvraft_get_async(map, "k", 1, NULL, note, &absent, &error));
    wait_until_told(&absent);
    CHECK(absent.status == KVRAFT_NOT_FOUND && !absent.entry.key);
    CHECK_OK(kvraft_put_async(map, "", 0, "v", 1, NULL, note, &wrong, &error));
    wait_until_told(&wrong);
    CHECK(wrong.status == KVRAFT_INVALID_ARGUMENT);
    back.map = map;
    CHECK_OK(kvraft_put_async(map, "back", 4, "v", 1, NULL, read_back, &back, &error));
    wait_until_told(&back);
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT,
                 kvraft_get_async(map, "k", 1, NULL, NULL, NULL, &error));
}

static void many_calls_are_each_answered_once(const kvraft_map *map)
{
    static struct told told[MANY];
    int64_t largest = 0;
    int i;

    for (i = 0; i < MANY; i++) {
        CHECK_OK(kvraft_increment_async(map, "many", 4, 1, NULL, note, &told[i], &error));
    }
    for (i = 0; i < MANY; i++) {
        wait_until_told(&told[i]);
        CHECK(told[i].status == KVRAFT_OK);
        largest = told[i].number > largest ? told[i].number : largest;
    }
    CHECK(largest == MANY);
}

static void closing_answers_all_that_is_under_way(const char *dir)
{
    static struct told told[MANY];
    static struct told first;
    kvraft_config *config = config_for(dir);
    kvraft_write_options *options;
    kvraft_map *map;
    int i;

    /* Nobody else ever comes, so that no write can be done. */
    set(config, "name", "a");
    set(config, "listen", "127.0.0.1:0");
    set(config, "members", "a=127.0.0.1:1,b=127.0.0.1:2");
    CHECK_OK(kvraft_config_set_bool(config, "insecure", true, &error));
    CHECK_OK(kvraft_config_set_u64(config, "request_timeout", 300000, &error));
    map = open_with(config);
    CHECK_OK(kvraft_write_options_new(&options, &error));
    CHECK_OK(kvraft_write_options_set_timeout_ms(options, 50, &error));
    CHECK_OK(kvraft_put_async(map, "k", 1, "v", 1, options, note, &first, &error));
    for (i = 0; i < MANY; i++) {
        CHECK_OK(kvraft_put_async(map, "k", 1, "v", 1, NULL, note, &told[i], &error));
    }
    wait_until_told(&first);
    CHECK(first.status == KVRAFT_UNAVAILABLE);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    for (i = 0; i < MANY; i++) {
        wait_until_told(&told[i]);
        CHECK(told[i].status == KVRAFT_CLOSED);
    }
    kvraft_write_options_free(options);
}

int main(int argc, char **argv)
{
    static struct told last;
    kvraft_map *map;

    alarm(DEADLINE_S);
    CHECK(argc == 3);
    map = open_at(argv[1]);
    each_call_has_its_result(map);
    many_calls_are_each_answered_once(map);
    closing_answers_all_that_is_under_way(argv[2]);
    last.map = map;
    CHECK_OK(kvraft_put_async(map, "k", 1, "v", 1, NULL, close_it, &last, &error));
    wait_until_told(&last);
    CHECK(last.status == KVRAFT_OK);
    return 0;
}
