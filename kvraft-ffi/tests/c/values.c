/* Conditions, counters, ranges, transactions, pages and scans. */
#include "check.h"

static kvraft_write_options *write_options(void)
{
    kvraft_write_options *options;
    CHECK_OK(kvraft_write_options_new(&options, &error));
    return options;
}

static void put(const kvraft_map *map, const char *key, const char *value)
{
    CHECK_OK(kvraft_put(map, key, strlen(key), value, strlen(value), PATIENCE_MS, NULL, &error));
}

static int entry_is(const kvraft_entry *entry, const char *key, const char *value)
{
    return entry->key && entry->key_len == strlen(key) && entry->value_len == strlen(value)
        && memcmp(entry->key, key, entry->key_len) == 0
        && memcmp(entry->value, value, entry->value_len) == 0;
}

static void conditions_decide(const kvraft_map *map)
{
    kvraft_write_options *options = write_options();
    kvraft_outcome first, second;
    kvraft_entry entry;
    kvraft_error *refused;

    CHECK_OK(kvraft_write_options_set_if_absent(options, &error));
    /* As everywhere, 0 stands for the configured timeout. */
    CHECK_OK(kvraft_write_options_set_timeout_ms(options, 0, &error));
    CHECK_OK(kvraft_put_with(map, "leader", 6, "me", 2, options, &first, &error));
    CHECK_OK(kvraft_write_options_set_timeout_ms(options, PATIENCE_MS, &error));
    CHECK(first.revision > 0 && !first.existed && first.entry.key == NULL);
    CHECK(kvraft_put_with(map, "leader", 6, "you", 3, options, NULL, &refused)
          == KVRAFT_CONFLICT);
    CHECK(kvraft_error_revision(refused) == first.revision);
    CHECK(!kvraft_error_may_be_applied(refused) && !kvraft_error_is_retryable(refused));
    kvraft_error_free(refused);

    CHECK_OK(kvraft_write_options_set_if_revision(options, first.revision, &error));
    CHECK_OK(kvraft_write_options_set_want_previous(options, &error));
    CHECK_OK(kvraft_put_with(map, "leader", 6, "you", 3, options, &second, &error));
    CHECK(second.existed && entry_is(&second.entry, "leader", "me"));
    CHECK(second.entry.revision == first.revision);
    kvraft_outcome_free(&second);
    CHECK(second.entry.key == NULL);
    kvraft_outcome_free(&second);

    CHECK_OK(kvraft_write_options_set_if_value(options, "they", 4, &error));
    CHECK_STATUS(KVRAFT_CONFLICT, kvraft_delete_with(map, "leader", 6, options, NULL, &error));
    CHECK_OK(kvraft_write_options_set_if_present(options, &error));
    CHECK_OK(kvraft_get_with(map, "leader", 6, NULL, &entry, &error));
    CHECK(entry_is(&entry, "leader", "you") && entry.created == first.revision && !entry.lease);
    kvraft_entry_free(&entry);
    CHECK_OK(kvraft_delete_with(map, "leader", 6, options, &second, &error));
    CHECK(second.existed && entry_is(&second.entry, "leader", "you"));
    kvraft_outcome_free(&second);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_delete_with(map, "leader", 6, NULL, &second, &error));
    CHECK(!second.existed && second.revision > 0);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_get_with(map, "leader", 6, NULL, &entry, &error));
    CHECK(entry.key == NULL);
    kvraft_write_options_free(options);
}

static void a_request_is_done_once(const kvraft_map *map)
{
    kvraft_write_options *options = write_options();
    uint64_t first_revision, revision;
    int64_t number;

    CHECK_OK(kvraft_write_options_set_request_id(options, "request-1", 9, &error));
    CHECK_OK(kvraft_increment(map, "n", 1, 42, options, &number, &first_revision, &error));
    CHECK(number == 42);
    CHECK_OK(kvraft_increment(map, "n", 1, 42, options, &number, &revision, &error));
    CHECK(number == 42 && revision == first_revision);
    CHECK_OK(kvraft_write_options_set_principal(options, "another", 7, &error));
    CHECK_OK(kvraft_increment(map, "n", 1, 0, options, &number, &revision, &error));
    CHECK(number == 42 && revision > first_revision);
    CHECK_OK(kvraft_increment(map, "n", 1, -40, NULL, &number, NULL, &error));
    CHECK(number == 2);
    put(map, "text", "no number");
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT,
                 kvraft_increment(map, "text", 4, 1, NULL, NULL, NULL, &error));
    kvraft_write_options_free(options);
}

