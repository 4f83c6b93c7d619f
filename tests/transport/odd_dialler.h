/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_TRANSPORT_ODD_DIALLER_H
#define STAGECOACH_TESTS_TRANSPORT_ODD_DIALLER_H
/*
 * odd_dialler - a TLS client as a stranger may have it: any priorities, identity and secret. Bytes
 * in, bytes out. Aborts if GnuTLS refuses the arguments.
 */
#include "base/buf.h"

#include <stdint.h>

struct odd_dialler;

/* What Stagecoach's own diallers use. */
#define ODD_SAME "NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+ECDHE-PSK:+GROUP-X25519:" \
		 "+SIGN-EDDSA-ED25519"

struct odd_config {
	const char *priorities;
	const char *identity;		/* NULL: offers no key */
	const uint8_t *secret;
	size_t n_secret;
	unsigned flags;			/* of gnutls_init, besides GNUTLS_CLIENT */
};

struct odd_dialler *odd_dialler_create(const struct odd_config *config);
void odd_dialler_destroy(struct odd_dialler *odd);
/* Takes bytes of the listener. Returns 0 when the handshake is done, 1 if it needs more, or a
 * negative error of GnuTLS. */
int odd_dialler_receive(struct odd_dialler *odd, const void *bytes, size_t n_bytes);
/* What the listener must get. The caller consumes it. */
struct buf *odd_dialler_output(struct odd_dialler *odd);

#endif
