/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/keys.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/small_file.h"

#include <ctype.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BYTES 32
#define MAX_RATE 1000000
#define MAX_CALLS 1000000
/* What a key's client id is made of; ids of connections are small numbers. */
#define CLIENT_BIT (UINT64_C(1) << 63)

struct rate {
	unsigned n;		/* calls per window; 0: any number */
	uint64_t window_ns;
};

struct api_key {
	unsigned n_users;	/* struct keys that hold it, and open calls */
	char name[KEY_NAME_MAX];
	uint8_t hash[HASH_BYTES];
	uint64_t client;
	struct rate rate;
	unsigned max_calls;	/* 0: any number */
	unsigned n_calls;
	/* The calls so far, one every window / n, last until then. A call may begin while fewer
	 * than n calls lie ahead. */
	uint64_t booked_until_ns;
	bool is_short;
};

struct keys {
	struct api_key *keys[KEYS_MAX];
	unsigned n;
};

enum sc_status keys_create(struct keys **keys_out)
{
	struct keys *keys = calloc(1, sizeof *keys);

	if (!keys)
		return SC_E_NOMEM;
	*keys_out = keys;
	return SC_OK;
}

void keys_destroy(struct keys *keys)
{
	if (!keys)
		return;
	for (unsigned i = 0; i < keys->n; i++)
		api_key_unref(keys->keys[i]);
	free(keys);
}

/* --- parsing --- */

/* Part of a line. */
struct word {
	const char *at;
	size_t n;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off the line. n is 0 at its end. */
static struct word next_word(struct word *line)
{
	struct word word;

	while (line->n && is_blank(*line->at)) {
		line->at++;
		line->n--;
	}
	word = (struct word){ line->at, 0 };
	while (word.n < line->n && !is_blank(word.at[word.n]))
		word.n++;
	line->at += word.n;
	line->n -= word.n;
	return word;
}

static bool begins_with(struct word word, const char *prefix)
{
	return word.n >= strlen(prefix) && !memcmp(word.at, prefix, strlen(prefix));
}

static bool is_limit(struct word word)
{
	return begins_with(word, "rate=") || begins_with(word, "concurrent=");
}

static enum sc_status set_name(struct api_key *key, struct word word, const char *where,
			       struct error *err)
{
	bool is_good = word.n >= 1 && word.n < KEY_NAME_MAX;

	for (size_t i = 0; is_good && i < word.n; i++)
		is_good = isalnum((unsigned char)word.at[i]) || strchr("._@-", word.at[i]);
	if (!is_good)
		return error_set(err, SC_E_CONFIG, "%s: the name of a key must have 1 to %d "
				 "letters, digits, '.', '_', '@' or '-'", where, KEY_NAME_MAX - 1);
	memcpy(key->name, word.at, word.n);
	key->name[word.n] = '\0';
	return SC_OK;
}

/* Returns false if the library cannot compute SHA-256. */
static bool hash(const char *text, size_t n_bytes, uint8_t out[HASH_BYTES])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, n_bytes, out) >= 0;
}

static enum sc_status set_secret(struct api_key *key, struct word word, const char *where,
				 struct error *err)
{
	bool is_good = word.n >= 1 && word.n <= KEY_TEXT_MAX;
	uint8_t again[HASH_BYTES];

	for (size_t i = 0; is_good && i < word.n; i++)
		is_good = word.at[i] > ' ' && word.at[i] <= '~' && !strchr(",\"'", word.at[i]);
	if (!is_good)
		return error_set(err, SC_E_CONFIG, "%s: a key must have 1 to %d printable ASCII "
				 "characters without blanks, commas and quotes. `openssl rand -hex "
				 "24` makes one", where, KEY_TEXT_MAX);
	key->is_short = word.n < KEY_SHORT;
	/* The id is a hash of the hash, so that whoever sees an id learns nothing of the key. */
	if (!hash(word.at, word.n, key->hash) || !hash((const char *)key->hash, HASH_BYTES, again))
		return error_set(err, SC_E_INTERNAL, "%s: GnuTLS cannot compute SHA-256", where);
	memcpy(&key->client, again, sizeof key->client);
	key->client |= CLIENT_BIT;
	return SC_OK;
}

