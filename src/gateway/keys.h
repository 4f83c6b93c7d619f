/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_KEYS_H
#define STAGECOACH_GATEWAY_KEYS_H
/*
 * keys - the API keys of a server: who may ask, how often, and how much at the same time.
 *
 * File format: one key a line, "NAME KEY [rate=N/s|N/min|N/h] [concurrent=N]", or "KEY" and the
 * same limits; such a key is called "key-1" when it is the first of the file. Empty lines and lines
 * that begin with '#' are ignored. NAME has 1 to 63 characters of a-z, A-Z, 0-9, '.', '_', '@' and
 * '-', and stands for the key in logs. KEY has 1 to 256 printable characters without blanks, commas
 * and quotes.
 *
 * Only hashes of the keys stay in memory, and a hash is compared with all of them in constant time.
 * No message ever holds a key.
 * Thread: one, and no clock: the caller passes the time.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_MAX 1000
#define KEY_NAME_MAX 64		/* with the NUL */
#define KEY_TEXT_MAX 256
#define KEYS_FILE_MAX ((size_t)512 << 10)
/* A shorter key is easy to guess. */
#define KEY_SHORT 16

struct keys;
struct api_key;		/* counted: it lives as long as the keys that hold it and its calls */

must_check enum sc_status keys_create(struct keys **keys_out);
/* Calls that entered may still leave. Accepts NULL. */
void keys_destroy(struct keys *keys);

/* Adds the lines of a key file; name stands for the file in err. SC_E_CONFIG: err names the line
 * and what was expected. SC_E_NOMEM. On failure some keys may have been added. */
must_check enum sc_status keys_parse(struct keys *keys, const char *text, size_t n_bytes,
				     const char *name, struct error *err);
/* Reads a key file. Also SC_E_NOT_FOUND and SC_E_IO. */
must_check enum sc_status keys_read(struct keys *keys, const char *path, bool *is_public_out,
				    struct error *err);
/* Adds keys with commas between them, as of --api-key, without limits. */
must_check enum sc_status keys_add_list(struct keys *keys, const char *list, struct error *err);

/* Keys that are in both go on where they were: their open calls, their rates and their ids. Their
 * names and limits are those of keys. */
void keys_adopt(struct keys *keys, const struct keys *old);

unsigned keys_count(const struct keys *keys);
/* How many have fewer than KEY_SHORT characters. */
unsigned keys_n_short(const struct keys *keys);

/* NULL: there is no such key. The time that this takes does not depend on what the keys are. */
struct api_key *keys_find(const struct keys *keys, const char *text, size_t n_bytes);

enum key_answer {
	KEY_ENTERS,
	KEY_IS_TOO_FAST,	/* its rate is used up */
	KEY_HAS_TOO_MANY,	/* as many of its calls as allowed are open */
};

/* A call begins. KEY_ENTERS: the caller calls api_key_leave when the call is over.
 * KEY_IS_TOO_FAST: *wait_ns_out is the time after which one more call may begin. */
must_check enum key_answer api_key_enter(struct api_key *key, uint64_t now_ns,
					 uint64_t *wait_ns_out);
void api_key_leave(struct api_key *key);
/* Keeps the key alive without a call. */
void api_key_ref(struct api_key *key);
void api_key_unref(struct api_key *key);

const char *api_key_name(const struct api_key *key);
/* Identifies the key's owner where jobs of one client share turns. Never the id of a connection:
 * the highest bit is set. */
uint64_t api_key_client(const struct api_key *key);
/* For messages: "2 requests per second". */
void api_key_describe_rate(const struct api_key *key, char *text, size_t n_bytes);
unsigned api_key_max_calls(const struct api_key *key);

#endif
