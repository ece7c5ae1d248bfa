/* kvraft: an ordered map from bytes to bytes that lives inside your process and survives the loss
 * of machines. This is its whole C interface, for C99 and C++.
 *
 * Made by cbindgen from kvraft-ffi: change the Rust sources, not this file.
 *
 * The life of a map
 *     kvraft_config *config = NULL;
 *     kvraft_map *map = NULL;
 *     kvraft_error *error = NULL;
 *     kvraft_bytes value;
 *
 *     if (kvraft_config_new("./data", &config, &error) != KVRAFT_OK
 *         || kvraft_open(config, &map, &error) != KVRAFT_OK
 *         || kvraft_put(map, "greeting", 8, "hello", 5, 0, NULL, &error) != KVRAFT_OK
 *         || kvraft_get(map, "greeting", 8, 0, &value, NULL, &error) != KVRAFT_OK) {
 *         fprintf(stderr, "%s\n", error ? kvraft_error_message(error) : "no such key");
 *         kvraft_error_free(error);
 *     } else {
 *         printf("%.*s\n", (int)value.len, (const char *)value.data);
 *         kvraft_bytes_free(&value);
 *         kvraft_close(map, NULL);
 *     }
 *     kvraft_free(map);
 *     kvraft_config_free(config);
 *
 * Errors. Functions that can fail return enum kvraft_status and take kvraft_error ** last. It may
 * be NULL; otherwise it is set to NULL on success and for KVRAFT_NOT_FOUND, and to a new error
 * otherwise. An old error there is overwritten, not freed.
 *
 * Outputs are zeroed before anything else happens, so that they may be freed after any status.
 *
 * Ownership. What a function takes stays the caller's, and is copied if it is needed after the
 * call. What it gives belongs to the caller until it is given to the free function of its type.
 * Free functions take NULL. Values are never copied on their way out: a kvraft_bytes or kvraft_entry
 * shares what the library has.
 *
 * NULL for an argument that may not be NULL is KVRAFT_INVALID_ARGUMENT, and the message names it.
 * Functions that return something else than a status take NULL too, and say what they return then.
 *
 * Threads. A kvraft_map may be used by any number of threads at once, except for kvraft_free. So may
 * what never changes, where it says so. The other types belong to one thread at a time.
 *
 * Blocking. Functions with a timeout wait at most so long, those with options as long as these say,
 * without using processor time; kvraft_open waits for the disk, kvraft_close for the disk and for a
 * new leader, within bounds. None may be called from a signal handler. The library installs no
 * signal handlers, its threads take no signals, and it raises no SIGPIPE.
 *
 * Callbacks are called on threads of the library; see kvraft_callback for what they may do.
 *
 * Fork. A forked child has none of the library's threads: calls with a map, or with what came of one
 * and is not read-only, that was made before the fork return KVRAFT_CLOSED there, and freeing it does
 * nothing. A child may open maps itself.
 *
 * Bugs in the library do not end the process: they are KVRAFT_INTERNAL.
 */


#ifndef KVRAFT_H
#define KVRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header; kvraft_version gives that of the library. */
#define KVRAFT_VERSION "0.1.0"
#define KVRAFT_VERSION_MAJOR 0
#define KVRAFT_VERSION_MINOR 1
#define KVRAFT_VERSION_PATCH 0

// The revision of the binary interface that the header declares. It rises when programs that were
// compiled with an older header no longer work, and so does the number in the library's SONAME.
#define KVRAFT_ABI_VERSION 1

// What became of a call.
//
// 0 is success, -1 is an answer (there is nothing), everything above 0 is an error. Values
// are never given a new meaning; new ones may come with a new minor version, so treat one that
// you do not know like KVRAFT_INTERNAL.
typedef enum kvraft_status {
  // There is no such key, nothing more to read, or nothing yet: the function says which. Not an
  // error: no kvraft_error is made.
  KVRAFT_NOT_FOUND = -1,
  // Done.
  KVRAFT_OK = 0,
  // The call or the configuration is wrong; nothing was done. Fix it.
  KVRAFT_INVALID_ARGUMENT = 1,
  // A condition of the write did not hold; nothing was done. Read and decide again.
  KVRAFT_CONFLICT = 2,
  // No leader or no quorum in time; nothing was done. Retry freely.
  KVRAFT_UNAVAILABLE = 3,
  // A write was sent and its answer was lost: it may or may not be applied. Read it back.
  KVRAFT_INDETERMINATE = 4,
  // The storage limit is reached; nothing was done. Delete something or raise the limit.
  KVRAFT_FULL = 5,
  // A watch or scan is too far behind. Start it again.
  KVRAFT_COMPACTED = 6,
  // The lease or lock is gone; nothing was done. Acquire it again.
  KVRAFT_EXPIRED = 7,
  // The cluster or the data directory does not allow it; nothing was done.
  KVRAFT_REFUSED = 8,
  // A queue is at its bound; nothing was done. Slow down, then retry.
  KVRAFT_OVERLOADED = 9,
  // The credentials are missing or do not allow it; nothing was done.
  KVRAFT_UNAUTHORIZED = 10,
  // The map was closed, or is used after a fork; nothing was done. Open it again.
  KVRAFT_CLOSED = 11,
  // The disk of this node failed and the node stopped serving. Writes may be applied.
  KVRAFT_STORAGE = 12,
  // Stored or received bytes cannot be trusted; a write may be applied. Restore this node.
  KVRAFT_CORRUPT = 13,
  // A bug in kvraft; a write may be applied. Please report it.
  KVRAFT_INTERNAL = 14,
} kvraft_status;

// What an event of a watch tells.
typedef enum kvraft_watch_event_kind {
  // Nothing that this version knows: skip it.
  KVRAFT_WATCH_NOTHING = 0,
  // All changes of one revision in the watched range, each key at most once.
  KVRAFT_WATCH_CHANGES = 1,
  // All entries follow as they stood at this revision: forget what was told before.
  KVRAFT_WATCH_SNAPSHOT_BEGIN = 2,
  // Some entries of the snapshot, in the order of their keys over all events.
  KVRAFT_WATCH_SNAPSHOT_ENTRIES = 3,
  // The snapshot is complete; changes after its revision follow.
  KVRAFT_WATCH_SNAPSHOT_END = 4,
} kvraft_watch_event_kind;

// How fresh a read must be.
typedef enum kvraft_consistency {
  // Sees every write that was acknowledged anywhere before the read began. Costs one round trip
  // to a quorum, shared by the reads that wait together.
  KVRAFT_LINEARIZABLE = 0,
  // The same, without a round trip of the leader's; it trusts clocks to run alike within a fifth.
  KVRAFT_LEASE = 1,
  // Sees what this node has applied: no network, possibly old.
  KVRAFT_LOCAL = 2,
} kvraft_consistency;

// How two sides of a comparison must stand to each other.
typedef enum kvraft_cmp {
  // Both are the same.
  KVRAFT_EQUAL = 0,
  // They differ.
  KVRAFT_NOT_EQUAL = 1,
  // The entry's side is smaller; values are compared bytewise.
  KVRAFT_LESS = 2,
  // The entry's side is larger.
  KVRAFT_GREATER = 3,
} kvraft_cmp;

// When an operation of a transaction is done.
typedef enum kvraft_branch {
  // If all comparisons hold, or if there is none.
  KVRAFT_THEN = 0,
  // If some comparison does not hold.
  KVRAFT_ELSE = 1,
} kvraft_branch;

// How much is told: each level with those before it.
typedef enum kvraft_log_level {
  // What somebody has to see to.
  KVRAFT_LOG_ERROR = 1,
  // What may become an error.
  KVRAFT_LOG_WARN = 2,
  // What happens once in a while: elections, members that come and go.
  KVRAFT_LOG_INFO = 3,
  // What helps to find a fault.
  KVRAFT_LOG_DEBUG = 4,
  // Everything.
  KVRAFT_LOG_TRACE = 5,
} kvraft_log_level;

// A backup that is being read. Not for several threads at once.
typedef struct kvraft_backup kvraft_backup;

// What keeps the bytes of a kvraft_bytes alive.
typedef struct kvraft_bytes_owner kvraft_bytes_owner;

// The settings of a client. Not for several threads at once.
typedef struct kvraft_client_config kvraft_client_config;

// The settings of a node. Not for several threads at once.
typedef struct kvraft_config kvraft_config;

// What keeps the bytes of a kvraft_entry alive.
typedef struct kvraft_entry_owner kvraft_entry_owner;

// Why a call failed, and what to do next. Belongs to the caller: free it with kvraft_error_free.
typedef struct kvraft_error kvraft_error;

// A lease that is kept alive for as long as this is not freed.
//
// Any number of threads may use it at once, except for kvraft_lease_free: one may wait for its end
// while another works and revokes it.
typedef struct kvraft_lease kvraft_lease;

// What the cluster knows of a lease. It never changes: any number of threads may read it.
typedef struct kvraft_lease_info kvraft_lease_info;

// A lock that is held until it is unlocked, freed, or lost.
//
// Any number of threads may use it at once, except for kvraft_lock_free: one may wait for its loss
// while another works and unlocks it.
typedef struct kvraft_lock kvraft_lock;

// An open map: one member of its cluster, which lives in this process on threads of its own
// (kvraft_open), or a client without a disk or a vote (kvraft_connect).
//
// Any number of threads may use it at once.
typedef struct kvraft_map kvraft_map;

// What a node says of itself at one moment. It never changes: any number of threads may read it, and
// its texts live as long as it.
typedef struct kvraft_node_status kvraft_node_status;

// Some entries of a range, all of one moment. It never changes: any number of threads may read it.
typedef struct kvraft_page kvraft_page;

