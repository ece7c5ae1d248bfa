// The C++ wrapper does what the C functions do, frees what it has, and throws what goes wrong.
#include "check.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <type_traits>

#include "kvraft.hpp"

using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<kvraft::map> && !std::is_copy_constructible_v<kvraft::bytes>
              && !std::is_copy_constructible_v<kvraft::entry>);
static_assert(std::is_nothrow_move_constructible_v<kvraft::map>
              && std::is_nothrow_move_constructible_v<kvraft::watch_event>
              && std::is_nothrow_move_assignable_v<kvraft::entry>);

static const auto patience = std::chrono::milliseconds(PATIENCE_MS);

template <typename Call>
static kvraft::error thrown(Call &&call)
{
    try {
        call();
    } catch (const kvraft::error &error) {
        return error;
    }
    CHECK(!"nothing was thrown");
    abort();
}

static void values(const kvraft::map &map)
{
    CHECK(!map.get("k"));
    const auto revision = map.put("k", std::string_view("v\0w", 3));
    kvraft::bytes value = *map.get("k");
    const kvraft::bytes moved = std::move(value);
    CHECK(moved.view() == std::string_view("v\0w", 3) && value.view().empty());
    const auto entry = map.get_entry(
        "k", &kvraft::read_options().consistency(KVRAFT_LOCAL).min_revision(revision));
    CHECK(entry && entry->key() == "k" && entry->revision() == revision && entry->lease() == 0);

    const auto refused = thrown([&] {
        map.put("k", "x", kvraft::write_options().if_absent().timeout(patience));
    });
    CHECK(refused.status() == KVRAFT_CONFLICT && refused.revision() == revision);
    CHECK(!refused.may_be_applied() && !refused.is_retryable() && *refused.what());
    auto done = map.put("k", "x", kvraft::write_options().if_revision(revision).want_previous());
    CHECK(done.existed && done.entry->value().size() == 3 && done.revision > revision);
    CHECK(map.erase("k") && !map.erase("k"));
    CHECK(map.increment("n", 41) == 41 && map.increment("n", 1) == 42);
    CHECK(thrown([&] { map.get(""); }).status() == KVRAFT_INVALID_ARGUMENT);
}

static void ranges(const kvraft::map &map)
{
    for (const char *key : {"r/1", "r/2", "r/3"}) {
        map.put(key, key);
    }
    const auto range = kvraft::range::prefix("r/");
    CHECK(map.count(range) == 3);
    auto scan = map.scan(range, &kvraft::scan_options().reverse().limit(2));
    CHECK(scan.next()->key() == "r/3" && scan.next()->value() == "r/2" && !scan.next());
    CHECK(map.erase(kvraft::range::all().from("r/2").until("r/9")) == 2);
}

static void transactions(const kvraft::map &map)
{
    kvraft::txn txn;
    txn.when_absent("t").put(KVRAFT_THEN, "t", "1").ttl(60s).increment(KVRAFT_THEN, "u", 7);
    txn.get(KVRAFT_ELSE, "t").erase(KVRAFT_ELSE, "u").want_previous();
    const auto first = map.commit(txn);
    CHECK(first.succeeded() && first.count() == 2 && first.outcome(1).number == 7);
    const auto second = map.commit(txn);
    CHECK(!second.succeeded() && second.outcome(0).entry->value() == "1");
    CHECK(second.outcome(1).existed && second.outcome(1).entry->value() == "7");
}

static void watches(const kvraft::map &map)
{
    auto watch = map.watch(kvraft::range::key("w"), &kvraft::watch_options().previous());
    CHECK(watch.fd() >= 0 && !watch.next(0ms));
    const auto revision = map.put("w", "1");
    map.erase("w");
    const auto put = watch.next(patience), gone = watch.next(patience);
    CHECK(put->what() == KVRAFT_WATCH_CHANGES && put->revision() == revision);
    CHECK(put->changes().at(0).entry->value() == "1" && !put->changes().at(0).previous);
    CHECK(gone->changes().at(0).key == "w" && !gone->changes().at(0).entry);
    CHECK(gone->changes().at(0).previous->value() == "1");
}

static void leases_and_locks(const kvraft::map &map)
{
    auto lease = map.lease(60s);
    map.put("l", "v", kvraft::write_options().lease(lease.id()));
    CHECK(lease.is_alive() && !lease.ended(0ms));
    lease.revoke();
    CHECK(!lease.is_alive() && lease.ended(0ms) && !map.get("l"));
    auto lock = map.lock("lock", 60s);
    CHECK(lock.is_held() && lock.token() > 0 && !lock.lost(0ms) && !map.try_lock("lock", 60s));
    CHECK(thrown([&] { map.lock("lock", 60s, 1ms); }).status() == KVRAFT_REFUSED);
    lock.unlock();
    CHECK(map.try_lock("lock", 60s)->token() > lock.token());
}

static void callbacks(const kvraft::map &map)
{
    std::mutex mutex;
    std::condition_variable changed;
    int told = 0;
    const auto note = [&](auto check) {
        return [&, check](kvraft::result result) {
            CHECK(check(result));
            const std::lock_guard<std::mutex> guard(mutex);
            told++;
            changed.notify_one();
        };
    };
    map.put_async("c", "v", note([](auto &it) { return it.outcome.revision > 0 && !it.error; }));
    map.increment_async("c2", 7, note([](auto &it) { return it.outcome.number == 7; }));
    map.get_async("", note([](auto &it) {
        return it.status == KVRAFT_INVALID_ARGUMENT && it.error->status() == it.status;
    }));
    map.erase_async("absent", note([](auto &it) { return it.status == KVRAFT_NOT_FOUND; }));
    std::unique_lock<std::mutex> guard(mutex);
    changed.wait(guard, [&] { return told == 4; });
}

int main(int argc, char **argv)
{
    alarm(DEADLINE_S);
    CHECK(argc == 2);
    kvraft::config config(argv[1]);
    config.name("a").request_timeout(patience).max_value_bytes(1 << 20).auto_promote(false);
    CHECK(thrown([&] { config.set("colour", "red"); }).status() == KVRAFT_INVALID_ARGUMENT);
    const kvraft::map map = kvraft::map::open(config);
    map.wait_ready(patience);
    values(map);
    ranges(map);
    transactions(map);
    watches(map);
    leases_and_locks(map);
    callbacks(map);
    CHECK(map.status_json().find("\"name\":\"a\"") != std::string::npos);
    auto backup = map.backup();
    while (auto chunk = backup.next()) {
        CHECK(!chunk->view().empty());
    }
    map.close();
    CHECK(thrown([&] { map.get("k"); }).status() == KVRAFT_CLOSED);
    return 0;
}
