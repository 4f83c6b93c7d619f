/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_TLS_PRIVATE_H
#define STAGECOACH_GATEWAY_TLS_PRIVATE_H
/* tls_private - what tls_filter.c must know of credentials. */
#include "gateway/tls_credentials.h"

#include <gnutls/gnutls.h>

struct tls_credentials {
	unsigned n_users;
	gnutls_certificate_credentials_t x509;
	gnutls_priority_t priorities;
	int64_t expires;
	bool is_server;
	bool demands_certificate;
	bool trusts_system;	/* the authorities of this machine */
	bool key_is_public;
};

#endif