// A range of keys, ordered bytewise. Not for several threads at once.
typedef struct kvraft_range kvraft_range;

// What a read may ask for. Not for several threads at once.
typedef struct kvraft_read_options kvraft_read_options;

// A scan under way. It reads on demand, holds little in memory, and keeps its moment for 30
// seconds. Not for several threads at once.
typedef struct kvraft_scan kvraft_scan;

// What a scan may ask for. Not for several threads at once.
typedef struct kvraft_scan_options kvraft_scan_options;

// Comparisons, and what to do if all of them hold, or else: at once, or not at all. Without
// comparisons it is a batch.
//
// At most 1024 comparisons and operations in all, each key at most once in a branch. Every
// operation sees the map as it was before the transaction, and all changes have one revision. Keys
// and values are copied, and checked by kvraft_txn_commit. What could not be added is not left out:
// kvraft_txn_commit refuses the whole then. Not for several threads at once.
typedef struct kvraft_txn kvraft_txn;

// What a transaction did. It never changes: any number of threads may read it.
typedef struct kvraft_txn_result kvraft_txn_result;

// A watch under way. Not for several threads at once, but kvraft_close may be called meanwhile.
typedef struct kvraft_watch kvraft_watch;

// What a watch tells at a time. It never changes: any number of threads may read it.
typedef struct kvraft_watch_event kvraft_watch_event;

// What a watch may ask for. Not for several threads at once.
typedef struct kvraft_watch_options kvraft_watch_options;

// What a write may ask for: a condition, a time to live or a lease, a request id, a timeout. Not
// for several threads at once.
typedef struct kvraft_write_options kvraft_write_options;

// A key with its value and its history. Read its fields, change nothing.
//
// An entry that a function gives to its caller is freed with kvraft_entry_free. One that is part of
// something else (a page, an event, the result of a transaction) lives as long as that, and is not
// freed: kvraft_entry_free does nothing to it but zero it. That of an outcome is freed with it.
//
// key is NULL if there is no entry. The bytes may be read by any number of threads.
typedef struct kvraft_entry {
  // 1 to 511 bytes.
  const uint8_t *key;
  // How many bytes the key has.
  size_t key_len;
  // Not NULL if there is an entry, even if value_len is 0. Empty in a scan of keys only.
  const uint8_t *value;
  // How many bytes the value has.
  size_t value_len;
  // The revision of the last change.
  uint64_t revision;
  // The revision at which the key was created; a delete ends its life.
  uint64_t created;
  // The lease that the entry ends with; 0 if there is none.
  uint64_t lease;
  // The library's own: leave it alone.
  struct kvraft_entry_owner *owner;
} kvraft_entry;

// What a call for one key has done, or found.
typedef struct kvraft_outcome {
  // The revision of the change; of a read, that of the entry's last one.
  uint64_t revision;
  // After an increment, the number under the key; 0 otherwise.
  int64_t number;
  // Whether the key had a value before the call.
  bool existed;
  // After a read, the entry. After a put or delete whose options asked for the previous entry,
  // that one, if there was one. Its key is NULL if there is none.
  struct kvraft_entry entry;
} kvraft_outcome;

// What is called when a call is done that was begun with an _async function: exactly once if that
// returned KVRAFT_OK, and never otherwise.
//
// context is the caller's own. status, outcome and error are what the function without _async would
// have given; outcome is never NULL and zeroed where there is nothing, error is NULL unless status is
// an error. Both are freed when the callback returns: copy what is needed later, or take an entry with
// kvraft_entry_take.
//
// It is called on a thread of the library, perhaps before the function that began the call returns;
// for one map, one callback at a time. It may call any function of this library, also one that
// waits, kvraft_close and kvraft_free; but not wait for another callback. It must not throw, nor
// leave by longjmp.
typedef void (*kvraft_callback)(void *context,
                                enum kvraft_status status,
                                struct kvraft_outcome *outcome,
                                const struct kvraft_error *error);

// Bytes that a call gives to its caller: free them with kvraft_bytes_free.
//
// Read data and len, change nothing. After success data is not NULL, even if len is 0. The bytes
// may be read by any number of threads. A copy of the struct is the same buffer: free one of them.
typedef struct kvraft_bytes {
  // The first byte. Nothing follows the last one unless the function says so.
  const uint8_t *data;
  // How many bytes there are.
  size_t len;
  // The library's own: leave it alone.
  struct kvraft_bytes_owner *owner;
} kvraft_bytes;

// Is told a message: its level (a value of enum kvraft_log_level), which part of the library says it,
// and the text, both as UTF-8, gone when the callback returns. context is the caller's own.
//
// It is called on any thread, by several at once, and has to be quick: the node waits for it. It
// must call no function of this library that waits. It must not throw, nor leave by longjmp.
typedef void (*kvraft_log_callback)(void *context, int level, const char *part, const char *message);

// One member of the cluster. Its texts live as long as the status that shows it.
typedef struct kvraft_member {
  // The user's word for it.
  const char *name;
  // 16 hexadecimal digits, born with its data directory.
  const char *node_id;
  // host:port of its QUIC endpoint; "" if it has none.
  const char *address;
  // The base URL of its HTTP interface; "" if it advertises none.
  const char *http;
  // Whether it votes.
  bool voter;
  // Index of the last log entry that it is known to have. Only the leader knows it; 0 elsewhere.
  uint64_t matched;
} kvraft_member;

// What became of one key. Its parts live as long as the event.
typedef struct kvraft_change {
  // 1 to 511 bytes.
  const uint8_t *key;
  // How many bytes the key has.
  size_t key_len;
  // The entry now; its key is NULL if the key was deleted, or ended with its lease.
  struct kvraft_entry entry;
  // The entry before, if it was asked for and there was one; its key is NULL otherwise.
  struct kvraft_entry previous;
} kvraft_change;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Begins kvraft_get_with, and has its result given to a callback.
//
// key, key_len: 1 to 511 bytes of any kind; they are copied.
// options: may be NULL for the defaults; they are copied.
// callback, context: what is called, and its first argument; see kvraft_callback.
//
// KVRAFT_OK: the callback will be called. Otherwise it will not:
// KVRAFT_INVALID_ARGUMENT: an argument is NULL. The key is checked later, and told the callback.
// KVRAFT_OVERLOADED: 4096 calls of this map with a callback are under way.
// KVRAFT_CLOSED: this is a forked child.
// KVRAFT_STORAGE: no thread can be started.
enum kvraft_status kvraft_get_async(const struct kvraft_map *map,
                                    const void *key,
                                    size_t key_len,
                                    const struct kvraft_read_options *options,
                                    kvraft_callback callback,
                                    void *context,
                                    struct kvraft_error **error);

// Begins kvraft_put_with, and has its result given to a callback.
//
// key, key_len, value, value_len: as for kvraft_put; they are copied.
// options, callback, context: as for kvraft_get_async.
//
// Errors: those of kvraft_get_async.
enum kvraft_status kvraft_put_async(const struct kvraft_map *map,
                                    const void *key,
                                    size_t key_len,
                                    const void *value,
                                    size_t value_len,
                                    const struct kvraft_write_options *options,
                                    kvraft_callback callback,
                                    void *context,
                                    struct kvraft_error **error);

// Begins kvraft_delete_with, and has its result given to a callback.
//
// key, key_len: as for kvraft_delete; they are copied.
// options, callback, context: as for kvraft_get_async.
//
// Errors: those of kvraft_get_async.
enum kvraft_status kvraft_delete_async(const struct kvraft_map *map,
                                       const void *key,
                                       size_t key_len,
                                       const struct kvraft_write_options *options,
                                       kvraft_callback callback,
                                       void *context,
                                       struct kvraft_error **error);

// Begins kvraft_increment, and has its result given to a callback, whose outcome has the number.
//
// key, key_len: as for kvraft_put; they are copied.
// options, callback, context: as for kvraft_get_async.
//
// Errors: those of kvraft_get_async.
enum kvraft_status kvraft_increment_async(const struct kvraft_map *map,
                                          const void *key,
                                          size_t key_len,
                                          int64_t delta,
                                          const struct kvraft_write_options *options,
                                          kvraft_callback callback,
                                          void *context,
                                          struct kvraft_error **error);

// Begins a backup: all entries, leases, locks, request ids and settings of one moment, without
// stopping writes. kvraft_restore makes a new cluster of it.
//
// While it is read, the state file grows by what is written: read it without pauses, within an hour.
//
// options: may be NULL for the defaults, which hold every write that was acknowledged before; they
// stay the caller's.
// backup: where the backup goes; free it with kvraft_backup_free, before or after the map.
//
// KVRAFT_OVERLOADED: two backups of the node are under way.
// Other errors: those of kvraft_get.
enum kvraft_status kvraft_backup_new(const struct kvraft_map *map,
                                     const struct kvraft_read_options *options,
                                     struct kvraft_backup **backup,
                                     struct kvraft_error **error);

// Returns the last revision in the backup; 0 if backup is NULL.
uint64_t kvraft_backup_revision(const struct kvraft_backup *backup);

// Returns how many keys the backup has; 0 if backup is NULL.
uint64_t kvraft_backup_entries(const struct kvraft_backup *backup);

// Reads the next bytes of the backup: about 1 MiB, or one value. They are to be written one behind
// the other into a file, which is whole only with the last of them.
//
// chunk: where the bytes go; free them with kvraft_bytes_free.
//
// KVRAFT_NOT_FOUND: there are no more; the backup is whole.
// KVRAFT_COMPACTED: an hour is over.
// KVRAFT_CORRUPT, KVRAFT_STORAGE: the disk gives damaged bytes or none.
// KVRAFT_UNAVAILABLE: the member that sent it to this client is lost.
// KVRAFT_INVALID_ARGUMENT, KVRAFT_CLOSED. After an error the backup is at its end.
enum kvraft_status kvraft_backup_next(struct kvraft_backup *backup,
                                      struct kvraft_bytes *chunk,
                                      struct kvraft_error **error);

