/* Leases end what belongs to them, and locks have one holder at a time. */
#include "check.h"

#include <pthread.h>

#define TTL_MS 60000

static void a_lease_ends_its_keys(const kvraft_map *map)
{
    kvraft_write_options *options;
    kvraft_lease_info *info;
    kvraft_lease *lease;
    kvraft_entry entry;
    kvraft_bytes key;
    kvraft_txn *txn;
    uint64_t id;

    CHECK_OK(kvraft_lease_new(map, TTL_MS, &lease, &error));
    CHECK(kvraft_lease_is_alive(lease) && kvraft_lease_id(lease) != 0);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_lease_ended(lease, 1, &error));
    CHECK_OK(kvraft_write_options_new(&options, &error));
    CHECK_OK(kvraft_write_options_set_lease(options, kvraft_lease_id(lease), &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "lease is 0",
                kvraft_write_options_set_lease(options, 0, &error));
    CHECK_OK(kvraft_put_with(map, "a", 1, "v", 1, options, NULL, &error));
    CHECK_OK(kvraft_txn_new(&txn, &error));
    CHECK_OK(kvraft_txn_put(txn, KVRAFT_THEN, "b", 1, "v", 1, &error));
    CHECK_OK(kvraft_txn_set_lease(txn, kvraft_lease_id(lease), &error));
    CHECK_OK(kvraft_txn_commit(map, txn, NULL, NULL, &error));
    kvraft_txn_free(txn);

    CHECK_OK(kvraft_lease_look_up(map, kvraft_lease_id(lease), NULL, &info, &error));
    CHECK(kvraft_lease_info_ttl_ms(info) == TTL_MS);
    CHECK(kvraft_lease_info_remaining_ms(info) <= TTL_MS && kvraft_lease_info_count(info) == 2);
    CHECK_OK(kvraft_lease_info_key(info, 1, &key, &error));
    CHECK(key.len == 1 && key.data[0] == 'b');
    kvraft_bytes_free(&key);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_lease_info_key(info, 2, &key, &error));
    kvraft_lease_info_free(info);

    CHECK_OK(kvraft_lease_revoke(lease, &error));
    CHECK_STATUS(KVRAFT_EXPIRED, kvraft_lease_revoke(lease, &error));
    CHECK(!kvraft_lease_is_alive(lease));
    CHECK_OK(kvraft_lease_ended(lease, 0, &error));
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_get_with(map, "a", 1, NULL, &entry, &error));
    CHECK_STATUS(KVRAFT_EXPIRED, kvraft_put_with(map, "a", 1, "v", 1, options, NULL, &error));
    kvraft_lease_free(lease);
    kvraft_write_options_free(options);

    CHECK_OK(kvraft_lease_grant(map, TTL_MS, &id, &error));
    CHECK_OK(kvraft_lease_keep_alive(map, id, &error));
    CHECK_OK(kvraft_lease_end(map, id, &error));
    CHECK_STATUS(KVRAFT_EXPIRED, kvraft_lease_keep_alive(map, id, &error));
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT, kvraft_lease_new(map, 1, &lease, &error));
}

static void a_lock_has_one_holder(const kvraft_map *map)
{
    kvraft_lock *first, *second;
    enum kvraft_status refused;
    uint64_t lease, token, again;
    uint32_t timeout_ms = 1;

    CHECK_OK(kvraft_lock_take(map, "l", 1, TTL_MS, PATIENCE_MS, &first, &error));
    CHECK(kvraft_lock_is_held(first) && kvraft_lock_token(first) > 0);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_lock_lost(first, 1, &error));
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_lock_try(map, "l", 1, TTL_MS, &second, &error));
    CHECK(second == NULL);
    /* Too short a time may end before the cluster has said anything. */
    do {
        refused = kvraft_lock_take(map, "l", 1, TTL_MS, timeout_ms, &second, NULL);
        CHECK(second == NULL);
        timeout_ms *= 2;
    } while (refused == KVRAFT_UNAVAILABLE);
    CHECK(refused == KVRAFT_REFUSED);
    CHECK_OK(kvraft_lock_unlock(first, &error));
    CHECK_STATUS(KVRAFT_EXPIRED, kvraft_lock_unlock(first, &error));
    CHECK(!kvraft_lock_is_held(first));
    CHECK_OK(kvraft_lock_lost(first, 0, &error));
    CHECK_OK(kvraft_lock_take(map, "l", 1, TTL_MS, 0, &second, &error));
    CHECK(kvraft_lock_token(second) > kvraft_lock_token(first));
    kvraft_lock_free(first);
    kvraft_lock_free(second);

    CHECK_OK(kvraft_lease_grant(map, TTL_MS, &lease, &error));
    CHECK_OK(kvraft_lock_acquire(map, "l", 1, lease, PATIENCE_MS, &token, &error));
    CHECK_OK(kvraft_lock_acquire(map, "l", 1, lease, 0, &again, &error));
    CHECK(token == again);
    CHECK_OK(kvraft_lock_release(map, "l", 1, lease, &error));
    CHECK_STATUS(KVRAFT_EXPIRED, kvraft_lock_release(map, "l", 1, lease, &error));
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT, kvraft_lock_release(map, "", 0, lease, &error));
}

