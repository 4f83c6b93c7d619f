/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_TLS_CREDENTIALS_H
#define STAGECOACH_GATEWAY_TLS_CREDENTIALS_H
/*
 * tls_credentials - what one side of TLS shows and what it trusts: certificates, a key, and
 * authorities, read from PEM files. Counted: sessions keep their credentials, so a server can read
 * its files again while clients are connected.
 * Thread: one. Reading files blocks on the disk.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_credentials;

/* Paths; "" for none. */
struct tls_files {
	const char *cert;	/* the own certificate, and those between it and its authority */
	const char *key;	/* of the own certificate, without a password */
	const char *ca;		/* authorities that must have signed the other side's
				 * certificate */
};

/* cert and key are needed. With ca every client must show a certificate of one of them.
 * SC_E_CONFIG: err names the file and what is wrong with it. SC_E_NOT_FOUND. SC_E_IO. SC_E_NOMEM. */
must_check enum sc_status tls_credentials_serve(const struct tls_files *files,
						struct tls_credentials **out, struct error *err);
/* cert and key are what the server may ask for. Without ca the authorities that this machine trusts
 * count. Errors as above. */
must_check enum sc_status tls_credentials_dial(const struct tls_files *files,
					       struct tls_credentials **out, struct error *err);
void tls_credentials_ref(struct tls_credentials *credentials);
/* Accepts NULL. */
void tls_credentials_unref(struct tls_credentials *credentials);

bool tls_credentials_are_of_server(const struct tls_credentials *credentials);
/* Must the other side show a certificate? */
bool tls_credentials_demand(const struct tls_credentials *credentials);
/* When the own certificate expires, in seconds since 1970; 0: there is none. */
int64_t tls_credentials_expiry(const struct tls_credentials *credentials);
/* Can users other than the owner and the group read the key? */
bool tls_credentials_key_is_public(const struct tls_credentials *credentials);

#endif