// Ends a backup and frees it. Does nothing if backup is NULL.
void kvraft_backup_free(struct kvraft_backup *backup);

// Frees the bytes and zeroes the struct, so that doing it twice does no harm. Does nothing if
// bytes is NULL or the struct is zeroed.
void kvraft_bytes_free(struct kvraft_bytes *bytes);

// Makes the default settings for a cluster that is reached at any of these endpoints.
//
// endpoints: "host:port,host:port", the addresses that members listen on; one that answers is
// enough. UTF-8 with a NUL byte at its end, copied.
// config: where the settings go; free them with kvraft_client_config_free.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL. kvraft_connect checks the addresses.
enum kvraft_status kvraft_client_config_new(const char *endpoints,
                                            struct kvraft_client_config **config,
                                            struct kvraft_error **error);

// Sets one setting by its name, as kvraft_config_set_str does: "name", "endpoints", "consistency",
// "request_timeout", "cluster_secret", "cluster_secret_file", "tls_ca", "tls_cert", "tls_key" and
// "insecure", which have the meaning that they have for members.
//
// config, name, value: texts are UTF-8 and end in a NUL byte; they are copied.
//
// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_str.
enum kvraft_status kvraft_client_config_set_str(struct kvraft_client_config *config,
                                                const char *name,
                                                const char *value,
                                                struct kvraft_error **error);

// Sets one setting that is a number by its name: "request_timeout", in milliseconds.
//
// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
//
// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_u64.
enum kvraft_status kvraft_client_config_set_u64(struct kvraft_client_config *config,
                                                const char *name,
                                                uint64_t value,
                                                struct kvraft_error **error);

// Sets one setting that is yes or no by its name: "insecure".
//
// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
//
// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_bool.
enum kvraft_status kvraft_client_config_set_bool(struct kvraft_client_config *config,
                                                 const char *name,
                                                 bool value,
                                                 struct kvraft_error **error);

// Frees settings. Maps that were connected with them stay open. Does nothing if config is NULL.
void kvraft_client_config_free(struct kvraft_client_config *config);

// Makes the default settings for a data directory, which kvraft_open creates if needed.
//
// With nothing else set they are those of a single node without a socket.
//
// data_dir: the path, in any bytes. Two nodes never share one.
// config: where the settings go; free them with kvraft_config_free.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_config_new(const char *data_dir,
                                     struct kvraft_config **config,
                                     struct kvraft_error **error);

// Sets one setting by its name, as the flags of kvraft-server do: "listen" to "127.0.0.1:7001",
// "members" to "a=10.0.0.1:7001,b=10.0.0.2:7001,c=10.0.0.3:7001", "request_timeout" to "2s",
// "max_value_bytes" to "1MiB".
//
// The last value counts, except for "cluster_secret" and "cluster_secret_file": each adds a
// secret. Values that only make sense together are checked by kvraft_open.
//
// config, name, value: texts are UTF-8 and end in a NUL byte; they are copied.
//
// KVRAFT_INVALID_ARGUMENT: the name is unknown (the message lists all), the value has the wrong
// form (the message says which is right), or an argument is NULL. The settings are as before.
enum kvraft_status kvraft_config_set_str(struct kvraft_config *config,
                                         const char *name,
                                         const char *value,
                                         struct kvraft_error **error);

// Sets one setting that is a number by its name: a count ("bootstrap_expect"), bytes
// ("max_value_bytes", "storage_limit_bytes", "snapshot_bytes_per_second"), or milliseconds ("heartbeat_interval",
// "election_timeout", "request_timeout", "checkpoint_interval").
//
// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
//
// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_str; also a name whose value is no number.
enum kvraft_status kvraft_config_set_u64(struct kvraft_config *config,
                                         const char *name,
                                         uint64_t value,
                                         struct kvraft_error **error);

// Sets one setting that is yes or no by its name: "auto_promote", or "insecure".
//
// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
//
// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_str; also a name whose value is neither.
enum kvraft_status kvraft_config_set_bool(struct kvraft_config *config,
                                          const char *name,
                                          bool value,
                                          struct kvraft_error **error);

// Frees settings. Maps that were opened with them stay open. Does nothing if config is NULL.
void kvraft_config_free(struct kvraft_config *config);

// Frees an entry and zeroes the struct, so that doing it twice does no harm. Does nothing if entry is
// NULL or the struct is zeroed. A copy of the struct is the same entry: free one of them.
void kvraft_entry_free(struct kvraft_entry *entry);

// Takes an entry out of what it is part of, so that it outlives it: of an outcome that a callback
// got. What is left there is zeroed. Nothing is copied.
//
// Returns the entry: free it with kvraft_entry_free. It has no key if entry is NULL, or has none.
struct kvraft_entry kvraft_entry_take(struct kvraft_entry *entry);

// Returns the status that the failed call returned; KVRAFT_OK if error is NULL.
enum kvraft_status kvraft_error_status(const struct kvraft_error *error);

// Returns what happened, for people, as UTF-8; it may be worded differently in any release.
//
// The text lives as long as the error. NULL if error is NULL.
const char *kvraft_error_message(const struct kvraft_error *error);

// Returns the revision that belongs to the error: for KVRAFT_CONFLICT the current one of the key,
// for KVRAFT_COMPACTED the oldest one available. 0 if there is none, or if error is NULL.
uint64_t kvraft_error_revision(const struct kvraft_error *error);

// Returns whether a write that failed like this may have been applied all the same: read it back
// before you decide. false if it certainly was not, or if error is NULL.
bool kvraft_error_may_be_applied(const struct kvraft_error *error);

// Returns whether the same call may succeed later without any change, and certainly did nothing.
// false if error is NULL.
bool kvraft_error_is_retryable(const struct kvraft_error *error);

// Frees an error. Does nothing if error is NULL.
void kvraft_error_free(struct kvraft_error *error);

// Has every member note the hash over all that it replicates as of one log entry, and compares them.
// Waits for at most 30 seconds.
//
// json: where the result goes, as UTF-8: an object with verdict ("agreed", "diverged", "split" or
// "unknown"), revision, diverged (names) and members. A NUL byte follows it that the length does not
// count. Free it with kvraft_bytes_free.
//
// Errors: those of kvraft_put. That states differ is none.
enum kvraft_status kvraft_verify(const struct kvraft_map *map,
                                 struct kvraft_bytes *json,
                                 struct kvraft_error **error);

// Has this member throw its state away and fetch that of another one: after KVRAFT_CORRUPT was read,
// or when it is the wrong one of a split. Waits for at most ten minutes; it goes on beyond that.
//
// KVRAFT_REFUSED: it is the only member, or a client.
// KVRAFT_UNAVAILABLE: not done in time.
// KVRAFT_INVALID_ARGUMENT, KVRAFT_CLOSED, KVRAFT_STORAGE.
enum kvraft_status kvraft_refill(const struct kvraft_map *map,
                                 struct kvraft_error **error);

// Grants a lease and keeps it alive until it is revoked or freed.
//
// A lease ends once it was not kept alive for ttl_ms, in which a time without a leader does not
// count: an outage may lengthen it, never shorten it. Then its keys are gone, and its locks are free.
//
// ttl_ms: 100 ms to ten years.
// lease: where the lease goes; free it with kvraft_lease_free. The node stays open until then.
//
// KVRAFT_INVALID_ARGUMENT: another ttl_ms, or an argument is NULL.
// KVRAFT_OVERLOADED: the cluster has 1,048,576 leases.
// Other errors: those of kvraft_put.
enum kvraft_status kvraft_lease_new(const struct kvraft_map *map,
                                    uint64_t ttl_ms,
                                    struct kvraft_lease **lease,
                                    struct kvraft_error **error);

// Returns the id, for kvraft_write_options_set_lease; 0 if lease is NULL.
uint64_t kvraft_lease_id(const struct kvraft_lease *lease);

// Returns whether the lease is certainly still there: it was kept alive less than its time to live
// ago, by the monotonic clock of this process. false if lease is NULL.
bool kvraft_lease_is_alive(const struct kvraft_lease *lease);

// Waits until the lease may have ended: it is gone, or could not be kept alive for its time to live,
// or the map was closed, or another thread has revoked it.
//
// timeout_ms: how long at most; 0 looks and does not wait.
//
// KVRAFT_OK: it may have ended.
// KVRAFT_NOT_FOUND: it has not, within that time.
// KVRAFT_INVALID_ARGUMENT: lease is NULL.
enum kvraft_status kvraft_lease_ended(const struct kvraft_lease *lease,
                                      uint32_t timeout_ms,
                                      struct kvraft_error **error);

// Ends the lease now: its keys are gone and its locks are free when this returns. The handle still
// has to be freed.
//
// KVRAFT_EXPIRED: it had ended before.
// KVRAFT_INVALID_ARGUMENT: lease is NULL.
// Other errors: those of kvraft_delete; the lease ends by its time then.
enum kvraft_status kvraft_lease_revoke(const struct kvraft_lease *lease,
                                       struct kvraft_error **error);

// Frees a lease, which ends by its time then. Does nothing if lease is NULL.
void kvraft_lease_free(struct kvraft_lease *lease);

// Grants a lease that only kvraft_lease_keep_alive keeps alive: for a caller that keeps its id
// elsewhere.
//
// ttl_ms: 100 ms to ten years.
// lease: where its id goes.
//
// Errors: those of kvraft_lease_new.
enum kvraft_status kvraft_lease_grant(const struct kvraft_map *map,
                                      uint64_t ttl_ms,
                                      uint64_t *lease,
                                      struct kvraft_error **error);

