/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tls_private.h"

#include "base/small_file.h"

#include <gnutls/x509.h>
#include <stdlib.h>

#define FILE_MAX ((size_t)4 << 20)
#define MAX_CHAIN 16
/* TLS 1.2 and 1.3 with what HTTP/2 allows (RFC 9113, 9.2.2): an ephemeral exchange, AEAD ciphers.
 * The fastest cipher is first. */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:" \
		   "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:" \
		   "%SERVER_PRECEDENCE"

void tls_credentials_ref(struct tls_credentials *credentials)
{
	credentials->n_users++;
}

void tls_credentials_unref(struct tls_credentials *credentials)
{
	if (!credentials || --credentials->n_users)
		return;
	if (credentials->x509)
		gnutls_certificate_free_credentials(credentials->x509);
	if (credentials->priorities)
		gnutls_priority_deinit(credentials->priorities);
	free(credentials);
}

static enum sc_status library_fault(int rc, const char *path, const char *what, struct error *err)
{
	if (rc == GNUTLS_E_MEMORY_ERROR)
		return error_set(err, SC_E_NOMEM, "%s: out of memory", path);
	return error_set(err, SC_E_CONFIG, "%s: %s: %s", path, what, gnutls_strerror(rc));
}

static gnutls_datum_t datum_of(const struct buf *text)
{
	return (gnutls_datum_t){ (unsigned char *)text->data, (unsigned)text->length };
}

/* --- the own certificate --- */

static enum sc_status read_chain(const char *path, gnutls_x509_crt_t **chain_out, unsigned *n_out,
				 struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = small_file_read(path, FILE_MAX, &text, NULL, err);
	gnutls_datum_t datum;
	int rc;

	if (status != SC_OK)
		return status;
	datum = datum_of(&text);
	rc = gnutls_x509_crt_list_import2(chain_out, n_out, &datum, GNUTLS_X509_FMT_PEM, 0);
	buf_deinit(&text);
	if (rc < 0)
		return library_fault(rc, path, "expected a certificate in PEM form", err);
	return SC_OK;
}

static enum sc_status read_key(struct tls_credentials *credentials, const char *path,
			       gnutls_x509_privkey_t key, struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = small_file_read(path, FILE_MAX, &text,
						&credentials->key_is_public, err);
	gnutls_datum_t datum;
	int rc;

	if (status != SC_OK)
		return status;
	datum = datum_of(&text);
	rc = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
	small_file_wipe(&text);
	if (rc == GNUTLS_E_DECRYPTION_FAILED)
		return error_set(err, SC_E_CONFIG, "%s: the key needs a password, expected one "
				 "without. `openssl pkey -in FILE` removes it", path);
	if (rc < 0)
		return library_fault(rc, path, "expected a private key in PEM form", err);
	return SC_OK;
}

static enum sc_status join(struct tls_credentials *credentials, const struct tls_files *files,
			   gnutls_x509_crt_t *chain, unsigned n_chain, gnutls_x509_privkey_t key,
			   struct error *err)
{
	int rc;

	if (n_chain > MAX_CHAIN)
		return error_set(err, SC_E_CONFIG, "%s: %u certificates, expected at most %d",
				 files->cert, n_chain, MAX_CHAIN);
	rc = gnutls_certificate_set_x509_key(credentials->x509, chain, (int)n_chain, key);
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return error_set(err, SC_E_CONFIG, "%s is not the key of the first certificate in "
				 "%s", files->key, files->cert);
	if (rc < 0)
		return library_fault(rc, files->cert, "certificate and key", err);
	credentials->expires = gnutls_x509_crt_get_expiration_time(chain[0]);
	return SC_OK;
}

static enum sc_status add_own(struct tls_credentials *credentials, const struct tls_files *files,
			      struct error *err)
{
	gnutls_x509_crt_t *chain = NULL;
	gnutls_x509_privkey_t key = NULL;
	unsigned n_chain = 0;
	enum sc_status status;

