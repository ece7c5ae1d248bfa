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
 * Free functions take NULL.
 *
 * NULL for an argument that may not be NULL is KVRAFT_INVALID_ARGUMENT, and the message names it.
 *
 * Threads. A kvraft_map may be used by any number of threads at once, except for kvraft_free. The
 * other types belong to one thread at a time.
 *
 * Blocking. Functions with a timeout wait at most so long, without using processor time;
 * kvraft_open waits for the disk, kvraft_close for the disk and for a new leader, within bounds.
 * None may be called from a signal handler. The library installs no signal handlers.
 *
 * Fork. A forked child has none of the library's threads: calls with a map that was opened before
 * the fork return KVRAFT_CLOSED there, and freeing it does nothing. A child may open maps itself.
 *
 * Bugs in the library do not end the process: they are KVRAFT_INTERNAL.
 */


#ifndef KVRAFT_H
#define KVRAFT_H

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
// 0 is success, -1 is an answer (there is no such key), everything above 0 is an error. Values
// are never given a new meaning; new ones may come with a new minor version, so treat one that
// you do not know like KVRAFT_INTERNAL.
typedef enum kvraft_status {
  // There is no such key. Not an error: no kvraft_error is made.
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

// What keeps the bytes of a kvraft_bytes alive.
typedef struct kvraft_bytes_owner kvraft_bytes_owner;

// The settings of a node. Not for several threads at once.
typedef struct kvraft_config kvraft_config;

// Why a call failed, and what to do next. Belongs to the caller: free it with kvraft_error_free.
typedef struct kvraft_error kvraft_error;

// An open map: one member of its cluster, which lives in this process on threads of its own.
//
// Any number of threads may use it at once.
typedef struct kvraft_map kvraft_map;

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

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Frees the bytes and zeroes the struct, so that doing it twice does no harm. Does nothing if
// bytes is NULL or the struct is zeroed.
void kvraft_bytes_free(struct kvraft_bytes *bytes);

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

// Frees settings. Maps that were opened with them stay open. Does nothing if config is NULL.
void kvraft_config_free(struct kvraft_config *config);

// Returns the status that the failed call returned; KVRAFT_OK if error is NULL.
enum kvraft_status kvraft_error_status(const struct kvraft_error *error);

// Returns what happened, for people, as UTF-8; it may be worded differently in any release.
//
// The text lives as long as the error. NULL if error is NULL.
const char *kvraft_error_message(const struct kvraft_error *error);

// Returns the revision that belongs to the error: for KVRAFT_CONFLICT the current one of the key,
// for KVRAFT_COMPACTED the oldest one available. 0 if there is none, or if error is NULL.
uint64_t kvraft_error_revision(const struct kvraft_error *error);

// Frees an error. Does nothing if error is NULL.
void kvraft_error_free(struct kvraft_error *error);

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

// Waits until this node has recovered and knows a leader.
//
// timeout_ms: how long at most; 0 looks and does not wait.
//
// KVRAFT_UNAVAILABLE: not within that time.
// KVRAFT_CLOSED, or the error that stopped the node.
enum kvraft_status kvraft_wait_ready(const struct kvraft_map *map,
                                     uint32_t timeout_ms,
                                     struct kvraft_error **error);

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

// Stops the node and waits until it has: hands leadership over, finishes what was begun, closes
// files and socket.
//
// May be called while other threads are in calls with the same handle: they return KVRAFT_CLOSED,
// as do all calls from then on. Doing it again does nothing. The handle still has to be freed.
//
// KVRAFT_STORAGE: the last writes to the disk failed; the node is stopped all the same.
// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
enum kvraft_status kvraft_close(const struct kvraft_map *map, struct kvraft_error **error);

// Frees a handle; no other thread may be in a call with it, nor use it later. Does nothing if map
// is NULL.
//
// A node that was not closed stops in the background, without handing leadership over. In a
// forked child it does nothing, since the node is the parent's.
void kvraft_free(struct kvraft_map *map);

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

// Returns the name of a status in lower case, such as "unavailable", as logs and the other
// languages spell it; "unknown" for a number that is none.
//
// The text is static: do not free it.
const char *kvraft_status_name(int status);

// Returns the version of the library, such as "0.1.0"; KVRAFT_VERSION is that of the header.
//
// The text is static: do not free it.
const char *kvraft_version(void);

// Returns the revision of the binary interface of the library. A program that loads it at run
// time should refuse one that differs from KVRAFT_ABI_VERSION.
uint32_t kvraft_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KVRAFT_H */