// Begins the time to live of a lease anew.
//
// KVRAFT_EXPIRED: it has ended.
// KVRAFT_INVALID_ARGUMENT: the lease is 0, or map is NULL.
// Other errors: those of kvraft_delete.
enum kvraft_status kvraft_lease_keep_alive(const struct kvraft_map *map,
                                           uint64_t lease,
                                           struct kvraft_error **error);

// Ends a lease now, as kvraft_lease_revoke, by its id.
//
// Errors: those of kvraft_lease_keep_alive.
enum kvraft_status kvraft_lease_end(const struct kvraft_map *map,
                                    uint64_t lease,
                                    struct kvraft_error **error);

// Says how long a lease has left, and which keys end with it.
//
// options: may be NULL for the defaults; they stay the caller's.
// info: where it goes; free it with kvraft_lease_info_free.
//
// KVRAFT_EXPIRED: it has ended.
// KVRAFT_INVALID_ARGUMENT: the lease is 0, or an argument is NULL.
// Other errors: those of kvraft_get.
enum kvraft_status kvraft_lease_look_up(const struct kvraft_map *map,
                                        uint64_t lease,
                                        const struct kvraft_read_options *options,
                                        struct kvraft_lease_info **info,
                                        struct kvraft_error **error);

// Returns what the lease was granted for, in milliseconds; 0 if info is NULL.
uint64_t kvraft_lease_info_ttl_ms(const struct kvraft_lease_info *info);

// Returns how much of it is left, in milliseconds, as of the newest entry that the node has applied;
// 0 if info is NULL.
uint64_t kvraft_lease_info_remaining_ms(const struct kvraft_lease_info *info);

// Returns how many keys end with the lease; 0 if info is NULL.
size_t kvraft_lease_info_count(const struct kvraft_lease_info *info);

// Gives one key that ends with the lease.
//
// index: counts from 0, in the order of the keys.
// key: where it goes; free it with kvraft_bytes_free.
//
// KVRAFT_NOT_FOUND: there is no key of that index.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_lease_info_key(const struct kvraft_lease_info *info,
                                         size_t index,
                                         struct kvraft_bytes *key,
                                         struct kvraft_error **error);

// Frees what is known of a lease. Does nothing if info is NULL.
void kvraft_lease_info_free(struct kvraft_lease_info *info);

// Takes a lock, and waits for it; who waits gets it in the order of arrival.
//
// The lock has a lease of its own that is kept alive as long as the handle is held. When the holder's
// process dies, the next one gets the lock once ttl_ms is over. A holder that was paused may believe
// to hold what is another's by now: whatever the lock protects must refuse a smaller token
// (kvraft_lock_token) than the largest it has seen.
//
// name, name_len: 1 to 255 bytes of any kind.
// ttl_ms: 100 ms to ten years.
// timeout_ms: how long at most; 0 takes the configured request_timeout.
// lock: where the lock goes; free it with kvraft_lock_free. The node stays open until then.
//
// KVRAFT_REFUSED: others held it all the time.
// KVRAFT_OVERLOADED: 4096 wait for it already.
// KVRAFT_EXPIRED: this process could not keep its lease alive while it waited.
// Other errors: those of kvraft_lease_new.
enum kvraft_status kvraft_lock_take(const struct kvraft_map *map,
                                    const void *name,
                                    size_t name_len,
                                    uint64_t ttl_ms,
                                    uint32_t timeout_ms,
                                    struct kvraft_lock **lock,
                                    struct kvraft_error **error);

// Takes a lock if it is free.
//
// name, name_len, ttl_ms, lock: as for kvraft_lock_take.
//
// KVRAFT_NOT_FOUND: it is held by another, and no lock was taken.
// Other errors: those of kvraft_lock_take, without KVRAFT_REFUSED.
enum kvraft_status kvraft_lock_try(const struct kvraft_map *map,
                                   const void *name,
                                   size_t name_len,
                                   uint64_t ttl_ms,
                                   struct kvraft_lock **lock,
                                   struct kvraft_error **error);

// Returns the fencing token: larger than that of every earlier holder of this name. 0 if lock is
// NULL.
uint64_t kvraft_lock_token(const struct kvraft_lock *lock);

// Returns whether the lock is certainly still held, as kvraft_lease_is_alive says of its lease.
// false if lock is NULL.
bool kvraft_lock_is_held(const struct kvraft_lock *lock);

// Waits until the lock may be another's: its lease is gone, or could not be kept alive, or the map
// was closed, or another thread has unlocked it.
//
// timeout_ms: how long at most; 0 looks and does not wait.
//
// KVRAFT_OK: it may be another's.
// KVRAFT_NOT_FOUND: it is not, within that time.
// KVRAFT_INVALID_ARGUMENT: lock is NULL.
enum kvraft_status kvraft_lock_lost(const struct kvraft_lock *lock,
                                    uint32_t timeout_ms,
                                    struct kvraft_error **error);

// Gives the lock back, and returns when the next one may have it. The handle still has to be freed.
//
// KVRAFT_EXPIRED: it was lost or given back before.
// KVRAFT_INVALID_ARGUMENT: lock is NULL.
// Other errors: those of kvraft_delete; the lock ends by its time then.
enum kvraft_status kvraft_lock_unlock(const struct kvraft_lock *lock, struct kvraft_error **error);

// Frees a lock, and gives it back in the background if it is held. Does nothing if lock is NULL.
void kvraft_lock_free(struct kvraft_lock *lock);

// Takes a lock for a lease that the caller keeps alive; who has it already gets its token again.
//
// name, name_len: 1 to 255 bytes of any kind.
// lease: the id of the lease.
// timeout_ms: how long at most; 0 does not wait for a lock that another has.
// token: where the fencing token goes.
//
// KVRAFT_EXPIRED: the lease has ended.
// Other errors: those of kvraft_lock_take.
enum kvraft_status kvraft_lock_acquire(const struct kvraft_map *map,
                                       const void *name,
                                       size_t name_len,
                                       uint64_t lease,
                                       uint32_t timeout_ms,
                                       uint64_t *token,
                                       struct kvraft_error **error);

// Takes a lock as kvraft_lock_acquire, but gives up the wait for it, and the place in the queue, as
// soon as a file descriptor can be read: for a program that has to end in good order.
//
// name, name_len, lease, timeout_ms, token: as for kvraft_lock_acquire.
// stop: an eventfd, a pipe, a socket, a signalfd; its end, or a closed other side, count too. It is
// not read, and stays open until this returns.
//
// KVRAFT_UNAVAILABLE: also if stop came first. The lease does not wait any more then.
// KVRAFT_INVALID_ARGUMENT: also if stop is no open file descriptor.
// Other errors: those of kvraft_lock_acquire.
enum kvraft_status kvraft_lock_acquire_unless(const struct kvraft_map *map,
                                              const void *name,
                                              size_t name_len,
                                              uint64_t lease,
                                              uint32_t timeout_ms,
                                              int stop,
                                              uint64_t *token,
                                              struct kvraft_error **error);

// Gives a lock back, or the place in its queue, that a lease has.
//
// name, name_len, lease: as for kvraft_lock_acquire.
//
// KVRAFT_EXPIRED: the lease neither holds the lock nor waits for it.
// Other errors: those of kvraft_delete.
enum kvraft_status kvraft_lock_release(const struct kvraft_map *map,
                                       const void *name,
                                       size_t name_len,
                                       uint64_t lease,
                                       struct kvraft_error **error);

// Has a callback told what the library has to say, of all maps in this process. Without one it says
// nothing.
//
// callback: replaces the one before, which is not called any more when this returns: what belongs to
// it may be freed then. So this waits for calls of it that are under way on other threads; do not
// hold what they wait for. Called out of a callback, it does not wait. NULL ends the one before.
// context: the first argument of the callback.
// level: how much is told, a value of enum kvraft_log_level.
//
// KVRAFT_INVALID_ARGUMENT: level is none of them.
enum kvraft_status kvraft_set_log_callback(kvraft_log_callback callback,
                                           void *context,
                                           int level,
                                           struct kvraft_error **error);

// Opens the node whose data lies in the configured directory, and starts it.
//
// Returns when the node has recovered what its disk holds. A leader may not be known yet:
// kvraft_wait_ready waits for one, and so does every call within its timeout.
//
// config: is read, and stays the caller's.
// map: where the handle goes; end it with kvraft_close, then kvraft_free.
//
// KVRAFT_INVALID_ARGUMENT: a setting is wrong or missing, or an argument is NULL.
// KVRAFT_REFUSED: the directory is in use, or belongs to another node.
// KVRAFT_CORRUPT: the directory cannot be trusted, or is of a newer version.
// KVRAFT_STORAGE: the disk or the socket failed.
enum kvraft_status kvraft_open(const struct kvraft_config *config,
                               struct kvraft_map **map,
                               struct kvraft_error **error);

// Connects to the members of a cluster as a client: without a disk or a vote, for processes that
// come and go. All functions take such a map too; its reads cross the network.
//
// config: is read, and stays the caller's.
// map: where the handle goes; end it with kvraft_close, then kvraft_free.
//
// KVRAFT_INVALID_ARGUMENT: a setting is wrong or missing, or an argument is NULL.
// KVRAFT_UNAVAILABLE: no endpoint has answered within request_timeout.
// KVRAFT_UNAUTHORIZED: the members have another secret or authority.
enum kvraft_status kvraft_connect(const struct kvraft_client_config *config,
                                  struct kvraft_map **map,
                                  struct kvraft_error **error);