static void a_time_to_live_ends(const kvraft_map *map)
{
    kvraft_write_options *options = write_options();
    kvraft_range *range;
    kvraft_watch *watch;
    kvraft_watch_event *event;
    kvraft_change change;

    CHECK_OK(kvraft_range_of_key("fleeting", 8, &range, &error));
    CHECK_OK(kvraft_watch_new(map, range, NULL, &watch, &error));
    CHECK_OK(kvraft_write_options_set_ttl_ms(options, 100, &error));
    CHECK_OK(kvraft_put_with(map, "fleeting", 8, "v", 1, options, NULL, &error));
    CHECK_OK(kvraft_watch_next(watch, PATIENCE_MS, &event, &error));
    CHECK_OK(kvraft_watch_event_change(event, 0, &change, &error));
    CHECK(entry_is(&change.entry, "fleeting", "v") && change.entry.lease != 0);
    kvraft_watch_event_free(event);
    CHECK_OK(kvraft_watch_next(watch, PATIENCE_MS, &event, &error));
    CHECK_OK(kvraft_watch_event_change(event, 0, &change, &error));
    CHECK(change.key_len == 8 && change.entry.key == NULL);
    kvraft_watch_event_free(event);
    CHECK_STATUS(KVRAFT_INVALID_ARGUMENT,
                 kvraft_delete_with(map, "fleeting", 8, options, NULL, &error));
    kvraft_watch_free(watch);
    kvraft_range_free(range);
    kvraft_write_options_free(options);
}

static void reads_may_be_less_fresh(const kvraft_map *map)
{
    static const int consistencies[] = {KVRAFT_LINEARIZABLE, KVRAFT_LEASE, KVRAFT_LOCAL};
    kvraft_read_options *options;
    kvraft_entry entry;
    uint64_t revision;
    size_t i;

    CHECK_OK(kvraft_put(map, "fresh", 5, "v", 1, PATIENCE_MS, &revision, &error));
    CHECK_OK(kvraft_read_options_new(&options, &error));
    CHECK_OK(kvraft_read_options_set_min_revision(options, revision, &error));
    CHECK_OK(kvraft_read_options_set_timeout_ms(options, PATIENCE_MS, &error));
    for (i = 0; i < sizeof consistencies / sizeof consistencies[0]; i++) {
        CHECK_OK(kvraft_read_options_set_consistency(options, consistencies[i], &error));
        CHECK_OK(kvraft_get_with(map, "fresh", 5, options, &entry, &error));
        CHECK(entry_is(&entry, "fresh", "v") && entry.revision == revision);
        kvraft_entry_free(&entry);
    }
    /* As everywhere, 0 stands for the configured timeout. */
    CHECK_OK(kvraft_read_options_set_timeout_ms(options, 0, &error));
    CHECK_OK(kvraft_get_with(map, "fresh", 5, options, &entry, &error));
    kvraft_entry_free(&entry);
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "kvraft_consistency",
                kvraft_read_options_set_consistency(options, 7, &error));
    kvraft_read_options_free(options);
}

static void ranges_are_read_and_deleted(const kvraft_map *map)
{
    static const char *const keys[] = {"a/1", "a/2", "a/3", "a/4"};
    kvraft_range *all, *range;
    kvraft_scan_options *options;
    kvraft_page *page;
    kvraft_scan *scan;
    kvraft_entry entry;
    uint64_t count, revision;
    size_t i;

    for (i = 0; i < 4; i++) {
        put(map, keys[i], keys[i]);
    }
    put(map, "b/1", "x");
    CHECK_OK(kvraft_range_all(&all, &error));
    CHECK_OK(kvraft_range_of_prefix("a/", 2, &range, &error));
    CHECK_OK(kvraft_count(map, range, NULL, &count, &error));
    CHECK(count == 4);
    CHECK_OK(kvraft_count(map, all, NULL, &count, &error));
    CHECK(count > 4);

    CHECK_OK(kvraft_scan_options_new(&options, &error));
    CHECK_OK(kvraft_scan_options_set_read(options, NULL, &error));
    CHECK_OK(kvraft_scan_options_set_reverse(options, &error));
    CHECK_OK(kvraft_scan_new(map, range, options, &scan, &error));
    for (i = 4; i > 0; i--) {
        CHECK_OK(kvraft_scan_next(scan, &entry, &error));
        CHECK(entry_is(&entry, keys[i - 1], keys[i - 1]));
        kvraft_entry_free(&entry);
    }
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_scan_next(scan, &entry, &error));
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_scan_next(scan, &entry, &error));
    CHECK(entry.key == NULL);
    kvraft_scan_free(scan);
    kvraft_scan_options_free(options);

    CHECK_OK(kvraft_scan_options_new(&options, &error));
    CHECK_OK(kvraft_scan_options_set_limit(options, 2, &error));
    CHECK_OK(kvraft_scan_options_set_keys_only(options, &error));
    CHECK_OK(kvraft_range_from(range, "a/2", 3, &error));
    CHECK_OK(kvraft_page_read(map, range, options, &page, &error));
    CHECK(kvraft_page_count(page) == 2 && kvraft_page_has_more(page));
    CHECK(kvraft_page_revision(page) > 0);
    CHECK_OK(kvraft_page_entry(page, 1, &entry, &error));
    CHECK(entry_is(&entry, "a/3", ""));
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_page_entry(page, 2, &entry, &error));
    kvraft_page_free(page);

    CHECK_OK(kvraft_range_after(range, "a/2", 3, &error));
    CHECK_OK(kvraft_range_until(range, "a/4", 3, &error));
    CHECK_OK(kvraft_delete_range(map, range, NULL, &count, &revision, &error));
    CHECK(count == 1 && revision > 0);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_get_with(map, "a/3", 3, NULL, &entry, &error));
    kvraft_scan_options_free(options);
    kvraft_range_free(range);
    kvraft_range_free(all);
}

