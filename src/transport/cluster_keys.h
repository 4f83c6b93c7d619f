/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CLUSTER_KEYS_H
#define STAGECOACH_TRANSPORT_CLUSTER_KEYS_H
/*
 * cluster_keys - the secrets that all processes of a cluster share. Whoever has one of them can be
 * the coordinator or any worker: there are no keys per member.
 *
 * A key is an id, which is sent in the clear, and a secret of at least 128 random bits. During a
 * rotation two keys are valid:
 * 1. add the new key as the second line on all hosts, and let all processes read it;
 * 2. make it the first line everywhere: diallers offer the first key first;
 * 3. remove the old one.
 *
 * File format: one key a line, "ID:HEX" or "HEX", one or two lines. Empty lines and lines that begin
 * with '#' are ignored. ID has 1 to 32 characters of a-z, A-Z, 0-9, '.', '_' and '-'. HEX is 32 to
 * 128 hexadecimal digits, as "openssl rand -hex 32" prints them. Without an ID, the id is made of
 * the secret's hash, so that all processes agree about the id.
 * Thread: any.
 */
#include "base/error.h"

#include <stddef.h>

#define CLUSTER_MAX_KEYS 2
#define CLUSTER_KEY_ID_MAX 32
#define CLUSTER_SECRET_MIN 16	/* bytes */
#define CLUSTER_SECRET_MAX 64
/* Room for one key as text, with the NUL. */
#define CLUSTER_KEY_TEXT_MAX (CLUSTER_KEY_ID_MAX + 1 + 2 * CLUSTER_SECRET_MAX + 1)

struct cluster_key {
	char id[CLUSTER_KEY_ID_MAX + 1];
	uint8_t secret[CLUSTER_SECRET_MAX];
	size_t n_bytes;		/* of secret */
};

struct cluster_keys {
	unsigned n_keys;	/* 1 or 2 */
	struct cluster_key keys[CLUSTER_MAX_KEYS];
};

/* Reads a key file. SC_E_CONFIG: err names the file, the line and what was expected; also if other
 * users may read or write the file. err never holds a secret. SC_E_IO: the file cannot be read. */
must_check enum sc_status cluster_keys_read(const char *path, struct cluster_keys *keys_out,
					    struct error *err);

/* The same for n_bytes of text; name stands for the file in err. */
must_check enum sc_status cluster_keys_parse(const char *text, size_t n_bytes, const char *name,
					     struct cluster_keys *keys_out, struct error *err);

/* Makes one key of 256 random bits. SC_E_IO: the system has no random numbers. */
must_check enum sc_status cluster_keys_random(struct cluster_keys *keys_out, struct error *err);

/* Writes a key as a line of a key file, without the newline: for a launcher that hands the key to
 * other processes. */
void cluster_key_format(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX]);

/* Overwrites the secrets. */
void cluster_keys_wipe(struct cluster_keys *keys);

#endif