// Waits until this node has recovered and knows a leader.
//
// timeout_ms: how long at most; 0 looks and does not wait.
//
// KVRAFT_UNAVAILABLE: not within that time.
// KVRAFT_CLOSED, or the error that stopped the node.
enum kvraft_status kvraft_wait_ready(const struct kvraft_map *map,
                                     uint32_t timeout_ms,
                                     struct kvraft_error **error);

// Stops the node and waits until it has: hands leadership over, finishes what was begun, closes
// files and socket. A client takes its leave.
//
// May be called while other threads are in calls with the same handle: they return KVRAFT_CLOSED,
// as do all calls from then on, and callbacks are called with it. Doing it again does nothing. The
// handle still has to be freed.
//
// KVRAFT_STORAGE: the last writes to the disk failed; the node is stopped all the same.
// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
enum kvraft_status kvraft_close(const struct kvraft_map *map, struct kvraft_error **error);

// Frees a handle; no other thread may be in a call with it, nor use it later. Does nothing if map
// is NULL.
//
// A node that was not closed stops in the background, without handing leadership over, as soon as
// its leases, locks and calls with a callback are over too. In a forked child it does nothing,
// since the node is the parent's.
void kvraft_free(struct kvraft_map *map);

// Gives a learner its vote, once it has caught up. Nothing changes if it has one. Waits for at most
// 30 seconds.
//
// name: the member, as UTF-8 with a NUL byte at its end.
//
// KVRAFT_REFUSED: the name is unknown, the learner has not caught up, a change is under way, or this
// one would lose the quorum; the message says which.
// KVRAFT_UNAVAILABLE: nothing was changed in time.
// KVRAFT_INDETERMINATE: the change may go on; asking again is safe.
// KVRAFT_INVALID_ARGUMENT, KVRAFT_CLOSED.
enum kvraft_status kvraft_promote(const struct kvraft_map *map,
                                  const char *name,
                                  struct kvraft_error **error);

// Takes a voter its vote; it goes on to replicate. A leader hands over first. Nothing changes if it
// has none.
//
// name: as for kvraft_promote.
//
// Errors: those of kvraft_promote; KVRAFT_REFUSED also for the only voter.
enum kvraft_status kvraft_demote(const struct kvraft_map *map,
                                 const char *name,
                                 struct kvraft_error **error);

// Lets a member go, dead or alive. A leader hands over first. The node notices, and refuses all
// calls from then on.
//
// name: as for kvraft_promote.
//
// Errors: those of kvraft_demote.
enum kvraft_status kvraft_remove_member(const struct kvraft_map *map,
                                        const char *name,
                                        struct kvraft_error **error);

// Has another voter lead. No write fails for it.
//
// to: the voter, as UTF-8 with a NUL byte at its end; NULL takes the one that is closest to the
// leader.
//
// Errors: those of kvraft_promote; KVRAFT_REFUSED also for a learner, or without another voter.
enum kvraft_status kvraft_transfer_leadership(const struct kvraft_map *map,
                                              const char *to,
                                              struct kvraft_error **error);

// Lets voters go, one safe step after the other, until so many are left: those whose names come last
// go first. kvraft_node_status_json shows how far it is; asking again goes on.
//
// voters: at least 1.
//
// Errors: those of kvraft_demote; KVRAFT_INVALID_ARGUMENT also for 0.
enum kvraft_status kvraft_shrink(const struct kvraft_map *map,
                                 uint32_t voters,
                                 struct kvraft_error **error);

// Says how much this node has done since it was opened, and how much it holds, without asking anyone:
// a JSON object of numbers, in part grouped as held, watches, proposals and reads: "keys" in "held",
// "logFlushes" and so on. What is counted starts from 0 at every open and only grows. Names may be
// added in any release.
//
// json: where the text goes, as UTF-8. A NUL byte follows it that the length does not count. Free
// it with kvraft_bytes_free.
//
// KVRAFT_CLOSED: the map is closed, or this is a forked child.
// KVRAFT_STORAGE: the state file cannot be read.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_metrics_json(const struct kvraft_map *map,
                                       struct kvraft_bytes *json,
                                       struct kvraft_error **error);

// Describes this node and its cluster as a JSON object, without asking anyone: leaderID ("" while
// unknown), isLead, name, role, term, applied, committed, revision, keys, bytes, ready, members
// and more, under the names that GET /status of kvraft-server has. Names may be added in any release.
//
// json: where the text goes, as UTF-8. A NUL byte follows it that the length does not count. Free
// it with kvraft_bytes_free.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
enum kvraft_status kvraft_node_status_json(const struct kvraft_map *map,
                                           struct kvraft_bytes *json,
                                           struct kvraft_error **error);

// Gives the largest value in bytes that the cluster takes now, as this node has applied it.
//
// bytes: where the number goes.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
// KVRAFT_CLOSED: the map is closed, or this is a forked child.
enum kvraft_status kvraft_max_value_bytes(const struct kvraft_map *map,
                                          size_t *bytes,
                                          struct kvraft_error **error);

// Gives the largest command in bytes that the cluster takes now, as this node has applied it: a
// transaction with all of its keys and values.
//
// bytes: where the number goes.
//
// Errors: those of kvraft_max_value_bytes.
enum kvraft_status kvraft_max_command_bytes(const struct kvraft_map *map,
                                            size_t *bytes,
                                            struct kvraft_error **error);

// Takes the status of the node behind a map, without asking anyone. kvraft_node_status_json tells
// more.
//
// status: where it goes; free it with kvraft_node_status_free.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
enum kvraft_status kvraft_node_status_new(const struct kvraft_map *map,
                                          struct kvraft_node_status **status,
                                          struct kvraft_error **error);

// Returns the name of this node; NULL if status is NULL.
const char *kvraft_node_status_name(const struct kvraft_node_status *status);

// Returns the name of the leader; "" while unknown; NULL if status is NULL.
const char *kvraft_node_status_leader(const struct kvraft_node_status *status);

// Returns what the node does now: "leader", "follower", "candidate", "learner", "client" or
// "stopped"; NULL if status is NULL.
const char *kvraft_node_status_role(const struct kvraft_node_status *status);

// Returns whether this node leads; false if status is NULL.
bool kvraft_node_status_is_leader(const struct kvraft_node_status *status);

// Returns whether this node has recovered and knows a leader; false if status is NULL.
bool kvraft_node_status_is_ready(const struct kvraft_node_status *status);

// Returns the term of the newest leader or candidate that this node has seen; 0 if status is NULL.
uint64_t kvraft_node_status_term(const struct kvraft_node_status *status);

// Returns the index of the last entry applied here; 0 if status is NULL.
uint64_t kvraft_node_status_applied(const struct kvraft_node_status *status);

// Returns the index of the last entry known to be committed; 0 if status is NULL.
uint64_t kvraft_node_status_committed(const struct kvraft_node_status *status);

// Returns the revision of the last entry applied here; 0 if status is NULL.
uint64_t kvraft_node_status_revision(const struct kvraft_node_status *status);

// Returns how many keys the map has, as applied here; 0 if status is NULL.
uint64_t kvraft_node_status_keys(const struct kvraft_node_status *status);

// Returns how many bytes all keys and values have, as applied here; 0 if status is NULL.
uint64_t kvraft_node_status_bytes(const struct kvraft_node_status *status);

// Returns how many members the cluster has; 0 if status is NULL.
size_t kvraft_node_status_member_count(const struct kvraft_node_status *status);

// Shows one member; it lives as long as the status.
//
// index: counts from 0, in the order of the names.
// member: where it goes.
//
// KVRAFT_NOT_FOUND: there is no member of that index.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_node_status_member(const struct kvraft_node_status *status,
                                             size_t index,
                                             struct kvraft_member *member,
                                             struct kvraft_error **error);

// Frees a status. Does nothing if status is NULL.
void kvraft_node_status_free(struct kvraft_node_status *status);

// Makes a new cluster out of a backup: the data directory of its first node. Open it, and have other,
// empty nodes join it. Revisions go on at least 2^40 above the last one in the backup.
//
// It may be killed at any moment, and be repeated. Waits for the disk.
//
// from, data_dir: paths, in any bytes. The directory is missing or empty.
// name: the name of the node, as UTF-8.
// above: 0; or, if the same backup was restored before, a revision of that cluster, which those of
// the new one then are above as well.
// json: where goes what came of it, as UTF-8 with a NUL byte that the length does not count: cluster,
// nodeID, nextRevision, revision, entries, bytes. May be NULL; free it with kvraft_bytes_free.
//
// KVRAFT_CORRUPT: the backup is damaged; the message says where.
// KVRAFT_REFUSED: the directory is not empty, or the file is no backup.
// KVRAFT_INVALID_ARGUMENT: the name is wrong, or an argument is NULL.
// KVRAFT_FULL, KVRAFT_STORAGE: the disk refuses.
enum kvraft_status kvraft_restore(const char *from,
                                  const char *data_dir,
                                  const char *name,
                                  uint64_t above,
                                  struct kvraft_bytes *json,
                                  struct kvraft_error **error);

// Makes a new cluster out of one stopped node of a cluster that has lost its majority for good.
// **Writes may be lost**: all that never reached this node. First make sure that the other nodes
// never come back. Waits for the disk.
//
// data_dir, into: paths, in any bytes. The first one keeps what it has, the second one is missing or
// empty.
// json: as for kvraft_restore; also name, committed and last. May be NULL.
//
// KVRAFT_REFUSED: a node has the directory open, it is none, or into is not empty.
// KVRAFT_CORRUPT: something in it is damaged.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
// KVRAFT_FULL, KVRAFT_STORAGE: the disk refuses.
enum kvraft_status kvraft_recover_quorum(const char *data_dir,
                                         const char *into,
                                         struct kvraft_bytes *json,
                                         struct kvraft_error **error);

