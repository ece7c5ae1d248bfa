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
    const auto page = map.page(range, &kvraft::scan_options().limit(2));
    CHECK(page.count() == 2 && page.has_more() && page.revision() > 0);
    CHECK(page.entry(1)->key() == "r/2" && !page.entry(2));
    std::string walked;
    auto again = map.scan(range);
    for (const auto &entry : again) {
        walked += entry.value();
    }
    CHECK(walked == "r/1r/2r/3");
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

    const auto id = map.grant_lease(60s);
    map.put("l", "v", kvraft::write_options().lease(id));
    map.keep_alive(id);
    const auto info = map.look_up_lease(id);
    CHECK(info.ttl() == 60s && info.remaining() <= 60s && info.count() == 1);
    CHECK(info.key(0)->view() == "l" && !info.key(1));
    const auto token = map.acquire("lease's", id, patience);
    CHECK(map.acquire_unless("lease's", id, patience, STDIN_FILENO) == token);
    map.release("lease's", id);
    CHECK(thrown([&] { map.release("lease's", id); }).status() == KVRAFT_EXPIRED);
    map.end_lease(id);
    CHECK(thrown([&] { map.keep_alive(id); }).status() == KVRAFT_EXPIRED);
}

static void what_is_wrong_is_told(const kvraft::map &map)
{
    // What was moved from is empty, and an empty callback is none.
    auto options = kvraft::read_options();
    const auto moved = std::move(options);
    CHECK(thrown([&] { options.min_revision(1); }).status() == KVRAFT_INVALID_ARGUMENT);
    CHECK(moved.get() && !options.get());
    CHECK(thrown([&] { map.get_async("k", nullptr); }).status() == KVRAFT_INVALID_ARGUMENT);
    // A time that is over is not the configured one.
    const kvraft::lock held = map.lock("over", 60s);
    CHECK(thrown([&] { map.lock("over", 60s, -5s); }).status() == KVRAFT_REFUSED);
    try {
        kvraft::config(std::string("data\0more", 9));
        CHECK(!"half of the path was taken");
    } catch (const std::invalid_argument &) {
    }
}

static void operators(const kvraft::map &map)
{
    const auto status = map.status();
    CHECK(status.name() == std::string("a") && status.leader() == std::string("a"));
    CHECK(status.role() == std::string("leader") && status.is_leader() && status.is_ready());
    CHECK(status.term() > 0 && status.applied() <= status.committed() + 1 && status.revision() > 0);
    CHECK(status.keys() > 0 && status.bytes() > 0 && status.members().size() == 1);
    CHECK(status.members().at(0).voter && status.members().at(0).name == std::string("a"));
    CHECK(map.max_value_bytes() == 1 << 20 && map.max_command_bytes() > map.max_value_bytes());
    map.promote("a");
    map.shrink(1);
    for (const auto &refused : {thrown([&] { map.demote("a"); }), thrown([&] { map.refill(); }),
                                thrown([&] { map.remove_member("b"); }),
                                thrown([&] { map.transfer_leadership(); }),
                                thrown([&] { map.transfer_leadership("b"); })}) {
        CHECK(refused.status() == KVRAFT_REFUSED);
    }
    CHECK(map.verify().find("\"verdict\":\"agreed\"") != std::string::npos);
    CHECK(map.metrics_json().find("\"keys\"") != std::string::npos);
    CHECK(kvraft::version() == std::string(KVRAFT_VERSION));
    CHECK(kvraft::abi_version() == KVRAFT_ABI_VERSION);
    CHECK(kvraft::status_name(KVRAFT_FULL) == std::string("full"));
}

static void files(const kvraft::map &map, const std::string &dir)
{
    const std::string file = dir + ".backup", restored = dir + ".restored";
    FILE *out = fopen(file.c_str(), "wb");
    CHECK(out);
    auto backup = map.backup();
    CHECK(backup.revision() > 0 && backup.entries() > 0);
    while (auto chunk = backup.next()) {
        const auto view = chunk->view();
        CHECK(fwrite(view.data(), 1, view.size(), out) == view.size());
    }
    CHECK(fclose(out) == 0);
    CHECK(kvraft::verify_backup(file).find("\"sound\":true") != std::string::npos);
    CHECK(kvraft::restore(file, restored, "b").find("\"nextRevision\"") != std::string::npos);
    CHECK(kvraft::verify_data_dir(restored).find("\"sound\":true") != std::string::npos);
    kvraft::recover_quorum(restored, dir + ".recovered");
    CHECK(thrown([&] { kvraft::set_aside(restored); }).status() == KVRAFT_REFUSED);
}

static void logs(const std::string &dir)
{
    std::mutex mutex;
    int told = 0;
    kvraft::set_log_callback(
        [&](int level, const char *part, const char *message) {
            CHECK(level <= KVRAFT_LOG_DEBUG && part && message);
            const std::lock_guard<std::mutex> guard(mutex);
            told++;
        },
        KVRAFT_LOG_DEBUG);
    kvraft::map::open(kvraft::config(dir)).close();
    kvraft::set_log_callback(nullptr);
    CHECK(told > 0);
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
    what_is_wrong_is_told(map);
    operators(map);
    files(map, argv[1]);
    map.close();
    logs(argv[1] + std::string(".logs"));
    CHECK(thrown([&] { map.get("k"); }).status() == KVRAFT_CLOSED);
    return 0;
}
