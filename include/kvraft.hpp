// kvraft for C++17: the functions of kvraft.h as classes that free what they have and throw what
// goes wrong. It has nothing of its own: what a call does, and how it fails, is said in kvraft.h.
//
//     kvraft::map map = kvraft::map::open(kvraft::config("./data"));
//     map.put("greeting", "hello");
//     std::cout << map.get("greeting")->view() << "\n";
//     map.close();
//
// Keys and values are std::string_view, of any bytes. Every class can be moved and not copied. A
// kvraft::map may be used by any number of threads at once, the others by one at a time. A view lives as
// long as what it was taken from. Destructors never throw; a map that is not closed stops in the
// background, without handing leadership over.

#ifndef KVRAFT_HPP
#define KVRAFT_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvraft.h"

namespace kvraft {

using milliseconds = std::chrono::milliseconds;

// Why a call failed. An absent key is no error but an empty std::optional, or false.
class error : public std::runtime_error {
public:
    // Takes what a call has given, and frees it.
    explicit error(kvraft_error *taken) : error(static_cast<const kvraft_error *>(taken))
    {
        kvraft_error_free(taken);
    }

    // Copies what a callback was told.
    explicit error(const kvraft_error *told)
        : std::runtime_error(text(kvraft_error_message(told))),
          status_(kvraft_error_status(told)),
          revision_(kvraft_error_revision(told)),
          may_be_applied_(kvraft_error_may_be_applied(told)),
          is_retryable_(kvraft_error_is_retryable(told))
    {
    }

    kvraft_status status() const noexcept { return status_; }
    // The current revision after a conflict, the oldest one after KVRAFT_COMPACTED.
    std::uint64_t revision() const noexcept { return revision_; }
    bool may_be_applied() const noexcept { return may_be_applied_; }
    bool is_retryable() const noexcept { return is_retryable_; }

private:
    static const char *text(const char *message) { return message ? message : "no message"; }

    kvraft_status status_;
    std::uint64_t revision_;
    bool may_be_applied_;
    bool is_retryable_;
};

namespace detail {

template <typename T, void (*Free)(T *)>
struct freed {
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <typename T, void (*Free)(T *)>
using handle = std::unique_ptr<T, freed<T, Free>>;

// Makes a call whose last argument is a kvraft_error **; returns whether there is something.
template <typename Call>
bool found(Call &&call)
{
    kvraft_error *failure = nullptr;
    const kvraft_status status = call(&failure);
    if (failure) {
        throw error(failure);
    }
    return status == KVRAFT_OK;
}

// Makes a call that gives a new handle.
template <typename T, typename Call>
T *made(Call &&call)
{
    T *handle = nullptr;
    found([&](kvraft_error **failure) { return call(&handle, failure); });
    return handle;
}

inline std::uint32_t timeout(milliseconds time)
{
    if (time.count() <= 0) {
        return 0;
    }
    return time.count() > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(time.count());
}

inline std::uint64_t duration(milliseconds time)
{
    return time.count() <= 0 ? 0 : static_cast<std::uint64_t>(time.count());
}

inline std::string_view view(const std::uint8_t *data, std::size_t len)
{
    return {reinterpret_cast<const char *>(data), len};
}

} // namespace detail

// Bytes that the library shares.
class bytes {
public:
    bytes() noexcept : bytes_{} {}
    explicit bytes(kvraft_bytes taken) noexcept : bytes_(taken) {}
    bytes(bytes &&other) noexcept : bytes_(std::exchange(other.bytes_, kvraft_bytes{})) {}
    bytes &operator=(bytes &&other) noexcept
    {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~bytes() { kvraft_bytes_free(&bytes_); }

    std::string_view view() const noexcept { return detail::view(bytes_.data, bytes_.len); }
    std::string str() const { return std::string(view()); }

private:
    kvraft_bytes bytes_;
};

// A key with its value and its history.
class entry {
public:
    explicit entry(kvraft_entry taken) noexcept : entry_(taken) {}
    entry(entry &&other) noexcept : entry_(std::exchange(other.entry_, kvraft_entry{})) {}
    entry &operator=(entry &&other) noexcept
    {
        std::swap(entry_, other.entry_);
        return *this;
    }
    ~entry() { kvraft_entry_free(&entry_); }

