/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_ACCESS_H
#define STAGECOACH_GATEWAY_ACCESS_H
/*
 * access - who may use a server over TCP, as its settings say: the gate, and TLS. The Unix socket
 * has neither, because the permissions of its path say who may open it.
 * Thread: the loop's thread only. Loading reads files.
 */
#include "config/config.h"
#include "gateway/gate.h"
#include "gateway/tls_credentials.h"

/* Borrowed during a call. */
struct access_settings {
	struct gate_settings gate;
	struct tls_files tls;	/* ca: of client certificates */
};

struct access_settings access_settings_of(const struct config *config);

struct access {
	struct gate *gate;
	struct tls_credentials *credentials;	/* NULL: no TLS */
};

/* Open to all, until access_load. limits as in gate_create. SC_E_NOMEM. */
must_check enum sc_status access_init(struct access *access, struct limit_counts *limits);
void access_deinit(struct access *access);

/* Reads all files. On failure nothing changes. Warns of certificates that expire soon, and of
 * secret files that other users can read. SC_E_CONFIG, SC_E_IO: err names the file and what was
 * expected. */
must_check enum sc_status access_load(struct access *access,
				      const struct access_settings *settings, struct error *err);
/* Would access_load succeed? */
must_check enum sc_status access_check(const struct access_settings *settings, struct error *err);

#endif
