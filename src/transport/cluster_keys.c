/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/cluster_keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 4096
#define RANDOM_BYTES 32
#define HASH_LABEL "stagecoach key id"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_id_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* The id of a key without one. A hash of 128 or more random bits says nothing about them. */
static enum sc_status derive_id(struct cluster_key *key, struct error *err)
{
	uint8_t input[sizeof HASH_LABEL + CLUSTER_SECRET_MAX], digest[32];
	int rc;

	memcpy(input, HASH_LABEL, sizeof HASH_LABEL);
	memcpy(input + sizeof HASH_LABEL, key->secret, key->n_bytes);
	rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, input, sizeof HASH_LABEL + key->n_bytes, digest);
	explicit_bzero(input, sizeof input);
	if (rc < 0)
		return error_set(err, SC_E_INTERNAL, "the id of a cluster key: %s",
				 gnutls_strerror(rc));
	snprintf(key->id, sizeof key->id, "%02x%02x%02x%02x", digest[0], digest[1], digest[2],
		 digest[3]);
	return SC_OK;
}

static bool is_one_byte_repeated(const struct cluster_key *key)
{
	for (size_t i = 1; i < key->n_bytes; i++)
		if (key->secret[i] != key->secret[0])
			return false;
	return true;
}

/* where: "FILE:LINE". */
static enum sc_status parse_secret(const char *hex, size_t n_digits, const char *where,
				   struct cluster_key *key, struct error *err)
{
	if (n_digits % 2 || n_digits < 2 * CLUSTER_SECRET_MIN || n_digits > 2 * CLUSTER_SECRET_MAX)
		return error_set(err, SC_E_CONFIG, "%s: a secret of %zu characters, expected %d to "
				 "%d hexadecimal digits, an even number; 'openssl rand -hex 32' "
				 "makes one", where, n_digits, 2 * CLUSTER_SECRET_MIN,
				 2 * CLUSTER_SECRET_MAX);
	key->n_bytes = n_digits / 2;
	for (size_t i = 0; i < key->n_bytes; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, SC_E_CONFIG, "%s: character %zu of the secret is not "
					 "a hexadecimal digit", where, 2 * i + (high >= 0) + 1);
		key->secret[i] = (uint8_t)(high << 4 | low);
	}
	if (is_one_byte_repeated(key))
		return error_set(err, SC_E_CONFIG, "%s: the secret is one byte repeated, expected "
				 "random bytes, as of 'openssl rand -hex 32'", where);
	return SC_OK;
}

static enum sc_status parse_id(const char *id, size_t length, const char *where,
			       struct cluster_key *key, struct error *err)
{
	bool is_good = length >= 1 && length <= CLUSTER_KEY_ID_MAX;

	for (size_t i = 0; is_good && i < length; i++)
		is_good = is_id_char(id[i]);
	if (!is_good)
		return error_set(err, SC_E_CONFIG, "%s: the key's id before ':' must have 1 to %d "
				 "letters, digits, '.', '_' or '-'", where, CLUSTER_KEY_ID_MAX);
	memcpy(key->id, id, length);
	key->id[length] = '\0';
	return SC_OK;
}

static enum sc_status parse_line(const char *line, size_t length, const char *where,
				 struct cluster_key *key, struct error *err)
{
	const char *colon = memchr(line, ':', length);
	const char *hex = colon ? colon + 1 : line;
	enum sc_status status = parse_secret(hex, (size_t)(line + length - hex), where, key, err);

	if (status != SC_OK)
		return status;
	return colon ? parse_id(line, (size_t)(colon - line), where, key, err)
		     : derive_id(key, err);
}

static enum sc_status add_key(struct cluster_keys *keys, const char *line, size_t length,
			      const char *where, struct error *err)
{
	enum sc_status status;

	if (keys->n_keys == CLUSTER_MAX_KEYS)
		return error_set(err, SC_E_CONFIG, "%s: a third key, expected one or two; remove "
				 "the oldest", where);
	status = parse_line(line, length, where, &keys->keys[keys->n_keys], err);
	if (status != SC_OK)
		return status;
	if (keys->n_keys && !strcmp(keys->keys[0].id, keys->keys[1].id))
		return error_set(err, SC_E_CONFIG, "%s: both keys have the id %s, expected two "
				 "ids", where, keys->keys[1].id);
	keys->n_keys++;
	return SC_OK;
}