    // An entry that was taken, if there is one.
    static std::optional<entry> of(kvraft_entry taken)
    {
        return taken.key ? std::optional<entry>(entry(taken)) : std::nullopt;
    }

    std::string_view key() const noexcept { return detail::view(entry_.key, entry_.key_len); }
    std::string_view value() const noexcept { return detail::view(entry_.value, entry_.value_len); }
    std::uint64_t revision() const noexcept { return entry_.revision; }
    std::uint64_t created() const noexcept { return entry_.created; }
    std::uint64_t lease() const noexcept { return entry_.lease; }

private:
    kvraft_entry entry_;
};

// What a write of one key has done; see kvraft_outcome.
struct outcome {
    explicit outcome(kvraft_outcome &taken)
        : revision(taken.revision),
          number(taken.number),
          existed(taken.existed),
          entry(kvraft::entry::of(kvraft_entry_take(&taken.entry)))
    {
    }

    std::uint64_t revision;
    std::int64_t number;
    bool existed;
    std::optional<kvraft::entry> entry;
};

// The settings of a node. Their names, and their meaning, are those of all interfaces.
class config {
public:
    explicit config(const std::string &data_dir)
        : handle_(detail::made<kvraft_config>([&](kvraft_config **made, kvraft_error **failure) {
              return kvraft_config_new(data_dir.c_str(), made, failure);
          }))
    {
    }

    config &set(const std::string &name, const std::string &value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_config_set_str(handle_.get(), name.c_str(), value.c_str(), failure);
        });
        return *this;
    }

    config &set_number(const std::string &name, std::uint64_t value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_config_set_u64(handle_.get(), name.c_str(), value, failure);
        });
        return *this;
    }

    config &name(const std::string &name) { return set("name", name); }
    config &listen(const std::string &address) { return set("listen", address); }
    config &advertise(const std::string &address) { return set("advertise", address); }
    config &members(const std::string &list) { return set("members", list); }
    config &join(const std::string &addresses) { return set("join", addresses); }
    config &bootstrap_expect(std::uint32_t nodes) { return set_number("bootstrap_expect", nodes); }
    config &discover_dns(const std::string &name) { return set("discover_dns", name); }
    config &auto_promote(bool yes) { return set("auto_promote", yes ? "true" : "false"); }
    config &cluster_secret(const std::string &secret) { return set("cluster_secret", secret); }
    config &cluster_secret_file(const std::string &path) { return set("cluster_secret_file", path); }
    config &insecure(const std::string &how) { return set("insecure", how); }
    config &consistency(const std::string &name) { return set("consistency", name); }
    config &heartbeat_interval(milliseconds time) { return set_time("heartbeat_interval", time); }
    config &election_timeout(milliseconds time) { return set_time("election_timeout", time); }
    config &request_timeout(milliseconds time) { return set_time("request_timeout", time); }
    config &checkpoint_interval(milliseconds time) { return set_time("checkpoint_interval", time); }
    config &max_value_bytes(std::uint64_t bytes) { return set_number("max_value_bytes", bytes); }
    config &storage_limit_bytes(std::uint64_t bytes)
    {
        return set_number("storage_limit_bytes", bytes);
    }
    config &snapshot_bytes_per_second(std::uint64_t bytes)
    {
        return set_number("snapshot_bytes_per_second", bytes);
    }
    config &tls(const std::string &ca, const std::string &cert, const std::string &key)
    {
        return set("tls_ca", ca).set("tls_cert", cert).set("tls_key", key);
    }

    const kvraft_config *get() const noexcept { return handle_.get(); }

private:
    config &set_time(const char *name, milliseconds time)
    {
        return set_number(name, detail::duration(time));
    }

    detail::handle<kvraft_config, kvraft_config_free> handle_;
};