/* A whole number from 1 to max. */
static bool parse_count(const char *text, size_t n, unsigned max, unsigned *out)
{
	char copy[16];
	uint64_t value;

	if (!n || n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (!isdigit((unsigned char)copy[0]) || !parse_u64(copy, &value) || !value || value > max)
		return false;
	*out = (unsigned)value;
	return true;
}

static bool parse_window(struct word unit, uint64_t *window_ns_out)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 } };

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (unit.n != strlen(units[i].name) || memcmp(unit.at, units[i].name, unit.n) != 0)
			continue;
		*window_ns_out = units[i].seconds * NS_PER_SECOND;
		return true;
	}
	return false;
}

static enum sc_status set_limit(struct api_key *key, struct word word, const char *where,
				struct error *err)
{
	const char *value = memchr(word.at, '=', word.n);
	const char *end = word.at + word.n;
	const char *slash;

	if (!value || !is_limit(word))
		return error_set(err, SC_E_CONFIG, "%s: expected NAME KEY [rate=N/s|N/min|N/h] "
				 "[concurrent=N], found something else behind the key", where);
	value++;
	if (begins_with(word, "concurrent=")) {
		if (!parse_count(value, (size_t)(end - value), MAX_CALLS, &key->max_calls))
			return error_set(err, SC_E_CONFIG, "%s: concurrent= expected a number from "
					 "1 to %d", where, MAX_CALLS);
		return SC_OK;
	}
	slash = memchr(value, '/', (size_t)(end - value));
	if (!slash || !parse_count(value, (size_t)(slash - value), MAX_RATE, &key->rate.n) ||
	    !parse_window((struct word){ slash + 1, (size_t)(end - slash - 1) },
			  &key->rate.window_ns))
		return error_set(err, SC_E_CONFIG, "%s: rate= expected a number from 1 to %d and a "
				 "unit, as in rate=10/s, rate=100/min or rate=1000/h", where,
				 MAX_RATE);
	return SC_OK;
}

/* What a line says. A first word that is alone, or before a limit, is a key without a name. */
static enum sc_status parse_line(struct api_key *key, struct word line, unsigned number,
				 const char *where, struct error *err)
{
	struct word first = next_word(&line);
	struct word word = next_word(&line);
	enum sc_status status;

	if (word.n && !is_limit(word)) {
		status = set_name(key, first, where, err);
		if (status == SC_OK)
			status = set_secret(key, word, where, err);
		word = next_word(&line);
	} else {
		snprintf(key->name, sizeof key->name, "key-%u", number);
		status = set_secret(key, first, where, err);
	}
	for (; word.n && status == SC_OK; word = next_word(&line))
		status = set_limit(key, word, where, err);
	return status;
}

static enum sc_status check_unique(const struct keys *keys, const struct api_key *key,
				   const char *where, struct error *err)
{
	if (keys->n == KEYS_MAX)
		return error_set(err, SC_E_CONFIG, "%s: over %d keys", where, KEYS_MAX);
	for (unsigned i = 0; i < keys->n; i++) {
		const struct api_key *other = keys->keys[i];

		if (!strcmp(other->name, key->name))
			return error_set(err, SC_E_CONFIG, "%s: there is a key called '%s' "
					 "already, expected another name", where, key->name);
		if (!memcmp(other->hash, key->hash, HASH_BYTES))
			return error_set(err, SC_E_CONFIG, "%s: '%s' has the same key as '%s', "
					 "expected another one", where, key->name, other->name);
	}
	return SC_OK;
}

static enum sc_status add_line(struct keys *keys, struct word line, const char *where,
			       struct error *err)
{
	struct api_key *key = calloc(1, sizeof *key);
	enum sc_status status;

	if (!key)
		return error_set(err, SC_E_NOMEM, "%s: out of memory", where);
	key->n_users = 1;
	status = parse_line(key, line, keys->n + 1, where, err);
	if (status == SC_OK)
		status = check_unique(keys, key, where, err);
	if (status == SC_OK)
		keys->keys[keys->n++] = key;
	else
		api_key_unref(key);
	return status;
}

enum sc_status keys_parse(struct keys *keys, const char *text, size_t n_bytes, const char *name,
			  struct error *err)
{
	const char *end = text + n_bytes;
	enum sc_status status = SC_OK;
	char where[300];

	for (unsigned n = 1; text < end && status == SC_OK; n++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		struct word line = { text, (size_t)((newline ? newline : end) - text) };
		struct word rest = line;
		struct word first = next_word(&rest);

		snprintf(where, sizeof where, "%s:%u", name, n);
		if (first.n && *first.at != '#')
			status = add_line(keys, line, where, err);
		text = newline ? newline + 1 : end;
	}
	if (status == SC_OK && !keys->n)
		status = error_set(err, SC_E_CONFIG, "%s: no key, expected a line NAME KEY. "
				   "`openssl rand -hex 24` makes a key", name);
	return status;
}