static size_t trimmed(const char **line, size_t length)
{
	while (length && isspace((unsigned char)**line)) {
		(*line)++;
		length--;
	}
	while (length && isspace((unsigned char)(*line)[length - 1]))
		length--;
	return length;
}

enum sc_status cluster_keys_parse(const char *text, size_t n_bytes, const char *name,
				  struct cluster_keys *keys_out, struct error *err)
{
	struct cluster_keys keys = { .n_keys = 0 };
	const char *end = text + n_bytes;
	enum sc_status status = SC_OK;
	char where[300];

	for (unsigned n = 1; text < end && status == SC_OK; n++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line = text;
		size_t length = trimmed(&line, (size_t)((newline ? newline : end) - text));

		snprintf(where, sizeof where, "%s:%u", name, n);
		if (length && *line != '#')
			status = add_key(&keys, line, length, where, err);
		text = newline ? newline + 1 : end;
	}
	if (status == SC_OK && !keys.n_keys)
		status = error_set(err, SC_E_CONFIG, "%s: no key, expected a line ID:HEX or HEX; "
				   "'openssl rand -hex 32' makes one", name);
	if (status == SC_OK)
		*keys_out = keys;
	cluster_keys_wipe(&keys);
	return status;
}

static enum sc_status check_mode(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, SC_E_CONFIG, "%s: not a file, expected the cluster's key",
				 path);
	if (st.st_mode & S_IRWXO)
		return error_set(err, SC_E_CONFIG, "%s: all users may use this file (mode %03o), "
				 "and it is secret: chmod 600, or 640", path,
				 (unsigned)(st.st_mode & 0777));
	return SC_OK;
}

static enum sc_status read_all(int fd, const char *path, char text[FILE_MAX + 1],
			       size_t *n_bytes_out, struct error *err)
{
	size_t n = 0;

	while (n <= FILE_MAX) {
		ssize_t n_read = read(fd, text + n, FILE_MAX + 1 - n);

		if (n_read < 0 && errno == EINTR)
			continue;
		if (n_read < 0)
			return error_errno(err, SC_E_IO, errno, "%s", path);
		if (!n_read) {
			*n_bytes_out = n;
			return SC_OK;
		}
		n += (size_t)n_read;
	}
	return error_set(err, SC_E_CONFIG, "%s: over %d bytes, expected one or two keys", path,
			 FILE_MAX);
}

enum sc_status cluster_keys_read(const char *path, struct cluster_keys *keys_out,
				 struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[FILE_MAX + 1];
	enum sc_status status;
	size_t n_bytes = 0;

	if (fd < 0)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	status = check_mode(fd, path, err);
	if (status == SC_OK)
		status = read_all(fd, path, text, &n_bytes, err);
	close(fd);
	if (status == SC_OK)
		status = cluster_keys_parse(text, n_bytes, path, keys_out, err);
	explicit_bzero(text, sizeof text);
	return status;
}

enum sc_status cluster_keys_random(struct cluster_keys *keys_out, struct error *err)
{
	struct cluster_keys keys = { .n_keys = 1 };
	int rc = gnutls_rnd(GNUTLS_RND_KEY, keys.keys[0].secret, RANDOM_BYTES);
	enum sc_status status;

	if (rc < 0)
		return error_set(err, SC_E_IO, "a random cluster key: %s", gnutls_strerror(rc));
	keys.keys[0].n_bytes = RANDOM_BYTES;
	status = derive_id(&keys.keys[0], err);
	if (status == SC_OK)
		*keys_out = keys;
	cluster_keys_wipe(&keys);
	return status;
}

void cluster_key_format(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX])
{
	int n = snprintf(text, CLUSTER_KEY_TEXT_MAX, "%s:", key->id);

	for (size_t i = 0; i < key->n_bytes; i++)
		snprintf(text + n + 2 * i, 3, "%02x", key->secret[i]);
}

void cluster_keys_wipe(struct cluster_keys *keys)
{
	explicit_bzero(keys, sizeof *keys);
}