// Reads a backup from its first byte to its last and says what is wrong with it. Waits for the disk.
//
// file: the path, in any bytes.
// json: where goes what was found, as UTF-8 with a NUL byte that the length does not count: sound
// (whether nothing is damaged), counts, facts, damage (texts) and moreDamage. Free it with
// kvraft_bytes_free.
//
// KVRAFT_REFUSED: it is no backup, or one of a newer version.
// KVRAFT_STORAGE: it cannot be read.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL. Damage is no error but what this is for.
enum kvraft_status kvraft_verify_backup(const char *file,
                                        struct kvraft_bytes *json,
                                        struct kvraft_error **error);

// Reads everything that a stopped node has stored, and says what is wrong with it. Changes nothing.
// Waits for the disk.
//
// data_dir: the path, in any bytes.
// json: as for kvraft_verify_backup.
//
// KVRAFT_REFUSED: a node has the directory open, or it is none.
// KVRAFT_STORAGE: it cannot be read.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL. Damage is no error but what this is for.
enum kvraft_status kvraft_verify_data_dir(const char *data_dir,
                                          struct kvraft_bytes *json,
                                          struct kvraft_error **error);

// Moves the damaged data directory of a stopped node out of the way, so that the node begins anew
// and gets everything from the other members. Waits for the disk.
//
// data_dir: the path, in any bytes.
// json: where goes what was done, as UTF-8 with a NUL byte that the length does not count: path (where
// the directory is now) and damage (texts). May be NULL; free it with kvraft_bytes_free.
//
// KVRAFT_REFUSED: a node has the directory open, it is none, nothing in it is damaged, or its node
// was the only member.
// KVRAFT_STORAGE: it cannot be moved.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_set_aside(const char *data_dir,
                                    struct kvraft_bytes *json,
                                    struct kvraft_error **error);

// Frees the entry of an outcome and zeroes the struct. Does nothing if outcome is NULL or the
// struct is zeroed.
void kvraft_outcome_free(struct kvraft_outcome *outcome);

// Reads one page of the keys in a range: at most 10,000 entries and about 8 MiB.
//
// range, options: stay the caller's; options may be NULL for the defaults.
// page: where the page goes; free it with kvraft_page_free.
//
// Errors: those of kvraft_get.
enum kvraft_status kvraft_page_read(const struct kvraft_map *map,
                                    const struct kvraft_range *range,
                                    const struct kvraft_scan_options *options,
                                    struct kvraft_page **page,
                                    struct kvraft_error **error);

// Returns how many entries the page has; 0 if page is NULL.
size_t kvraft_page_count(const struct kvraft_page *page);

// Returns whether the range holds more: go on after the last key with kvraft_range_after. false if
// page is NULL.
bool kvraft_page_has_more(const struct kvraft_page *page);

// Returns the last revision that was applied at the moment of the page; 0 if page is NULL.
uint64_t kvraft_page_revision(const struct kvraft_page *page);

// Shows one entry of the page; it lives as long as the page.
//
// index: counts from 0, in the order of the scan.
// entry: where it goes.
//
// KVRAFT_NOT_FOUND: the page has no entry of that index.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_page_entry(const struct kvraft_page *page,
                                     size_t index,
                                     struct kvraft_entry *entry,
                                     struct kvraft_error **error);

// Frees a page and its entries. Does nothing if page is NULL.
void kvraft_page_free(struct kvraft_page *page);

// Makes the range of every key.
//
// range: where it goes; free it with kvraft_range_free.
//
// KVRAFT_INVALID_ARGUMENT: range is NULL.
enum kvraft_status kvraft_range_all(struct kvraft_range **range, struct kvraft_error **error);

// Makes the range of one key alone.
//
// key, key_len: are copied.
// range: where it goes; free it with kvraft_range_free.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_range_of_key(const void *key,
                                       size_t key_len,
                                       struct kvraft_range **range,
                                       struct kvraft_error **error);

// Makes the range of the keys that begin with prefix.
//
// prefix, prefix_len: are copied.
// range: where it goes; free it with kvraft_range_free.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_range_of_prefix(const void *prefix,
                                          size_t prefix_len,
                                          struct kvraft_range **range,
                                          struct kvraft_error **error);

// Leaves out the keys before start.
//
// start, start_len: are copied.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_range_from(struct kvraft_range *range,
                                     const void *start,
                                     size_t start_len,
                                     struct kvraft_error **error);

// Leaves out last and the keys before it: the next page after it.
//
// last, last_len: are copied.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_range_after(struct kvraft_range *range,
                                      const void *last,
                                      size_t last_len,
                                      struct kvraft_error **error);

// Leaves out end and the keys after it.
//
// end, end_len: are copied.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_range_until(struct kvraft_range *range,
                                      const void *end,
                                      size_t end_len,
                                      struct kvraft_error **error);

// Frees a range. What was begun with it goes on. Does nothing if range is NULL.
void kvraft_range_free(struct kvraft_range *range);

// Reads the value of a key, with the consistency that is configured: by default it sees every
// write that was acknowledged anywhere before.
//
// key, key_len: 1 to 511 bytes of any kind.
// timeout_ms: how long at most; 0 takes the configured request_timeout.
// value: where the value goes; free it with kvraft_bytes_free.
// revision: where the revision of the key's last change goes; may be NULL.
//
// KVRAFT_NOT_FOUND: there is no such key.
// KVRAFT_INVALID_ARGUMENT: the key is empty or too long, or an argument is NULL.
// KVRAFT_UNAVAILABLE: no quorum answered in time.
// KVRAFT_CORRUPT: the stored bytes are damaged.
// KVRAFT_CLOSED, KVRAFT_STORAGE.
enum kvraft_status kvraft_get(const struct kvraft_map *map,
                              const void *key,
                              size_t key_len,
                              uint32_t timeout_ms,
                              struct kvraft_bytes *value,
                              uint64_t *revision,
                              struct kvraft_error **error);

// Reads the entry of a key: the value with its revisions and its lease, as fresh as the options
// ask for.
//
// key, key_len: 1 to 511 bytes of any kind.
// options: may be NULL for the defaults; they stay the caller's.
// entry: where the entry goes; free it with kvraft_entry_free.
//
// KVRAFT_NOT_FOUND: there is no such key.
// Errors: those of kvraft_get.
enum kvraft_status kvraft_get_with(const struct kvraft_map *map,
                                   const void *key,
                                   size_t key_len,
                                   const struct kvraft_read_options *options,
                                   struct kvraft_entry *entry,
                                   struct kvraft_error **error);

// Counts the keys in a range as they stand at one moment. The whole map is counted at once, a part
// of it by walking it.
//
// range, options: stay the caller's; options may be NULL for the defaults.
// count: where the number goes.
//
// KVRAFT_COMPACTED: it took longer than 30 seconds.
// Other errors: those of kvraft_get.
enum kvraft_status kvraft_count(const struct kvraft_map *map,
                                const struct kvraft_range *range,
                                const struct kvraft_read_options *options,
                                uint64_t *count,
                                struct kvraft_error **error);

// Makes options that take everything from the configuration.
//
// options: where they go; free them with kvraft_read_options_free.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_read_options_new(struct kvraft_read_options **options,
                                           struct kvraft_error **error);

// Sets how fresh the read must be: a value of enum kvraft_consistency.
//
// KVRAFT_INVALID_ARGUMENT: the value is none of them, or options is NULL.
enum kvraft_status kvraft_read_options_set_consistency(struct kvraft_read_options *options,
                                                       int consistency,
                                                       struct kvraft_error **error);

// Waits until this node has applied revision: with the revision of your last write you read your
// writes on any node, without a trip to the leader.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_read_options_set_min_revision(struct kvraft_read_options *options,
                                                        uint64_t revision,
                                                        struct kvraft_error **error);

// Sets how long the call waits at most, in milliseconds; 0 takes the configured request_timeout,
// which is the default.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_read_options_set_timeout_ms(struct kvraft_read_options *options,
                                                      uint32_t timeout_ms,
                                                      struct kvraft_error **error);

// Frees options. Does nothing if options is NULL.
void kvraft_read_options_free(struct kvraft_read_options *options);

// Begins to read every entry in a range as it stands at one moment.
//
// range, options: stay the caller's; options may be NULL for the defaults.
// scan: where the scan goes; free it with kvraft_scan_free, before or after the map.
//
// Errors: those of kvraft_get.
enum kvraft_status kvraft_scan_new(const struct kvraft_map *map,
                                   const struct kvraft_range *range,
                                   const struct kvraft_scan_options *options,
                                   struct kvraft_scan **scan,
                                   struct kvraft_error **error);

// Reads the next entry.
//
// entry: where it goes; free it with kvraft_entry_free.
//
// KVRAFT_NOT_FOUND: there is none any more.
// KVRAFT_COMPACTED: the scan is older than 30 seconds. Begin another after the last key.
// KVRAFT_CLOSED: the map was closed.
// Other errors: those of kvraft_get. After an error the scan is at its end.
enum kvraft_status kvraft_scan_next(struct kvraft_scan *scan,
                                    struct kvraft_entry *entry,
                                    struct kvraft_error **error);

// Ends a scan and frees it. Does nothing if scan is NULL.
void kvraft_scan_free(struct kvraft_scan *scan);

// Makes options that read keys and values in order, without a limit.
//
// options: where they go; free them with kvraft_scan_options_free.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_scan_options_new(struct kvraft_scan_options **options,
                                           struct kvraft_error **error);

// Sets how fresh the scan must be, and how long its beginning may take.
//
// read: is copied; NULL sets the defaults.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_scan_options_set_read(struct kvraft_scan_options *options,
                                                const struct kvraft_read_options *read,
                                                struct kvraft_error **error);

// Ends the scan, or the page, after this many entries.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_scan_options_set_limit(struct kvraft_scan_options *options,
                                                 size_t entries,
                                                 struct kvraft_error **error);