static void a_transaction_is_all_or_nothing(const kvraft_map *map)
{
    kvraft_txn *txn;
    kvraft_txn_result *result;
    kvraft_outcome outcome;
    uint64_t revision;
    int round;

    CHECK_OK(kvraft_put(map, "from", 4, "10", 2, PATIENCE_MS, &revision, &error));
    CHECK_OK(kvraft_txn_new(&txn, &error));
    CHECK_OK(kvraft_txn_when_revision(txn, "from", 4, KVRAFT_EQUAL, revision, &error));
    CHECK_OK(kvraft_txn_when_created(txn, "from", 4, KVRAFT_LESS, revision + 1, &error));
    CHECK_OK(kvraft_txn_when_value(txn, "from", 4, KVRAFT_GREATER, "09", 2, &error));
    CHECK_OK(kvraft_txn_when_absent(txn, "to", 2, &error));
    CHECK_OK(kvraft_txn_when_present(txn, "from", 4, &error));
    CHECK_OK(kvraft_txn_increment(txn, KVRAFT_THEN, "from", 4, -7, &error));
    CHECK_OK(kvraft_txn_increment(txn, KVRAFT_THEN, "to", 2, 7, &error));
    CHECK_OK(kvraft_txn_put(txn, KVRAFT_THEN, "note", 4, "moved", 5, &error));
    CHECK_OK(kvraft_txn_set_ttl_ms(txn, 60000, &error));
    CHECK_OK(kvraft_txn_set_want_previous(txn, &error));
    CHECK_OK(kvraft_txn_get(txn, KVRAFT_ELSE, "to", 2, &error));
    CHECK_OK(kvraft_txn_delete(txn, KVRAFT_ELSE, "from", 4, &error));
    CHECK_OK(kvraft_txn_set_want_previous(txn, &error));

    for (round = 0; round < 2; round++) {
        CHECK_OK(kvraft_txn_commit(map, txn, NULL, &result, &error));
        CHECK(kvraft_txn_result_succeeded(result) == (round == 0));
        CHECK(kvraft_txn_result_revision(result) > revision);
        CHECK(kvraft_txn_result_count(result) == (round == 0 ? 3 : 2));
        CHECK_OK(kvraft_txn_result_outcome(result, 0, &outcome, &error));
        CHECK(round == 0 ? outcome.number == 3 : entry_is(&outcome.entry, "to", "7"));
        CHECK_OK(kvraft_txn_result_outcome(result, 1, &outcome, &error));
        CHECK(round == 0 ? outcome.number == 7 : entry_is(&outcome.entry, "from", "3"));
        kvraft_outcome_free(&outcome);
        CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_txn_result_outcome(result, 3, &outcome, &error));
        kvraft_txn_result_free(result);
    }
    CHECK_OK(kvraft_txn_commit(map, txn, NULL, NULL, &error));
    kvraft_txn_free(txn);
}

/* Whoever does not look at what the calls return must not get half of what was meant. */
static void a_transaction_that_lacks_something_is_refused(const kvraft_map *map)
{
    kvraft_txn_result *result;
    kvraft_bytes value;
    kvraft_txn *txn;

    CHECK_OK(kvraft_txn_new(&txn, &error));
    CHECK_OK(kvraft_txn_put(txn, KVRAFT_THEN, "half", 4, "v", 1, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "kvraft_cmp",
                kvraft_txn_when_revision(txn, "to", 2, 4, 0, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "kvraft_branch",
                kvraft_txn_get(txn, 2, "to", 2, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "kvraft_cmp",
                kvraft_txn_commit(map, txn, NULL, &result, &error));
    CHECK(result == NULL);
    CHECK_STATUS(KVRAFT_NOT_FOUND, kvraft_get(map, "half", 4, PATIENCE_MS, &value, NULL, &error));
    kvraft_txn_free(txn);

    CHECK_OK(kvraft_txn_new(&txn, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "no operation", kvraft_txn_set_ttl_ms(txn, 1, &error));
    CHECK_ERROR(KVRAFT_INVALID_ARGUMENT, "no operation",
                kvraft_txn_commit(map, txn, NULL, NULL, &error));
    kvraft_txn_free(txn);
}

int main(int argc, char **argv)
{
    kvraft_map *map;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    map = open_at(argv[1]);
    conditions_decide(map);
    a_request_is_done_once(map);
    a_time_to_live_ends(map);
    reads_may_be_less_fresh(map);
    ranges_are_read_and_deleted(map);
    a_transaction_is_all_or_nothing(map);
    a_transaction_that_lacks_something_is_refused(map);
    CHECK_OK(kvraft_close(map, &error));
    kvraft_free(map);
    return 0;
}