// The settings of a client.
class client_config {
public:
    explicit client_config(const std::string &endpoints)
        : handle_(detail::made<kvraft_client_config>(
              [&](kvraft_client_config **made, kvraft_error **failure) {
                  return kvraft_client_config_new(endpoints.c_str(), made, failure);
              }))
    {
    }

    client_config &set(const std::string &name, const std::string &value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_client_config_set_str(handle_.get(), name.c_str(), value.c_str(), failure);
        });
        return *this;
    }

    client_config &cluster_secret(const std::string &secret) { return set("cluster_secret", secret); }

    const kvraft_client_config *get() const noexcept { return handle_.get(); }

private:
    detail::handle<kvraft_client_config, kvraft_client_config_free> handle_;
};

// What a read may ask for.
class read_options {
public:
    read_options() : handle_(detail::made<kvraft_read_options>(kvraft_read_options_new)) {}

    read_options &consistency(kvraft_consistency consistency)
    {
        return set(kvraft_read_options_set_consistency, static_cast<int>(consistency));
    }
    read_options &min_revision(std::uint64_t revision)
    {
        return set(kvraft_read_options_set_min_revision, revision);
    }
    read_options &timeout(milliseconds time)
    {
        return set(kvraft_read_options_set_timeout_ms, detail::timeout(time));
    }

    const kvraft_read_options *get() const noexcept { return handle_.get(); }

private:
    template <typename Setter, typename Value>
    read_options &set(Setter setter, Value value)
    {
        detail::found([&](kvraft_error **failure) { return setter(handle_.get(), value, failure); });
        return *this;
    }

    detail::handle<kvraft_read_options, kvraft_read_options_free> handle_;
};

// What a write may ask for.
class write_options {
public:
    write_options() : handle_(detail::made<kvraft_write_options>(kvraft_write_options_new)) {}

    write_options &if_revision(std::uint64_t revision)
    {
        return set(kvraft_write_options_set_if_revision, revision);
    }
    write_options &if_absent() { return set(kvraft_write_options_set_if_absent); }
    write_options &if_present() { return set(kvraft_write_options_set_if_present); }
    write_options &if_value(std::string_view value)
    {
        return set(kvraft_write_options_set_if_value, value.data(), value.size());
    }
    write_options &want_previous() { return set(kvraft_write_options_set_want_previous); }
    write_options &ttl(milliseconds time)
    {
        return set(kvraft_write_options_set_ttl_ms, detail::duration(time));
    }
    write_options &lease(std::uint64_t id) { return set(kvraft_write_options_set_lease, id); }
    write_options &request_id(std::string_view id)
    {
        return set(kvraft_write_options_set_request_id, id.data(), id.size());
    }
    write_options &timeout(milliseconds time)
    {
        return set(kvraft_write_options_set_timeout_ms, detail::timeout(time));
    }

    const kvraft_write_options *get() const noexcept { return handle_.get(); }

private:
    template <typename Setter, typename... Values>
    write_options &set(Setter setter, Values... values)
    {
        detail::found(
            [&](kvraft_error **failure) { return setter(handle_.get(), values..., failure); });
        return *this;
    }

    detail::handle<kvraft_write_options, kvraft_write_options_free> handle_;
};

// A range of keys, ordered bytewise.
class range {
public:
    static range all() { return range(detail::made<kvraft_range>(kvraft_range_all)); }
    static range key(std::string_view key) { return of(kvraft_range_of_key, key); }
    static range prefix(std::string_view prefix) { return of(kvraft_range_of_prefix, prefix); }

    range &from(std::string_view start) { return narrow(kvraft_range_from, start); }
    range &after(std::string_view last) { return narrow(kvraft_range_after, last); }
    range &until(std::string_view end) { return narrow(kvraft_range_until, end); }

    const kvraft_range *get() const noexcept { return handle_.get(); }

private:
    explicit range(kvraft_range *made) : handle_(made) {}