// Goes from the last key to the first.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_scan_options_set_reverse(struct kvraft_scan_options *options,
                                                   struct kvraft_error **error);

// Leaves the values empty.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_scan_options_set_keys_only(struct kvraft_scan_options *options,
                                                     struct kvraft_error **error);

// Frees options. Does nothing if options is NULL.
void kvraft_scan_options_free(struct kvraft_scan_options *options);

// Returns the name of a status in lower case, such as "unavailable", as logs and the other
// languages spell it; "unknown" for a number that is none.
//
// The text is static: do not free it.
const char *kvraft_status_name(int status);

// Makes a transaction that does nothing.
//
// txn: where it goes; free it with kvraft_txn_free.
//
// KVRAFT_INVALID_ARGUMENT: txn is NULL.
enum kvraft_status kvraft_txn_new(struct kvraft_txn **txn, struct kvraft_error **error);

// Compares the revision of the last change of a key with revision; an absent key has 0.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or cmp is no value of enum kvraft_cmp.
enum kvraft_status kvraft_txn_when_revision(struct kvraft_txn *txn,
                                            const void *key,
                                            size_t key_len,
                                            int cmp,
                                            uint64_t revision,
                                            struct kvraft_error **error);

// Compares the revision at which a key was created with revision; an absent key has 0.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or cmp is no value of enum kvraft_cmp.
enum kvraft_status kvraft_txn_when_created(struct kvraft_txn *txn,
                                           const void *key,
                                           size_t key_len,
                                           int cmp,
                                           uint64_t revision,
                                           struct kvraft_error **error);

// Compares the value of a key with value, bytewise. Of an absent key no such comparison holds, not
// even KVRAFT_NOT_EQUAL.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or cmp is no value of enum kvraft_cmp.
enum kvraft_status kvraft_txn_when_value(struct kvraft_txn *txn,
                                         const void *key,
                                         size_t key_len,
                                         int cmp,
                                         const void *value,
                                         size_t value_len,
                                         struct kvraft_error **error);

// Demands that a key has no value.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_txn_when_absent(struct kvraft_txn *txn,
                                          const void *key,
                                          size_t key_len,
                                          struct kvraft_error **error);

// Demands that a key has a value.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_txn_when_present(struct kvraft_txn *txn,
                                           const void *key,
                                           size_t key_len,
                                           struct kvraft_error **error);

// Adds a read of a key, as it was before the transaction.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
enum kvraft_status kvraft_txn_get(struct kvraft_txn *txn,
                                  int branch,
                                  const void *key,
                                  size_t key_len,
                                  struct kvraft_error **error);

// Adds a put. See kvraft_txn_set_ttl_ms, kvraft_txn_set_lease and kvraft_txn_set_want_previous.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
enum kvraft_status kvraft_txn_put(struct kvraft_txn *txn,
                                  int branch,
                                  const void *key,
                                  size_t key_len,
                                  const void *value,
                                  size_t value_len,
                                  struct kvraft_error **error);

// Adds a delete. See kvraft_txn_set_want_previous.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
enum kvraft_status kvraft_txn_delete(struct kvraft_txn *txn,
                                     int branch,
                                     const void *key,
                                     size_t key_len,
                                     struct kvraft_error **error);

// Adds an increment of the decimal number under a key, which counts as 0 if there is none.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
enum kvraft_status kvraft_txn_increment(struct kvraft_txn *txn,
                                        int branch,
                                        const void *key,
                                        size_t key_len,
                                        int64_t delta,
                                        struct kvraft_error **error);

// Takes what the put that was added last writes away after this time; see
// kvraft_write_options_set_ttl_ms.
//
// KVRAFT_INVALID_ARGUMENT: there is none yet, or txn is NULL.
enum kvraft_status kvraft_txn_set_ttl_ms(struct kvraft_txn *txn,
                                         uint64_t ttl_ms,
                                         struct kvraft_error **error);

// Takes what the put that was added last writes away when the lease ends. Other operations have no
// lease.
//
// KVRAFT_INVALID_ARGUMENT: there is none yet, or txn is NULL, or the lease is 0.
enum kvraft_status kvraft_txn_set_lease(struct kvraft_txn *txn,
                                        uint64_t lease,
                                        struct kvraft_error **error);

// Has the put or delete that was added last answer with the entry that was there before.
//
// KVRAFT_INVALID_ARGUMENT: there is none yet, or txn is NULL.
enum kvraft_status kvraft_txn_set_want_previous(struct kvraft_txn *txn,
                                                struct kvraft_error **error);

// Applies a transaction: all of it at once, or nothing. It may be committed again, as another one.
//
// txn, options: stay the caller's; options may be NULL for the defaults, and ask for a request id and
// a timeout only.
// result: where goes what it did; may be NULL; free it with kvraft_txn_result_free.
//
// KVRAFT_INVALID_ARGUMENT: a key or value has a wrong length, there are too many operations or a key
// twice in a branch, or a call that should have added to it has failed (the message says which), or an
// argument is NULL.
// KVRAFT_EXPIRED: a lease has ended.
// KVRAFT_INDETERMINATE: also if its results were over 64 KiB and it had to be sent again.
// Other errors: those of kvraft_put. That comparisons do not hold is no error.
enum kvraft_status kvraft_txn_commit(const struct kvraft_map *map,
                                     const struct kvraft_txn *txn,
                                     const struct kvraft_write_options *options,
                                     struct kvraft_txn_result **result,
                                     struct kvraft_error **error);

// Frees a transaction. Does nothing if txn is NULL.
void kvraft_txn_free(struct kvraft_txn *txn);

// Returns whether all comparisons held; false if result is NULL.
bool kvraft_txn_result_succeeded(const struct kvraft_txn_result *result);

// Returns the revision of every change in the transaction; 0 if result is NULL.
uint64_t kvraft_txn_result_revision(const struct kvraft_txn_result *result);

// Returns how many operations the branch has that was done; 0 if result is NULL.
size_t kvraft_txn_result_count(const struct kvraft_txn_result *result);

// Shows what one operation did; its entry lives as long as the result.
//
// index: counts from 0, in the order in which the operations of that branch were added.
// outcome: where it goes: of a read, the entry and whether it existed; of a put or delete, whether
// the key existed, and the entry before if that was asked for; of an increment, the number, while
// existed says nothing. The revision is that of the transaction.
//
// KVRAFT_NOT_FOUND: there is no operation of that index.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_txn_result_outcome(const struct kvraft_txn_result *result,
                                             size_t index,
                                             struct kvraft_outcome *outcome,
                                             struct kvraft_error **error);

// Frees a result and its entries. Does nothing if result is NULL.
void kvraft_txn_result_free(struct kvraft_txn_result *result);

// Returns the version of the library, such as "0.1.0"; KVRAFT_VERSION is that of the header.
//
// The text is static: do not free it.
const char *kvraft_version(void);

// Returns the revision of the binary interface of the library. A program that loads it at run
// time should refuse one that differs from KVRAFT_ABI_VERSION.
uint32_t kvraft_abi_version(void);

// Begins to watch the keys in a range: every change is told, in the order of revisions, none lost
// and none twice.
//
// range, options: stay the caller's; options may be NULL for the defaults.
// watch: where the watch goes; free it with kvraft_watch_free, before or after the map.
//
// KVRAFT_COMPACTED: the revision to begin from is not held any more; kvraft_error_revision has the
// oldest that is.
// KVRAFT_OVERLOADED: too many watch on this node already.
// KVRAFT_STORAGE: also if the process has no file descriptor left.
// KVRAFT_INVALID_ARGUMENT, KVRAFT_UNAVAILABLE, KVRAFT_CLOSED.
enum kvraft_status kvraft_watch_new(const struct kvraft_map *map,
                                    const struct kvraft_range *range,
                                    const struct kvraft_watch_options *options,
                                    struct kvraft_watch **watch,
                                    struct kvraft_error **error);

// Waits for the next event.
//
// timeout_ms: how long at most; 0 looks and does not wait. No event is lost when the time is over.
// event: where it goes; free it with kvraft_watch_event_free.
//
// KVRAFT_NOT_FOUND: there was none within that time.
// KVRAFT_COMPACTED: changes were missed, since this was too slow, and resync was not asked for;
// kvraft_error_revision has the oldest revision that is held.
// KVRAFT_CLOSED: the map was closed, or the watch has ended with an error before.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_watch_next(struct kvraft_watch *watch,
                                     uint32_t timeout_ms,
                                     struct kvraft_watch_event **event,
                                     struct kvraft_error **error);

// Returns a file descriptor for poll, epoll, select and event loops: it is readable whenever there
// may be an event, or the end of the watch. Then call kvraft_watch_next with a timeout of 0 until it
// returns KVRAFT_NOT_FOUND, which makes it unreadable. It is readable at first.
//
// It belongs to the watch and is closed with it: do not read, write or close it. -1 if watch is
// NULL, or after a fork.
int kvraft_watch_fd(const struct kvraft_watch *watch);

// Ends a watch and frees it. Does nothing if watch is NULL.
void kvraft_watch_free(struct kvraft_watch *watch);

// Returns what the event tells; KVRAFT_WATCH_NOTHING if event is NULL.
enum kvraft_watch_event_kind kvraft_watch_event_what(const struct kvraft_watch_event *event);

// Returns the revision of the changes or of the snapshot, larger than that of any event before; 0
// for entries of a snapshot, or if event is NULL.
uint64_t kvraft_watch_event_revision(const struct kvraft_watch_event *event);

// Returns how many changes, or entries of a snapshot, the event has; 0 if event is NULL.
size_t kvraft_watch_event_count(const struct kvraft_watch_event *event);

