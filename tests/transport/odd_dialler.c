/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/odd_dialler.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

struct odd_dialler {
	gnutls_session_t tls;
	gnutls_psk_client_credentials_t key;
	gnutls_certificate_credentials_t certificates;
	const uint8_t *in;
	size_t n_in;
	struct buf output;
};

static void check(int rc)
{
	if (rc < 0)
		abort();
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *bytes, size_t n_bytes)
{
	struct odd_dialler *odd = arg;

	if (buf_add(&odd->output, bytes, n_bytes) != SC_OK)
		abort();
	return (ssize_t)n_bytes;
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *bytes, size_t n_bytes)
{
	struct odd_dialler *odd = arg;

	if (!odd->n_in) {
		gnutls_transport_set_errno(odd->tls, EAGAIN);
		return -1;
	}
	if (n_bytes > odd->n_in)
		n_bytes = odd->n_in;
	memcpy(bytes, odd->in, n_bytes);
	odd->in += n_bytes;
	odd->n_in -= n_bytes;
	return (ssize_t)n_bytes;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	(void)ms;
	return ((struct odd_dialler *)arg)->n_in > 0;
}

static void offer_key(struct odd_dialler *odd, const struct odd_config *config)
{
	gnutls_datum_t identity = { (unsigned char *)config->identity,
				    (unsigned)strlen(config->identity) };
	gnutls_datum_t secret = { (unsigned char *)config->secret, (unsigned)config->n_secret };

	check(gnutls_psk_allocate_client_credentials(&odd->key));
	check(gnutls_psk_set_client_credentials2(odd->key, &identity, &secret,
						 GNUTLS_PSK_KEY_RAW));
	check(gnutls_credentials_set(odd->tls, GNUTLS_CRD_PSK, odd->key));
}

struct odd_dialler *odd_dialler_create(const struct odd_config *config)
{
	struct odd_dialler *odd = calloc(1, sizeof *odd);

	if (!odd)
		abort();
	buf_init(&odd->output);
	check(gnutls_init(&odd->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | config->flags));
	check(gnutls_priority_set_direct(odd->tls, config->priorities, NULL));
	check(gnutls_certificate_allocate_credentials(&odd->certificates));
	check(gnutls_credentials_set(odd->tls, GNUTLS_CRD_CERTIFICATE, odd->certificates));
	if (config->identity)
		offer_key(odd, config);
	gnutls_transport_set_ptr(odd->tls, odd);
	gnutls_transport_set_push_function(odd->tls, push);
	gnutls_transport_set_pull_function(odd->tls, pull);
	gnutls_transport_set_pull_timeout_function(odd->tls, pull_timeout);
	odd_dialler_receive(odd, NULL, 0);
	return odd;
}

void odd_dialler_destroy(struct odd_dialler *odd)
{
	gnutls_deinit(odd->tls);
	if (odd->key)
		gnutls_psk_free_client_credentials(odd->key);
	gnutls_certificate_free_credentials(odd->certificates);
	buf_deinit(&odd->output);
	free(odd);
}

int odd_dialler_receive(struct odd_dialler *odd, const void *bytes, size_t n_bytes)
{
	int rc;

	odd->in = bytes;
	odd->n_in = n_bytes;
	rc = gnutls_handshake(odd->tls);
	return rc == GNUTLS_E_AGAIN ? 1 : rc;
}

struct buf *odd_dialler_output(struct odd_dialler *odd)
{
	return &odd->output;
}