    template <typename Maker>
    static range of(Maker maker, std::string_view text)
    {
        return range(detail::made<kvraft_range>([&](kvraft_range **made, kvraft_error **failure) {
            return maker(text.data(), text.size(), made, failure);
        }));
    }

    template <typename Setter>
    range &narrow(Setter setter, std::string_view text)
    {
        detail::found([&](kvraft_error **failure) {
            return setter(handle_.get(), text.data(), text.size(), failure);
        });
        return *this;
    }

    detail::handle<kvraft_range, kvraft_range_free> handle_;
};

// What a scan may ask for.
class scan_options {
public:
    scan_options() : handle_(detail::made<kvraft_scan_options>(kvraft_scan_options_new)) {}

    scan_options &read(const read_options &read)
    {
        return set(kvraft_scan_options_set_read, read.get());
    }
    scan_options &limit(std::size_t entries) { return set(kvraft_scan_options_set_limit, entries); }
    scan_options &reverse() { return set(kvraft_scan_options_set_reverse); }
    scan_options &keys_only() { return set(kvraft_scan_options_set_keys_only); }

    const kvraft_scan_options *get() const noexcept { return handle_.get(); }

private:
    template <typename Setter, typename... Values>
    scan_options &set(Setter setter, Values... values)
    {
        detail::found(
            [&](kvraft_error **failure) { return setter(handle_.get(), values..., failure); });
        return *this;
    }

    detail::handle<kvraft_scan_options, kvraft_scan_options_free> handle_;
};

// A scan under way.
class scan {
public:
    explicit scan(kvraft_scan *taken) : handle_(taken) {}

    // Reads the next entry; none at the end.
    std::optional<entry> next()
    {
        kvraft_entry next{};
        detail::found([&](kvraft_error **failure) {
            return kvraft_scan_next(handle_.get(), &next, failure);
        });
        return entry::of(next);
    }

private:
    detail::handle<kvraft_scan, kvraft_scan_free> handle_;
};

// What became of one key. Its views live as long as the event.
struct change {
    std::string_view key;
    // Empty if the key was deleted, or ended with its lease.
    std::optional<kvraft::entry> entry;
    std::optional<kvraft::entry> previous;
};

// What a watch tells at a time.
class watch_event {
public:
    explicit watch_event(kvraft_watch_event *taken) : handle_(taken) {}

    kvraft_watch_event_kind what() const noexcept { return kvraft_watch_event_what(handle_.get()); }
    std::uint64_t revision() const noexcept { return kvraft_watch_event_revision(handle_.get()); }

    // The changes, or the entries of a snapshot as changes.
    std::vector<change> changes() const
    {
        std::vector<change> all;
        const std::size_t count = kvraft_watch_event_count(handle_.get());
        all.reserve(count);
        for (std::size_t index = 0; index < count; index++) {
            kvraft_change part{};
            detail::found([&](kvraft_error **failure) {
                return kvraft_watch_event_change(handle_.get(), index, &part, failure);
            });
            all.push_back(change{detail::view(part.key, part.key_len), entry::of(part.entry),
                                 entry::of(part.previous)});
        }
        return all;
    }

private:
    detail::handle<kvraft_watch_event, kvraft_watch_event_free> handle_;
};

// What a watch may ask for.
class watch_options {
public:
    watch_options() : handle_(detail::made<kvraft_watch_options>(kvraft_watch_options_new)) {}

    watch_options &from(std::uint64_t revision)
    {
        return set(kvraft_watch_options_set_from, revision);
    }
    watch_options &previous() { return set(kvraft_watch_options_set_previous); }
    watch_options &resync() { return set(kvraft_watch_options_set_resync); }

    const kvraft_watch_options *get() const noexcept { return handle_.get(); }

private:
    template <typename Setter, typename... Values>
    watch_options &set(Setter setter, Values... values)
    {
        detail::found(
            [&](kvraft_error **failure) { return setter(handle_.get(), values..., failure); });
        return *this;
    }

