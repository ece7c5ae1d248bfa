// kvraft for C++17: the functions of kvraft.h as classes that free what they have and throw what
// goes wrong. It has nothing of its own: what a call does, and how it fails, is said in kvraft.h.
//
//     kvraft::map map = kvraft::map::open(kvraft::config("./data"));
//     map.put("greeting", "hello");
//     if (auto value = map.get("greeting")) {
//         std::cout << value->view() << "\n";
//     }
//     map.close();
//
// Keys and values are std::string_view, of any bytes; other texts end at their first NUL byte in C, and
// one that goes on after it is std::invalid_argument. Every class can be moved and not copied; what was
// moved from is empty, and its calls throw. A kvraft::map, lease and lock may be used by any number of
// threads at once, the others by one at a time. A view lives as long as what it was taken from.
// Destructors never throw; a map that is not closed stops in the background, without handing leadership
// over.

#ifndef KVRAFT_HPP
#define KVRAFT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
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
    // Copies what a call has given, or a callback was told.
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
        const handle<kvraft_error, kvraft_error_free> owned(failure);
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

// The time of a wait, of which 0 looks and does not wait.
inline std::uint32_t wait(milliseconds time)
{
    if (time.count() <= 0) {
        return 0;
    }
    return time.count() > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(time.count());
}

// The timeout of a call, where 0 would stand for the configured one: what is over is as short as can be.
inline std::uint32_t timeout(milliseconds time) { return time.count() <= 0 ? 1 : wait(time); }

inline std::uint64_t duration(milliseconds time)
{
    return time.count() <= 0 ? 0 : static_cast<std::uint64_t>(time.count());
}

