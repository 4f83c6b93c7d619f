/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/certificates.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DAY (24 * 3600)

enum kind { KIND_CA, KIND_SERVER, KIND_CLIENT, KIND_SELF };

struct made {
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
};

static int write_file(const char *directory, const char *name, const char *suffix,
		      const gnutls_datum_t *text)
{
	char path[4096];
	FILE *file;
	bool is_good;

	snprintf(path, sizeof path, "%s/%s.%s", directory, name, suffix);
	file = fopen(path, "w");
	if (!file)
		return -1;
	is_good = fwrite(text->data, 1, text->size, file) == text->size;
	is_good = fclose(file) == 0 && is_good;
	return is_good && chmod(path, 0600) == 0 ? 0 : -1;
}

static int write_made(const char *directory, const char *name, const struct made *made)
{
	gnutls_datum_t text;
	int rc = gnutls_x509_crt_export2(made->certificate, GNUTLS_X509_FMT_PEM, &text);

	if (rc < 0)
		return rc;
	rc = write_file(directory, name, "crt", &text);
	gnutls_free(text.data);
	if (rc == 0)
		rc = gnutls_x509_privkey_export2(made->key, GNUTLS_X509_FMT_PEM, &text);
	if (rc < 0)
		return rc;
	rc = write_file(directory, name, "key", &text);
	gnutls_free(text.data);
	return rc;
}

static int add_names(gnutls_x509_crt_t certificate, const char *host)
{
	struct in_addr ipv4;
	struct in6_addr ipv6 = IN6ADDR_LOOPBACK_INIT;
	int rc = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, host,
						      (unsigned)strlen(host), GNUTLS_FSAN_SET);

	if (rc < 0 || strcmp(host, "localhost") != 0)
		return rc;
	ipv4.s_addr = htonl(INADDR_LOOPBACK);
	rc = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, &ipv4,
						  sizeof ipv4, GNUTLS_FSAN_APPEND);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, &ipv6,
							  sizeof ipv6, GNUTLS_FSAN_APPEND);
	return rc;
}

/* What kind of certificate it is. */
static int set_use(gnutls_x509_crt_t certificate, enum kind kind, const char *host)
{
	int rc = gnutls_x509_crt_set_basic_constraints(certificate, kind == KIND_CA, -1);

	if (rc >= 0)
		rc = gnutls_x509_crt_set_key_usage(certificate, kind == KIND_CA ?
						   GNUTLS_KEY_KEY_CERT_SIGN :
						   GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (rc >= 0 && kind != KIND_CA)
		rc = gnutls_x509_crt_set_key_purpose_oid(certificate, kind == KIND_CLIENT ?
							 GNUTLS_KP_TLS_WWW_CLIENT :
							 GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (rc >= 0 && (kind == KIND_SERVER || kind == KIND_SELF))
		rc = add_names(certificate, host);
	return rc;
}

static int fill(struct made *made, const char *name, enum kind kind, const char *host,
		time_t expires, const struct made *ca)
{
	static unsigned char serial;
	const time_t now = time(NULL);
	const struct made *issuer = ca ? ca : made;
	int rc = gnutls_x509_privkey_generate(made->key, GNUTLS_PK_ECDSA,
					      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);

	serial++;
	if (rc >= 0)
		rc = gnutls_x509_crt_set_version(made->certificate, 3);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_serial(made->certificate, &serial, 1);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_dn_by_oid(made->certificate, GNUTLS_OID_X520_COMMON_NAME,
						   0, name, (unsigned)strlen(name));
	if (rc >= 0)
		rc = gnutls_x509_crt_set_activation_time(made->certificate, now - 2 * DAY);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_expiration_time(made->certificate, expires);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key(made->certificate, made->key);
	if (rc >= 0)
		rc = set_use(made->certificate, kind, host);
	if (rc >= 0)
		rc = gnutls_x509_crt_sign2(made->certificate, issuer->certificate, issuer->key,
					   GNUTLS_DIG_SHA256, 0);
	return rc;
}

static void deinit(struct made *made)
{
	if (made->certificate)
		gnutls_x509_crt_deinit(made->certificate);
	if (made->key)
		gnutls_x509_privkey_deinit(made->key);
}

static int make(struct made *made, const char *directory, const char *name, enum kind kind,
		const char *host, time_t expires, const struct made *ca)
{
	int rc = gnutls_x509_crt_init(&made->certificate);

	if (rc >= 0)
		rc = gnutls_x509_privkey_init(&made->key);
	if (rc >= 0)
		rc = fill(made, name, kind, host, expires, ca);
	if (rc >= 0)
		rc = write_made(directory, name, made);
	return rc;
}

int certificates_write(const char *directory)
{
	static const struct {
		const char *name;
		enum kind kind;
		const char *host;
		int days;
	} wanted[] = {
		{ "server", KIND_SERVER, "localhost", 30 },
		{ "second", KIND_SERVER, "localhost", 30 },
		{ "expired", KIND_SERVER, "localhost", -1 },
		{ "client", KIND_CLIENT, "", 30 },
		{ "other", KIND_SELF, "localhost", 30 },
		{ "name", KIND_SERVER, "server.example", 30 },
	};
	struct made ca = { NULL, NULL };
	const time_t now = time(NULL);
	int rc = make(&ca, directory, "ca", KIND_CA, "", now + 60 * DAY, NULL);

	for (size_t i = 0; rc >= 0 && i < sizeof wanted / sizeof wanted[0]; i++) {
		struct made made = { NULL, NULL };

		rc = make(&made, directory, wanted[i].name, wanted[i].kind, wanted[i].host,
			  now + wanted[i].days * DAY, wanted[i].kind == KIND_SELF ? NULL : &ca);
		deinit(&made);
	}
	deinit(&ca);
	return rc < 0 ? rc : 0;
}