    detail::handle<kvraft_watch_options, kvraft_watch_options_free> handle_;
};

// A watch under way.
class watch {
public:
    explicit watch(kvraft_watch *taken) : handle_(taken) {}

    // Waits for the next event; none if there was none within the time.
    std::optional<watch_event> next(milliseconds within)
    {
        kvraft_watch_event *event = nullptr;
        const bool told = detail::found([&](kvraft_error **failure) {
            return kvraft_watch_next(handle_.get(), detail::timeout(within), &event, failure);
        });
        return told ? std::optional<watch_event>(watch_event(event)) : std::nullopt;
    }

    // For poll, epoll and event loops; see kvraft_watch_fd.
    int fd() const noexcept { return kvraft_watch_fd(handle_.get()); }

private:
    detail::handle<kvraft_watch, kvraft_watch_free> handle_;
};

// What a transaction did.
class txn_result {
public:
    explicit txn_result(kvraft_txn_result *taken) : handle_(taken) {}

    bool succeeded() const noexcept { return kvraft_txn_result_succeeded(handle_.get()); }
    std::uint64_t revision() const noexcept { return kvraft_txn_result_revision(handle_.get()); }
    std::size_t count() const noexcept { return kvraft_txn_result_count(handle_.get()); }

    // What one operation did; its entry lives as long as this.
    kvraft::outcome outcome(std::size_t index) const
    {
        kvraft_outcome outcome{};
        const bool there = detail::found([&](kvraft_error **failure) {
            return kvraft_txn_result_outcome(handle_.get(), index, &outcome, failure);
        });
        if (!there) {
            throw std::out_of_range("the transaction has no operation of that index");
        }
        return kvraft::outcome(outcome);
    }

private:
    detail::handle<kvraft_txn_result, kvraft_txn_result_free> handle_;
};

// Comparisons, and what to do if all of them hold, or else; without comparisons it is a batch.
class txn {
public:
    txn() : handle_(detail::made<kvraft_txn>(kvraft_txn_new)) {}

    txn &when_revision(std::string_view key, kvraft_cmp cmp, std::uint64_t revision)
    {
        return add(kvraft_txn_when_revision, key, static_cast<int>(cmp), revision);
    }
    txn &when_created(std::string_view key, kvraft_cmp cmp, std::uint64_t revision)
    {
        return add(kvraft_txn_when_created, key, static_cast<int>(cmp), revision);
    }
    txn &when_value(std::string_view key, kvraft_cmp cmp, std::string_view value)
    {
        return add(kvraft_txn_when_value, key, static_cast<int>(cmp), value.data(), value.size());
    }
    txn &when_absent(std::string_view key) { return add(kvraft_txn_when_absent, key); }
    txn &when_present(std::string_view key) { return add(kvraft_txn_when_present, key); }

    txn &get(kvraft_branch branch, std::string_view key) { return op(kvraft_txn_get, branch, key); }
    txn &put(kvraft_branch branch, std::string_view key, std::string_view value)
    {
        return op(kvraft_txn_put, branch, key, value.data(), value.size());
    }
    txn &erase(kvraft_branch branch, std::string_view key)
    {
        return op(kvraft_txn_delete, branch, key);
    }
    txn &increment(kvraft_branch branch, std::string_view key, std::int64_t delta)
    {
        return op(kvraft_txn_increment, branch, key, delta);
    }

    // Of the operation that was added last.
    txn &ttl(milliseconds time) { return change(kvraft_txn_set_ttl_ms, detail::duration(time)); }
    txn &lease(std::uint64_t id) { return change(kvraft_txn_set_lease, id); }
    txn &want_previous() { return change(kvraft_txn_set_want_previous); }

    const kvraft_txn *get() const noexcept { return handle_.get(); }

private:
    template <typename Function, typename... Values>
    txn &change(Function function, Values... values)
    {
        detail::found(
            [&](kvraft_error **failure) { return function(handle_.get(), values..., failure); });
        return *this;
    }