struct waiting {
    const kvraft_map *map;
    uint64_t lease;
    int stop;
    enum kvraft_status status;
};

static void *wait_for_the_lock(void *argument)
{
    struct waiting *waiting = (struct waiting *)argument;
    uint64_t token;

    waiting->status =
        kvraft_lock_acquire_unless(waiting->map, "w", 1, waiting->lease, PATIENCE_MS,
                                   waiting->stop, &token, NULL);
    CHECK((token > 0) == (waiting->status == KVRAFT_OK));
    return NULL;
}

static void who_waits_for_a_lock_gives_up_when_told(const kvraft_map *map)
{
    struct waiting waiting = {map, 0, 0, KVRAFT_OK};
    uint64_t lease, token;
    pthread_t thread;
    int stop[2], told;
    char byte = 1;

    CHECK_OK(kvraft_lease_grant(map, TTL_MS, &lease, &error));
    CHECK_OK(kvraft_lease_grant(map, TTL_MS, &waiting.lease, &error));
    CHECK_OK(kvraft_lock_acquire(map, "w", 1, lease, 0, &token, &error));
    /* Told by a byte in a pipe, and by the end of the pipe. */
    for (told = 0; told < 2; told++) {
        CHECK(pipe(stop) == 0);
        waiting.stop = stop[0];
        CHECK(pthread_create(&thread, NULL, wait_for_the_lock, &waiting) == 0);
        if (told == 0) {
            CHECK(write(stop[1], &byte, 1) == 1);
        }
        CHECK(close(stop[1]) == 0);
        CHECK(pthread_join(thread, NULL) == 0 && close(stop[0]) == 0);
        CHECK(waiting.status == KVRAFT_UNAVAILABLE);
        CHECK_STATUS(KVRAFT_EXPIRED, kvraft_lock_release(map, "w", 1, waiting.lease, &error));
    }
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "stop",
                kvraft_lock_acquire_unless(map, "w", 1, lease, 1, stop[0], &token, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "stop",
                kvraft_lock_acquire_unless(map, "w", 1, lease, 1, -1, &token, &error));

    /* Nobody tells it, so that it gets the lock. */
    CHECK(pipe(stop) == 0);
    waiting.stop = stop[0];
    CHECK(pthread_create(&thread, NULL, wait_for_the_lock, &waiting) == 0);
    CHECK_OK(kvraft_lock_release(map, "w", 1, lease, &error));
    CHECK(pthread_join(thread, NULL) == 0 && waiting.status == KVRAFT_OK);
    CHECK_OK(kvraft_lock_release(map, "w", 1, waiting.lease, &error));
    CHECK(close(stop[0]) == 0 && close(stop[1]) == 0);
}

static void *wait_for_the_end(void *lease)
{
    CHECK_OK(kvraft_lease_ended((const kvraft_lease *)lease, PATIENCE_MS, &error));
    return NULL;
}

static void *wait_for_the_loss(void *lock)
{
    CHECK_OK(kvraft_lock_lost((const kvraft_lock *)lock, PATIENCE_MS, &error));
    return NULL;
}

/* One thread watches what another one holds, until that gives it back. */
static void two_threads_share_what_one_gives_back(const kvraft_map *map)
{
    pthread_t threads[4];
    kvraft_lease *lease;
    kvraft_lock *lock;
    int i;

    CHECK_OK(kvraft_lease_new(map, TTL_MS, &lease, &error));
    CHECK_OK(kvraft_lock_take(map, "s", 1, TTL_MS, PATIENCE_MS, &lock, &error));
    for (i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, i < 2 ? wait_for_the_end : wait_for_the_loss,
                             i < 2 ? (void *)lease : (void *)lock) == 0);
    }
    CHECK(kvraft_lease_is_alive(lease) && kvraft_lock_is_held(lock));
    CHECK_OK(kvraft_lease_revoke(lease, &error));
    CHECK_OK(kvraft_lock_unlock(lock, &error));
    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    kvraft_lease_free(lease);
    kvraft_lock_free(lock);
}

int main(int argc, char **argv)
{
    kvraft_lease *lease;
    kvraft_lock *lock;
    kvraft_map *map;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    map = open_at(argv[1]);
    a_lease_ends_its_keys(map);
    a_lock_has_one_holder(map);
    who_waits_for_a_lock_gives_up_when_told(map);
    two_threads_share_what_one_gives_back(map);

    /* Closing the map lets go of whoever waits for their end. */
    CHECK_OK(kvraft_lease_new(map, TTL_MS, &lease, &error));
    CHECK_OK(kvraft_lock_take(map, "l", 1, TTL_MS, PATIENCE_MS, &lock, &error));
    CHECK_OK(kvraft_close(map, &error));
    CHECK_OK(kvraft_lease_ended(lease, PATIENCE_MS, &error));
    CHECK_OK(kvraft_lock_lost(lock, PATIENCE_MS, &error));
    kvraft_lease_free(lease);
    kvraft_lock_free(lock);
    kvraft_free(map);
    return 0;
}