// A text for C, where it ends at its first NUL byte.
inline const char *text(const std::string &text)
{
    if (text.find('\0') != std::string::npos) {
        throw std::invalid_argument("the text has a NUL byte in it");
    }
    return text.c_str();
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
              return kvraft_config_new(detail::text(data_dir), made, failure);
          }))
    {
    }

    config &set(const std::string &name, const std::string &value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_config_set_str(handle_.get(), detail::text(name), detail::text(value),
                                         failure);
        });
        return *this;
    }

    config &set_number(const std::string &name, std::uint64_t value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_config_set_u64(handle_.get(), detail::text(name), value, failure);
        });
        return *this;
    }

    config &set_bool(const std::string &name, bool value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_config_set_bool(handle_.get(), detail::text(name), value, failure);
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
    config &auto_promote(bool yes) { return set_bool("auto_promote", yes); }
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
                  return kvraft_client_config_new(detail::text(endpoints), made, failure);
              }))
    {
    }

    client_config &set(const std::string &name, const std::string &value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_client_config_set_str(handle_.get(), detail::text(name), detail::text(value),
                                         failure);
        });
        return *this;
    }

    client_config &set_number(const std::string &name, std::uint64_t value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_client_config_set_u64(handle_.get(), detail::text(name), value, failure);
        });
        return *this;
    }

    client_config &set_bool(const std::string &name, bool value)
    {
        detail::found([&](kvraft_error **failure) {
            return kvraft_client_config_set_bool(handle_.get(), detail::text(name), value, failure);
        });
        return *this;
    }

    client_config &name(const std::string &name) { return set("name", name); }
    client_config &cluster_secret(const std::string &secret) { return set("cluster_secret", secret); }
    client_config &cluster_secret_file(const std::string &path)
    {
        return set("cluster_secret_file", path);
    }
    client_config &insecure(const std::string &how) { return set("insecure", how); }
    client_config &consistency(const std::string &name) { return set("consistency", name); }
    client_config &request_timeout(milliseconds time)
    {
        return set_number("request_timeout", detail::duration(time));
    }
    client_config &tls(const std::string &ca, const std::string &cert, const std::string &key)
    {
        return set("tls_ca", ca).set("tls_cert", cert).set("tls_key", key);
    }

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
    // In whose name the request id is.
    write_options &principal(std::string_view name)
    {
        return set(kvraft_write_options_set_principal, name.data(), name.size());
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

// A scan under way. It can be walked once: for (const kvraft::entry &entry : map.scan(range)) …
class scan {
public:
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = entry;
        using difference_type = std::ptrdiff_t;
        using pointer = const entry *;
        using reference = const entry &;

        iterator() = default;
        explicit iterator(scan &scan) : scan_(&scan) { ++*this; }

        reference operator*() const { return *next_; }
        pointer operator->() const { return &*next_; }
        iterator &operator++()
        {
            next_ = scan_->next();
            return *this;
        }
        // Only the end is equal to the end.
        friend bool operator==(const iterator &one, const iterator &other)
        {
            return !one.next_ && !other.next_;
        }
        friend bool operator!=(const iterator &one, const iterator &other)
        {
            return !(one == other);
        }

    private:
        scan *scan_ = nullptr;
        std::optional<entry> next_;
    };

    explicit scan(kvraft_scan *taken) : handle_(taken) {}

    iterator begin() { return iterator(*this); }
    iterator end() { return {}; }

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

// Some entries of a range, all of one moment.
class page {
public:
    explicit page(kvraft_page *taken) : handle_(taken) {}

    std::size_t count() const noexcept { return kvraft_page_count(handle_.get()); }
    bool has_more() const noexcept { return kvraft_page_has_more(handle_.get()); }
    std::uint64_t revision() const noexcept { return kvraft_page_revision(handle_.get()); }

    // Lives as long as this; none if there is none of that index.
    std::optional<kvraft::entry> entry(std::size_t index) const
    {
        kvraft_entry part{};
        detail::found([&](kvraft_error **failure) {
            return kvraft_page_entry(handle_.get(), index, &part, failure);
        });
        return kvraft::entry::of(part);
    }

private:
    detail::handle<kvraft_page, kvraft_page_free> handle_;
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
            return kvraft_watch_next(handle_.get(), detail::wait(within), &event, failure);
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
            return kvraft_lease_ended(handle_.get(), detail::wait(within), failure);
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

// What the cluster knows of a lease.
class lease_info {
public:
    explicit lease_info(kvraft_lease_info *taken) : handle_(taken) {}

    milliseconds ttl() const noexcept
    {
        return milliseconds(kvraft_lease_info_ttl_ms(handle_.get()));
    }
    milliseconds remaining() const noexcept
    {
        return milliseconds(kvraft_lease_info_remaining_ms(handle_.get()));
    }
    std::size_t count() const noexcept { return kvraft_lease_info_count(handle_.get()); }

    // A key that ends with it; none if there is none of that index.
    std::optional<bytes> key(std::size_t index) const
    {
        kvraft_bytes key{};
        const bool there = detail::found([&](kvraft_error **failure) {
            return kvraft_lease_info_key(handle_.get(), index, &key, failure);
        });
        return there ? std::optional<bytes>(bytes(key)) : std::nullopt;
    }

private:
    detail::handle<kvraft_lease_info, kvraft_lease_info_free> handle_;
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
            return kvraft_lock_lost(handle_.get(), detail::wait(within), failure);
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

// What a node says of itself at one moment; its texts live as long as it.
class node_status {
public:
    explicit node_status(kvraft_node_status *taken) : handle_(taken) {}

    const char *name() const noexcept { return kvraft_node_status_name(handle_.get()); }
    const char *leader() const noexcept { return kvraft_node_status_leader(handle_.get()); }
    const char *role() const noexcept { return kvraft_node_status_role(handle_.get()); }
    bool is_leader() const noexcept { return kvraft_node_status_is_leader(handle_.get()); }
    bool is_ready() const noexcept { return kvraft_node_status_is_ready(handle_.get()); }
    std::uint64_t term() const noexcept { return kvraft_node_status_term(handle_.get()); }
    std::uint64_t applied() const noexcept { return kvraft_node_status_applied(handle_.get()); }
    std::uint64_t committed() const noexcept { return kvraft_node_status_committed(handle_.get()); }
    std::uint64_t revision() const noexcept { return kvraft_node_status_revision(handle_.get()); }
    std::uint64_t keys() const noexcept { return kvraft_node_status_keys(handle_.get()); }
    std::uint64_t bytes() const noexcept { return kvraft_node_status_bytes(handle_.get()); }

    std::vector<kvraft_member> members() const
    {
        std::vector<kvraft_member> all(kvraft_node_status_member_count(handle_.get()));
        for (std::size_t index = 0; index < all.size(); index++) {
            detail::found([&](kvraft_error **failure) {
                return kvraft_node_status_member(handle_.get(), index, &all[index], failure);
            });
        }
        return all;
    }

private:
    detail::handle<kvraft_node_status, kvraft_node_status_free> handle_;
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
        // An empty one is refused by name, as NULL.
        return begin(*context ? kvraft_hpp_call : nullptr, static_cast<void *>(context.get()),
                     failure);
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
            return kvraft_wait_ready(get_handle(), detail::wait(within), failure);
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

    kvraft::page page(const range &range, const scan_options *options = nullptr) const
    {
        return kvraft::page(
            detail::made<kvraft_page>([&](kvraft_page **made, kvraft_error **failure) {
                return kvraft_page_read(get_handle(), range.get(), detail::given(options), made,
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

    // A lease that only keep_alive keeps alive, by its id.
    std::uint64_t grant_lease(milliseconds ttl) const
    {
        std::uint64_t id = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_lease_grant(get_handle(), detail::duration(ttl), &id, failure);
        });
        return id;
    }

    void keep_alive(std::uint64_t lease) const { call(kvraft_lease_keep_alive, lease); }
    void end_lease(std::uint64_t lease) const { call(kvraft_lease_end, lease); }

    kvraft::lease_info look_up_lease(std::uint64_t lease, const read_options *options = nullptr) const
    {
        return kvraft::lease_info(
            detail::made<kvraft_lease_info>([&](kvraft_lease_info **made, kvraft_error **failure) {
                return kvraft_lease_look_up(get_handle(), lease, detail::given(options), made,
                                            failure);
            }));
    }

    // Waits as long as for any call (request_timeout).
    kvraft::lock lock(std::string_view name, milliseconds ttl) const
    {
        return take(name, ttl, 0);
    }

    kvraft::lock lock(std::string_view name, milliseconds ttl, milliseconds within) const
    {
        return take(name, ttl, detail::timeout(within));
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

    // Takes a lock for a lease that the caller keeps alive; returns the fencing token.
    std::uint64_t acquire(std::string_view name, std::uint64_t lease, milliseconds within) const
    {
        std::uint64_t token = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_lock_acquire(get_handle(), name.data(), name.size(), lease,
                                       detail::wait(within), &token, failure);
        });
        return token;
    }

    // Gives up as soon as a file descriptor can be read.
    std::uint64_t acquire_unless(std::string_view name, std::uint64_t lease, milliseconds within,
                                 int stop) const
    {
        std::uint64_t token = 0;
        detail::found([&](kvraft_error **failure) {
            return kvraft_lock_acquire_unless(get_handle(), name.data(), name.size(), lease,
                                              detail::wait(within), stop, &token, failure);
        });
        return token;
    }

    void release(std::string_view name, std::uint64_t lease) const
    {
        call(kvraft_lock_release, name.data(), name.size(), lease);
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
        detail::begin(std::move(call), [&](kvraft_callback told, void *context,
                                           kvraft_error **failure) {
            return kvraft_get_async(get_handle(), key.data(), key.size(), detail::given(options),
                                    told, context, failure);
        });
    }

    void put_async(std::string_view key, std::string_view value, callback call,
                   const write_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback told, void *context,
                                           kvraft_error **failure) {
            return kvraft_put_async(get_handle(), key.data(), key.size(), value.data(),
                                    value.size(), detail::given(options), told, context, failure);
        });
    }

    void erase_async(std::string_view key, callback call,
                     const write_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback told, void *context,
                                           kvraft_error **failure) {
            return kvraft_delete_async(get_handle(), key.data(), key.size(), detail::given(options),
                                       told, context, failure);
        });
    }

    void increment_async(std::string_view key, std::int64_t delta, callback call,
                         const write_options *options = nullptr) const
    {
        detail::begin(std::move(call), [&](kvraft_callback told, void *context,
                                           kvraft_error **failure) {
            return kvraft_increment_async(get_handle(), key.data(), key.size(), delta,
                                          detail::given(options), told, context, failure);
        });
    }

    kvraft::node_status status() const
    {
        return kvraft::node_status(detail::made<kvraft_node_status>(
            [&](kvraft_node_status **made, kvraft_error **failure) {
                return kvraft_node_status_new(get_handle(), made, failure);
            }));
    }

    std::size_t max_value_bytes() const { return size(kvraft_max_value_bytes); }
    std::size_t max_command_bytes() const { return size(kvraft_max_command_bytes); }

    void promote(const std::string &name) const { call(kvraft_promote, detail::text(name)); }
    void demote(const std::string &name) const { call(kvraft_demote, detail::text(name)); }
    void remove_member(const std::string &name) const
    {
        call(kvraft_remove_member, detail::text(name));
    }
    // Without a name, to the voter that is closest to the leader.
    void transfer_leadership() const
    {
        call(kvraft_transfer_leadership, static_cast<const char *>(nullptr));
    }
    void transfer_leadership(const std::string &to) const
    {
        call(kvraft_transfer_leadership, detail::text(to));
    }
    void shrink(std::uint32_t voters) const { call(kvraft_shrink, voters); }
    void refill() const { call(kvraft_refill); }

    std::string status_json() const { return json(kvraft_node_status_json); }
    std::string metrics_json() const { return json(kvraft_metrics_json); }
    std::string verify() const { return json(kvraft_verify); }

    // For functions of kvraft.h.
    const kvraft_map *get_handle() const noexcept { return handle_.get(); }

private:
    explicit map(kvraft_map *made) : handle_(made) {}

    kvraft::lock take(std::string_view name, milliseconds ttl, std::uint32_t timeout_ms) const
    {
        return kvraft::lock(
            detail::made<kvraft_lock>([&](kvraft_lock **made, kvraft_error **failure) {
                return kvraft_lock_take(get_handle(), name.data(), name.size(),
                                        detail::duration(ttl), timeout_ms, made, failure);
            }));
    }

    template <typename Function, typename... Values>
    void call(Function function, Values... values) const
    {
        detail::found(
            [&](kvraft_error **failure) { return function(get_handle(), values..., failure); });
    }

    template <typename Function>
    std::size_t size(Function function) const
    {
        std::size_t size = 0;
        detail::found(
            [&](kvraft_error **failure) { return function(get_handle(), &size, failure); });
        return size;
    }

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

namespace detail {

// Makes a call that works on files and tells what it did.
template <typename Call>
std::string report(Call &&call)
{
    kvraft_bytes json{};
    found([&](kvraft_error **failure) { return call(&json, failure); });
    return bytes(json).str();
}

} // namespace detail

// What can be done with files while no node has them open; each returns what came of it as JSON.

inline std::string restore(const std::string &from, const std::string &data_dir,
                           const std::string &name, std::uint64_t above = 0)
{
    return detail::report([&](kvraft_bytes *json, kvraft_error **failure) {
        return kvraft_restore(detail::text(from), detail::text(data_dir), detail::text(name), above,
                              json, failure);
    });
}

inline std::string recover_quorum(const std::string &data_dir, const std::string &into)
{
    return detail::report([&](kvraft_bytes *json, kvraft_error **failure) {
        return kvraft_recover_quorum(detail::text(data_dir), detail::text(into), json, failure);
    });
}

inline std::string verify_backup(const std::string &file)
{
    return detail::report([&](kvraft_bytes *json, kvraft_error **failure) {
        return kvraft_verify_backup(detail::text(file), json, failure);
    });
}

inline std::string verify_data_dir(const std::string &data_dir)
{
    return detail::report([&](kvraft_bytes *json, kvraft_error **failure) {
        return kvraft_verify_data_dir(detail::text(data_dir), json, failure);
    });
}

inline std::string set_aside(const std::string &data_dir)
{
    return detail::report([&](kvraft_bytes *json, kvraft_error **failure) {
        return kvraft_set_aside(detail::text(data_dir), json, failure);
    });
}

// Is told a message; see kvraft_log_callback. What it throws ends the program.
using log_callback = std::function<void(int level, const char *part, const char *message)>;

namespace detail {

inline bool &in_log_callback() noexcept
{
    thread_local bool in = false;
    return in;
}

extern "C" inline void kvraft_hpp_log(void *context, int level, const char *part,
                                      const char *message) noexcept
{
    in_log_callback() = true;
    (*static_cast<const log_callback *>(context))(level, part, message);
    in_log_callback() = false;
}

} // namespace detail

// Has a callback told what the library has to say, in place of the one before, which is over then. An
// empty one ends it. Not to be called out of such a callback.
inline void set_log_callback(log_callback call, kvraft_log_level level = KVRAFT_LOG_INFO)
{
    // Never destroyed: threads of the library go on to the end of the process.
    static auto *const mutex = new std::mutex;
    static auto *const current = new std::unique_ptr<log_callback>;

    if (detail::in_log_callback()) {
        throw std::logic_error("set_log_callback is called out of a log callback");
    }
    auto next = call ? std::make_unique<log_callback>(std::move(call)) : nullptr;
    const std::lock_guard<std::mutex> guard(*mutex);
    detail::found([&](kvraft_error **failure) {
        return kvraft_set_log_callback(next ? detail::kvraft_hpp_log : nullptr, next.get(),
                                       static_cast<int>(level), failure);
    });
    *current = std::move(next);
}

// The version of the library, and the revision of its binary interface.
inline const char *version() noexcept { return kvraft_version(); }
inline std::uint32_t abi_version() noexcept { return kvraft_abi_version(); }
inline const char *status_name(kvraft_status status) noexcept
{
    return kvraft_status_name(static_cast<int>(status));
}

} // namespace kvraft

#endif