    template <typename Function, typename... Values>
    txn &add(Function function, std::string_view key, Values... values)
    {
        return change(function, key.data(), key.size(), values...);
    }

    template <typename Function, typename... Values>
    txn &op(Function function, kvraft_branch branch, std::string_view key, Values... values)
    {
        return change(function, static_cast<int>(branch), key.data(), key.size(), values...);
    }

    detail::handle<kvraft_txn, kvraft_txn_free> handle_;
};

// A lease that is kept alive for as long as this lives.
class lease {
public:
    explicit lease(kvraft_lease *taken) : handle_(taken) {}

    std::uint64_t id() const noexcept { return kvraft_lease_id(handle_.get()); }
    bool is_alive() const noexcept { return kvraft_lease_is_alive(handle_.get()); }

    // Waits until it may have ended, but no longer; returns whether it may.
    bool ended(milliseconds within) const
    {
        return detail::found([&](kvraft_error **failure) {
            return kvraft_lease_ended(handle_.get(), detail::timeout(within), failure);
        });
    }

    void revoke()
    {
        detail::found(
            [&](kvraft_error **failure) { return kvraft_lease_revoke(handle_.get(), failure); });
    }

private:
    detail::handle<kvraft_lease, kvraft_lease_free> handle_;
};

// A lock that is held for as long as this lives.
class lock {
public:
    explicit lock(kvraft_lock *taken) : handle_(taken) {}

    std::uint64_t token() const noexcept { return kvraft_lock_token(handle_.get()); }
    bool is_held() const noexcept { return kvraft_lock_is_held(handle_.get()); }

    // Waits until it may be another's, but no longer; returns whether it may.
    bool lost(milliseconds within) const
    {
        return detail::found([&](kvraft_error **failure) {
            return kvraft_lock_lost(handle_.get(), detail::timeout(within), failure);
        });
    }

    void unlock()
    {
        detail::found(
            [&](kvraft_error **failure) { return kvraft_lock_unlock(handle_.get(), failure); });
    }

private:
    detail::handle<kvraft_lock, kvraft_lock_free> handle_;
};

// The whole map of one moment as bytes.
class backup {
public:
    explicit backup(kvraft_backup *taken) : handle_(taken) {}

    std::uint64_t revision() const noexcept { return kvraft_backup_revision(handle_.get()); }
    std::uint64_t entries() const noexcept { return kvraft_backup_entries(handle_.get()); }

    // Reads the next bytes; none when the backup is whole.
    std::optional<bytes> next()
    {
        kvraft_bytes chunk{};
        const bool there = detail::found([&](kvraft_error **failure) {
            return kvraft_backup_next(handle_.get(), &chunk, failure);
        });
        return there ? std::optional<bytes>(bytes(chunk)) : std::nullopt;
    }

private:
    detail::handle<kvraft_backup, kvraft_backup_free> handle_;
};

// What a callback is told: what was done, or what went wrong.
struct result {
    kvraft_status status;
    kvraft::outcome outcome;
    std::optional<kvraft::error> error;
};

// Called exactly once, on a thread of the library; see kvraft_callback. What it throws ends the
// program.
using callback = std::function<void(result)>;

namespace detail {

extern "C" inline void kvraft_hpp_call(void *context, kvraft_status status, kvraft_outcome *outcome,
                                       const kvraft_error *failure) noexcept
{
    const std::unique_ptr<callback> call(static_cast<callback *>(context));
    std::optional<error> told;
    if (failure) {
        told.emplace(failure);
    }
    (*call)(result{status, kvraft::outcome(*outcome), std::move(told)});
}

// Begins a call, which owns the callback if it has begun.
template <typename Begin>
void begin(callback call, Begin &&begin)
{
    auto context = std::make_unique<callback>(std::move(call));
    found([&](kvraft_error **failure) {
        return begin(kvraft_hpp_call, static_cast<void *>(context.get()), failure);
    });
    static_cast<void>(context.release());
}

template <typename T>
auto given(const T *options) -> decltype(options->get())
{
    return options ? options->get() : nullptr;
}

} // namespace detail