// Shows one change, or one entry of a snapshot as a change; it lives as long as the event.
//
// index: counts from 0.
// change: where it goes.
//
// KVRAFT_NOT_FOUND: the event has none of that index.
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_watch_event_change(const struct kvraft_watch_event *event,
                                             size_t index,
                                             struct kvraft_change *change,
                                             struct kvraft_error **error);

// Frees an event and its entries. Does nothing if event is NULL.
void kvraft_watch_event_free(struct kvraft_watch_event *event);

// Makes options that tell what happens from now on.
//
// options: where they go; free them with kvraft_watch_options_free.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_watch_options_new(struct kvraft_watch_options **options,
                                            struct kvraft_error **error);

// Tells changes from this revision on, itself included; one that has not come yet is waited for. If
// it is not held any more, the watch fails as KVRAFT_COMPACTED.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_watch_options_set_from(struct kvraft_watch_options *options,
                                                 uint64_t revision,
                                                 struct kvraft_error **error);

// Tells with each change the entry as it was before.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_watch_options_set_previous(struct kvraft_watch_options *options,
                                                     struct kvraft_error **error);

// Begins with all entries as they are, and begins again with all entries when changes were missed,
// instead of failing as KVRAFT_COMPACTED. With a revision to begin from it begins with all entries
// only if that one is not held any more.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_watch_options_set_resync(struct kvraft_watch_options *options,
                                                   struct kvraft_error **error);

// Frees options. Does nothing if options is NULL.
void kvraft_watch_options_free(struct kvraft_watch_options *options);

// Gives a key a value. Returns when the write is on the disks of a majority and applied; however
// often it had to be sent, it is applied once or not at all.
//
// key, key_len: 1 to 511 bytes of any kind; they are copied.
// value, value_len: up to max_value_bytes of any kind; they are copied. NULL with 0 is empty.
// timeout_ms: how long at most; 0 takes the configured request_timeout.
// revision: where the revision of the change goes; may be NULL.
//
// KVRAFT_INVALID_ARGUMENT: the key is empty or too long, the value is too long, or an argument is
// NULL.
// KVRAFT_UNAVAILABLE, KVRAFT_OVERLOADED, KVRAFT_FULL: nothing was done.
// KVRAFT_INDETERMINATE: the time was over after the write had been sent.
// KVRAFT_CLOSED, KVRAFT_STORAGE.
enum kvraft_status kvraft_put(const struct kvraft_map *map,
                              const void *key,
                              size_t key_len,
                              const void *value,
                              size_t value_len,
                              uint32_t timeout_ms,
                              uint64_t *revision,
                              struct kvraft_error **error);

// Gives a key a value under a condition, with a time to live or a lease, once for a request id, as
// the options ask for.
//
// key, key_len, value, value_len: as for kvraft_put.
// options: may be NULL for the defaults; they stay the caller's.
// outcome: where goes what was done; may be NULL; free it with kvraft_outcome_free.
//
// KVRAFT_CONFLICT: the condition does not hold; kvraft_error_revision has the current revision.
// KVRAFT_EXPIRED: the lease has ended.
// KVRAFT_OVERLOADED: also if too many request ids are remembered.
// Other errors: those of kvraft_put.
enum kvraft_status kvraft_put_with(const struct kvraft_map *map,
                                   const void *key,
                                   size_t key_len,
                                   const void *value,
                                   size_t value_len,
                                   const struct kvraft_write_options *options,
                                   struct kvraft_outcome *outcome,
                                   struct kvraft_error **error);

// Takes a key and its value away.
//
// key, key_len: 1 to 511 bytes of any kind; they are copied.
// timeout_ms: how long at most; 0 takes the configured request_timeout.
// revision: where the revision of the change goes, also if there was no such key; may be NULL.
//
// KVRAFT_NOT_FOUND: there was no such key.
// Errors: those of kvraft_put, without KVRAFT_FULL.
enum kvraft_status kvraft_delete(const struct kvraft_map *map,
                                 const void *key,
                                 size_t key_len,
                                 uint32_t timeout_ms,
                                 uint64_t *revision,
                                 struct kvraft_error **error);

// Takes a key and its value away under a condition, or once for a request id, as the options ask
// for.
//
// key, key_len: as for kvraft_delete.
// options: may be NULL for the defaults; they stay the caller's.
// outcome: where goes what was done, also if there was no such key; may be NULL; free it with
// kvraft_outcome_free.
//
// KVRAFT_NOT_FOUND: there was no such key, and no condition against that.
// Errors: those of kvraft_put_with, without KVRAFT_FULL; KVRAFT_INVALID_ARGUMENT also for a time to
// live or a lease.
enum kvraft_status kvraft_delete_with(const struct kvraft_map *map,
                                      const void *key,
                                      size_t key_len,
                                      const struct kvraft_write_options *options,
                                      struct kvraft_outcome *outcome,
                                      struct kvraft_error **error);

// Adds to the decimal number under a key, which counts as 0 if there is none. Exact however often
// it had to be sent.
//
// key, key_len: as for kvraft_put.
// options: may be NULL for the defaults; they stay the caller's.
// number: where the sum goes; may be NULL.
// revision: where the revision of the change goes; may be NULL.
//
// KVRAFT_INVALID_ARGUMENT: the value is no decimal number of 64 bits, or the sum would be none; a
// time to live or a lease is in the options; or as for kvraft_put.
// Other errors: those of kvraft_put_with.
enum kvraft_status kvraft_increment(const struct kvraft_map *map,
                                    const void *key,
                                    size_t key_len,
                                    int64_t delta,
                                    const struct kvraft_write_options *options,
                                    int64_t *number,
                                    uint64_t *revision,
                                    struct kvraft_error **error);

// Takes every key in a range away, at once.
//
// range, options: stay the caller's; options may be NULL for the defaults.
// deleted: where the number of keys goes that were there; may be NULL.
// revision: where the revision of the change goes; may be NULL.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or the options ask for what only one key can have.
// Other errors: those of kvraft_delete.
enum kvraft_status kvraft_delete_range(const struct kvraft_map *map,
                                       const struct kvraft_range *range,
                                       const struct kvraft_write_options *options,
                                       uint64_t *deleted,
                                       uint64_t *revision,
                                       struct kvraft_error **error);

// Makes options that take everything from the configuration, without a condition.
//
// options: where they go; free them with kvraft_write_options_free.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_write_options_new(struct kvraft_write_options **options,
                                            struct kvraft_error **error);

// Writes only if the entry was last changed at revision; 0 means that there is none. Otherwise the
// write fails as KVRAFT_CONFLICT, and kvraft_error_revision has the current one. Of several
// conditions the last one counts.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_write_options_set_if_revision(struct kvraft_write_options *options,
                                                        uint64_t revision,
                                                        struct kvraft_error **error);

// Writes only if the key has no value; otherwise as kvraft_write_options_set_if_revision.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_write_options_set_if_absent(struct kvraft_write_options *options,
                                                      struct kvraft_error **error);

// Writes only if the key has a value; otherwise as kvraft_write_options_set_if_revision.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_write_options_set_if_present(struct kvraft_write_options *options,
                                                       struct kvraft_error **error);

// Writes only if the key has exactly this value; otherwise as kvraft_write_options_set_if_revision.
//
// value, value_len: are copied. NULL with 0 is empty.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
enum kvraft_status kvraft_write_options_set_if_value(struct kvraft_write_options *options,
                                                     const void *value,
                                                     size_t value_len,
                                                     struct kvraft_error **error);

// Has a put or delete answer with the entry that was there before.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_write_options_set_want_previous(struct kvraft_write_options *options,
                                                          struct kvraft_error **error);

// Takes the key away after this time, unless it is put again: 100 ms to ten years, in which a time
// without a leader does not count, so that it is never shorter. Puts only.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL. The time is checked by the put.
enum kvraft_status kvraft_write_options_set_ttl_ms(struct kvraft_write_options *options,
                                                   uint64_t ttl_ms,
                                                   struct kvraft_error **error);

// Takes the key away when the lease ends. Puts only, and not with a time to live of its own.
//
// lease: as kvraft_lease_id or kvraft_lease_grant gives it.
//
// KVRAFT_INVALID_ARGUMENT: the lease is 0, or options is NULL.
enum kvraft_status kvraft_write_options_set_lease(struct kvraft_write_options *options,
                                                  uint64_t lease,
                                                  struct kvraft_error **error);

// Applies the write once however often it is sent with this id, by any process and through any
// member, for an hour: 1 to 255 bytes that no other request has, such as a UUID. Whoever repeats the
// request gets the same answer.
//
// id, id_len: are copied.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL. The length is checked by the write.
enum kvraft_status kvraft_write_options_set_request_id(struct kvraft_write_options *options,
                                                       const void *id,
                                                       size_t id_len,
                                                       struct kvraft_error **error);

// Says in whose name the request id is, in at most 127 bytes: ids of different principals never meet.
// Default: empty, that of the members themselves.
//
// principal, principal_len: are copied.
//
// KVRAFT_INVALID_ARGUMENT: an argument is NULL. The length is checked by the write.
enum kvraft_status kvraft_write_options_set_principal(struct kvraft_write_options *options,
                                                      const void *principal,
                                                      size_t principal_len,
                                                      struct kvraft_error **error);

// Sets how long the call waits at most, in milliseconds; 0 takes the configured request_timeout,
// which is the default.
//
// KVRAFT_INVALID_ARGUMENT: options is NULL.
enum kvraft_status kvraft_write_options_set_timeout_ms(struct kvraft_write_options *options,
                                                       uint32_t timeout_ms,
                                                       struct kvraft_error **error);

// Frees options. Does nothing if options is NULL.
void kvraft_write_options_free(struct kvraft_write_options *options);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KVRAFT_H */