	if (!*files->cert || !*files->key)
		return error_set(err, SC_E_CONFIG, "TLS: a certificate needs its key, and a key "
				 "its certificate: %s is given alone",
				 *files->cert ? files->cert : files->key);
	if (gnutls_x509_privkey_init(&key) < 0)
		return error_set(err, SC_E_NOMEM, "TLS: out of memory");
	status = read_chain(files->cert, &chain, &n_chain, err);
	if (status == SC_OK)
		status = read_key(credentials, files->key, key, err);
	if (status == SC_OK)
		status = join(credentials, files, chain, n_chain, key, err);
	for (unsigned i = 0; i < n_chain; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	gnutls_x509_privkey_deinit(key);
	return status;
}

/* --- authorities --- */

static enum sc_status add_authorities(struct tls_credentials *credentials, const char *path,
				      struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = small_file_read(path, FILE_MAX, &text, NULL, err);
	gnutls_datum_t datum;
	int rc;

	if (status != SC_OK)
		return status;
	datum = datum_of(&text);
	rc = gnutls_certificate_set_x509_trust_mem(credentials->x509, &datum,
						   GNUTLS_X509_FMT_PEM);
	buf_deinit(&text);
	if (rc <= 0)
		return library_fault(rc ? rc : GNUTLS_E_NO_CERTIFICATE_FOUND, path,
				     "expected certificates in PEM form", err);
	return SC_OK;
}

static enum sc_status create(bool is_server, struct tls_credentials **out, struct error *err)
{
	struct tls_credentials *credentials = calloc(1, sizeof *credentials);
	int rc;

	if (!credentials)
		return error_set(err, SC_E_NOMEM, "TLS: out of memory");
	credentials->n_users = 1;
	credentials->is_server = is_server;
	rc = gnutls_certificate_allocate_credentials(&credentials->x509);
	if (rc >= 0)
		rc = gnutls_priority_init(&credentials->priorities, PRIORITIES, NULL);
	if (rc < 0) {
		tls_credentials_unref(credentials);
		return library_fault(rc, "TLS", "GnuTLS", err);
	}
	*out = credentials;
	return SC_OK;
}

enum sc_status tls_credentials_serve(const struct tls_files *files, struct tls_credentials **out,
				     struct error *err)
{
	struct tls_credentials *credentials = NULL;
	enum sc_status status = create(true, &credentials, err);

	if (status == SC_OK)
		status = add_own(credentials, files, err);
	if (status == SC_OK && *files->ca) {
		credentials->demands_certificate = true;
		status = add_authorities(credentials, files->ca, err);
	}
	if (status != SC_OK)
		tls_credentials_unref(credentials);
	else
		*out = credentials;
	return status;
}

enum sc_status tls_credentials_dial(const struct tls_files *files, struct tls_credentials **out,
				    struct error *err)
{
	struct tls_credentials *credentials = NULL;
	enum sc_status status = create(false, &credentials, err);

	if (status == SC_OK && (*files->cert || *files->key))
		status = add_own(credentials, files, err);
	if (status == SC_OK && *files->ca)
		status = add_authorities(credentials, files->ca, err);
	if (status != SC_OK) {
		tls_credentials_unref(credentials);
		return status;
	}
	credentials->demands_certificate = true;
	credentials->trusts_system = !*files->ca;
	/* A machine without authorities trusts nobody: the handshake then tells. */
	if (credentials->trusts_system)
		(void)gnutls_certificate_set_x509_system_trust(credentials->x509);
	*out = credentials;
	return SC_OK;
}

bool tls_credentials_are_of_server(const struct tls_credentials *credentials)
{
	return credentials->is_server;
}

bool tls_credentials_demand(const struct tls_credentials *credentials)
{
	return credentials->demands_certificate;
}

int64_t tls_credentials_expiry(const struct tls_credentials *credentials)
{
	return credentials->expires;
}

bool tls_credentials_key_is_public(const struct tls_credentials *credentials)
{
	return credentials->key_is_public;
}