// An open map. Options may be left out.
class map {
public:
    static map open(const config &config)
    {
        return map(detail::made<kvraft_map>([&](kvraft_map **made, kvraft_error **failure) {
            return kvraft_open(config.get(), made, failure);
        }));
    }

    static map connect(const client_config &config)
    {
        return map(detail::made<kvraft_map>([&](kvraft_map **made, kvraft_error **failure) {
            return kvraft_connect(config.get(), made, failure);
        }));
    }

    void wait_ready(milliseconds within) const
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_wait_ready(get_handle(), detail::timeout(within), failure);
        });
    }

    void close() const
    {
        detail::found([&](kvraft_error **failure) { return kvraft_close(get_handle(), failure); });
    }

    std::optional<bytes> get(std::string_view key) const
    {
        kvraft_bytes value{};
        const bool there = detail::found([&](kvraft_error **failure) {
            return kvraft_get(get_handle(), key.data(), key.size(), 0, &value, nullptr, failure);
        });
        return there ? std::optional<bytes>(bytes(value)) : std::nullopt;
    }

    std::optional<entry> get_entry(std::string_view key, const read_options *options = nullptr) const
    {
        kvraft_entry entry{};
        detail::found([&](kvraft_error **failure) {
            return kvraft_get_with(get_handle(), key.data(), key.size(), detail::given(options),
                                   &entry, failure);
        });
        return entry::of(entry);
    }

    std::uint64_t count(const range &range, const read_options *options = nullptr) const
    {
        std::uint64_t count = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_count(get_handle(), range.get(), detail::given(options), &count, failure);
        });
        return count;
    }

    // Returns the revision of the change.
    std::uint64_t put(std::string_view key, std::string_view value) const
    {
        std::uint64_t revision = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_put(get_handle(), key.data(), key.size(), value.data(), value.size(), 0,
                              &revision, failure);
        });
        return revision;
    }

    outcome put(std::string_view key, std::string_view value, const write_options &options) const
    {
        kvraft_outcome done{};
        detail::found([&](kvraft_error **failure) {
            return kvraft_put_with(get_handle(), key.data(), key.size(), value.data(), value.size(),
                                   options.get(), &done, failure);
        });
        return outcome(done);
    }

    // Returns whether there was such a key.
    bool erase(std::string_view key) const
    {
        return detail::found([&](kvraft_error **failure) {
            return kvraft_delete(get_handle(), key.data(), key.size(), 0, nullptr, failure);
        });
    }

    outcome erase(std::string_view key, const write_options &options) const
    {
        kvraft_outcome done{};
        detail::found([&](kvraft_error **failure) {
            return kvraft_delete_with(get_handle(), key.data(), key.size(), options.get(), &done,
                                      failure);
        });
        return outcome(done);
    }

    // Returns how many keys were there.
    std::uint64_t erase(const range &range) const
    {
        std::uint64_t deleted = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_delete_range(get_handle(), range.get(), nullptr, &deleted, nullptr,
                                       failure);
        });
        return deleted;
    }

    // Returns the sum.
    std::int64_t increment(std::string_view key, std::int64_t delta,
                           const write_options *options = nullptr) const
    {
        std::int64_t number = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_increment(get_handle(), key.data(), key.size(), delta,
                                    detail::given(options), &number, nullptr, failure);
        });
        return number;
    }

    txn_result commit(const txn &txn, const write_options *options = nullptr) const
    {
        return txn_result(detail::made<kvraft_txn_result>(
            [&](kvraft_txn_result **made, kvraft_error **failure) {
                return kvraft_txn_commit(get_handle(), txn.get(), detail::given(options), made,
                                         failure);
            }));
    }

    kvraft::scan scan(const range &range, const scan_options *options = nullptr) const
    {
        return kvraft::scan(
            detail::made<kvraft_scan>([&](kvraft_scan **made, kvraft_error **failure) {
                return kvraft_scan_new(get_handle(), range.get(), detail::given(options), made,
                                       failure);
            }));
    }

    kvraft::watch watch(const range &range, const watch_options *options = nullptr) const
    {
        return kvraft::watch(
            detail::made<kvraft_watch>([&](kvraft_watch **made, kvraft_error **failure) {
                return kvraft_watch_new(get_handle(), range.get(), detail::given(options), made,
                                        failure);
            }));
    }

    kvraft::lease lease(milliseconds ttl) const
    {
        return kvraft::lease(
            detail::made<kvraft_lease>([&](kvraft_lease **made, kvraft_error **failure) {
                return kvraft_lease_new(get_handle(), detail::duration(ttl), made, failure);
            }));
    }

    // Waits as long as for any call (request_timeout).
    kvraft::lock lock(std::string_view name, milliseconds ttl) const
    {
        return lock(name, ttl, milliseconds(0));
    }

    kvraft::lock lock(std::string_view name, milliseconds ttl, milliseconds within) const
    {
        return kvraft::lock(
            detail::made<kvraft_lock>([&](kvraft_lock **made, kvraft_error **failure) {
                return kvraft_lock_take(get_handle(), name.data(), name.size(),
                                        detail::duration(ttl), detail::timeout(within), made,
                                        failure);
            }));
    }

    std::optional<kvraft::lock> try_lock(std::string_view name, milliseconds ttl) const
    {
        kvraft_lock *taken =
            detail::made<kvraft_lock>([&](kvraft_lock **made, kvraft_error **failure) {
                return kvraft_lock_try(get_handle(), name.data(), name.size(),
                                       detail::duration(ttl), made, failure);
            });
        return taken ? std::optional<kvraft::lock>(kvraft::lock(taken)) : std::nullopt;
    }

    kvraft::backup backup(const read_options *options = nullptr) const
    {
        return kvraft::backup(
            detail::made<kvraft_backup>([&](kvraft_backup **made, kvraft_error **failure) {
                return kvraft_backup_new(get_handle(), detail::given(options), made, failure);
            }));
    }

    void get_async(std::string_view key, callback call, const read_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback call, void *context,
                                           kvraft_error **failure) {
            return kvraft_get_async(get_handle(), key.data(), key.size(), detail::given(options),
                                    call, context, failure);
        });
    }

    void put_async(std::string_view key, std::string_view value, callback call,
                   const write_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback call, void *context,
                                           kvraft_error **failure) {
            return kvraft_put_async(get_handle(), key.data(), key.size(), value.data(),
                                    value.size(), detail::given(options), call, context, failure);
        });
    }

    void erase_async(std::string_view key, callback call,
                     const write_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback call, void *context,
                                           kvraft_error **failure) {
            return kvraft_delete_async(get_handle(), key.data(), key.size(), detail::given(options),
                                       call, context, failure);
        });
    }

    void increment_async(std::string_view key, std::int64_t delta, callback call,
                         const write_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback call, void *context,
                                           kvraft_error **failure) {
            return kvraft_increment_async(get_handle(), key.data(), key.size(), delta,
                                          detail::given(options), call, context, failure);
        });
    }

    std::string status_json() const { return json(kvraft_node_status_json); }
    std::string metrics_json() const { return json(kvraft_metrics_json); }
    std::string verify() const { return json(kvraft_verify); }

    // For the functions of kvraft.h that have no method here: leases by their ids, members, repair.
    const kvraft_map *get_handle() const noexcept { return handle_.get(); }

private:
    explicit map(kvraft_map *made) : handle_(made) {}

    template <typename Function>
    std::string json(Function function) const
    {
        kvraft_bytes text{};
        detail::found(
            [&](kvraft_error **failure) { return function(get_handle(), &text, failure); });
        return bytes(text).str();
    }

    detail::handle<kvraft_map, kvraft_free> handle_;
};

} // namespace kvraft

#endif
