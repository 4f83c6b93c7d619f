/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/access.h"

#include "base/clock.h"
#include "base/log.h"

#define DAY_S (24 * 3600)
/* A certificate that expires within this time is worth a warning. */
#define SOON_DAYS 14

struct access_settings access_settings_of(const struct config *config)
{
	return (struct access_settings){
		.gate = {
			.api_key = config->api_key,
			.api_key_file = config->api_key_file,
			.allowed_hosts = config->allowed_hosts,
			.cors_origins = config->cors_origins,
		},
		.tls = {
			.cert = config->tls_cert,
			.key = config->tls_key,
			.ca = config->tls_client_ca,
		},
	};
}

enum sc_status access_init(struct access *access, struct limit_counts *limits)
{
	access->credentials = NULL;
	return gate_create(limits, &access->gate);
}

void access_deinit(struct access *access)
{
	gate_destroy(access->gate);
	tls_credentials_unref(access->credentials);
	*access = (struct access){ NULL, NULL };
}

/* *out is NULL without settings of TLS. */
static enum sc_status read_tls(const struct tls_files *files, struct tls_credentials **out,
			       struct error *err)
{
	*out = NULL;
	if (*files->cert || *files->key)
		return tls_credentials_serve(files, out, err);
	if (*files->ca)
		return error_set(err, SC_E_CONFIG, "tls-client-ca needs tls-cert and tls-key: "
				 "without TLS no client can show a certificate");
	return SC_OK;
}

static void warn_of_tls(const struct tls_credentials *credentials, const struct tls_files *files)
{
	const int64_t left_s = tls_credentials_expiry(credentials) -
			       (int64_t)(clock_unix_ms() / 1000);

	if (left_s <= 0)
		log_warning("%s has expired: clients will refuse it", files->cert);
	else if (left_s < SOON_DAYS * DAY_S)
		log_warning("%s expires in %d days", files->cert, (int)(left_s / DAY_S));
	if (tls_credentials_key_is_public(credentials))
		log_warning("%s: all users of this machine can read this private key: chmod 640",
			    files->key);
}

enum sc_status access_load(struct access *access, const struct access_settings *settings,
			   struct error *err)
{
	struct tls_credentials *credentials;
	enum sc_status status = read_tls(&settings->tls, &credentials, err);

	if (status == SC_OK)
		status = gate_load(access->gate, &settings->gate, err);
	if (status != SC_OK) {
		tls_credentials_unref(credentials);
		return status;
	}
	if (credentials)
		warn_of_tls(credentials, &settings->tls);
	tls_credentials_unref(access->credentials);
	access->credentials = credentials;
	return SC_OK;
}

enum sc_status access_check(const struct access_settings *settings, struct error *err)
{
	struct tls_credentials *credentials;
	enum sc_status status = read_tls(&settings->tls, &credentials, err);

	tls_credentials_unref(credentials);
	return status == SC_OK ? gate_check(&settings->gate, err) : status;
}