enum sc_status keys_read(struct keys *keys, const char *path, bool *is_public_out,
			 struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = small_file_read(path, KEYS_FILE_MAX, &text, is_public_out, err);

	if (status == SC_OK)
		status = keys_parse(keys, text.data, text.length, path, err);
	small_file_wipe(&text);
	return status;
}

enum sc_status keys_add_list(struct keys *keys, const char *list, struct error *err)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK) {
		const char *comma = strchrnul(list, ',');
		struct word word = { list, (size_t)(comma - list) };

		/* As a line it could bring blanks, and what is behind them. */
		if (!word.n || memchr(word.at, ' ', word.n) || memchr(word.at, '\t', word.n))
			return error_set(err, SC_E_CONFIG, "api-key: expected a key, or several "
					 "with commas between them, without blanks");
		status = add_line(keys, word, "api-key", err);
		if (!*comma)
			break;
		list = comma + 1;
	}
	return status;
}

void keys_adopt(struct keys *keys, const struct keys *old)
{
	for (unsigned i = 0; i < keys->n; i++) {
		struct api_key *fresh = keys->keys[i];

		for (unsigned j = 0; j < old->n; j++) {
			struct api_key *known = old->keys[j];

			if (memcmp(known->hash, fresh->hash, HASH_BYTES) != 0)
				continue;
			memcpy(known->name, fresh->name, sizeof known->name);
			known->rate = fresh->rate;
			known->max_calls = fresh->max_calls;
			known->n_users++;
			keys->keys[i] = known;
			api_key_unref(fresh);
			break;
		}
	}
}

unsigned keys_count(const struct keys *keys)
{
	return keys->n;
}

unsigned keys_n_short(const struct keys *keys)
{
	unsigned n = 0;

	for (unsigned i = 0; i < keys->n; i++)
		n += keys->keys[i]->is_short;
	return n;
}

/* --- use --- */

struct api_key *keys_find(const struct keys *keys, const char *text, size_t n_bytes)
{
	struct api_key *found = NULL;
	uint8_t wanted[HASH_BYTES];

	if (!n_bytes || n_bytes > KEY_TEXT_MAX || !hash(text, n_bytes, wanted))
		return NULL;
	/* All of them, and each to its end: the time tells nothing. */
	for (unsigned i = 0; i < keys->n; i++)
		if (gnutls_memcmp(keys->keys[i]->hash, wanted, HASH_BYTES) == 0)
			found = keys->keys[i];
	return found;
}

/* Returns false, and how long to wait, if no call may begin yet. */
static bool book(struct api_key *key, uint64_t now_ns, uint64_t *wait_ns_out)
{
	uint64_t each_ns = key->rate.window_ns / key->rate.n;
	uint64_t ahead_ns = each_ns * (key->rate.n - 1);

	if (key->booked_until_ns < now_ns)
		key->booked_until_ns = now_ns;
	if (key->booked_until_ns > now_ns + ahead_ns) {
		*wait_ns_out = key->booked_until_ns - now_ns - ahead_ns;
		return false;
	}
	key->booked_until_ns += each_ns;
	return true;
}

enum key_answer api_key_enter(struct api_key *key, uint64_t now_ns, uint64_t *wait_ns_out)
{
	if (key->max_calls && key->n_calls >= key->max_calls)
		return KEY_HAS_TOO_MANY;
	if (key->rate.n && !book(key, now_ns, wait_ns_out))
		return KEY_IS_TOO_FAST;
	key->n_calls++;
	api_key_ref(key);
	return KEY_ENTERS;
}

void api_key_leave(struct api_key *key)
{
	key->n_calls--;
	api_key_unref(key);
}

void api_key_ref(struct api_key *key)
{
	key->n_users++;
}

void api_key_unref(struct api_key *key)
{
	if (--key->n_users == 0)
		free(key);
}

const char *api_key_name(const struct api_key *key)
{
	return key->name;
}

uint64_t api_key_client(const struct api_key *key)
{
	return key->client;
}

void api_key_describe_rate(const struct api_key *key, char *text, size_t n_bytes)
{
	const uint64_t seconds = key->rate.window_ns / NS_PER_SECOND;

	snprintf(text, n_bytes, "%u request%s per %s", key->rate.n, key->rate.n == 1 ? "" : "s",
		 seconds == 1 ? "second" : seconds == 60 ? "minute" : "hour");
}

unsigned api_key_max_calls(const struct api_key *key)
{
	return key->max_calls;
}
