/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gate.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/keys.h"
#include "gateway/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A limit of calls at once has no time at which it ends. */
#define RETRY_BUSY_S 1
/* Time between two lines of the log about refused keys. */
#define QUIET_NS (60 * NS_PER_SECOND)

struct gate {
	struct limit_counts *limits;
	struct keys *keys;		/* NULL: none are needed */
	char *allowed_hosts;
	char *cors_origins;
	bool checks_hosts;
	uint64_t quiet_until_ns;
	unsigned n_untold;		/* wrong keys since the last line of the log */
};

enum sc_status gate_create(struct limit_counts *limits, struct gate **gate_out)
{
	struct gate *gate = calloc(1, sizeof *gate);

	if (!gate)
		return SC_E_NOMEM;
	gate->limits = limits;
	gate->allowed_hosts = strdup("");
	gate->cors_origins = strdup("");
	if (!gate->allowed_hosts || !gate->cors_origins) {
		gate_destroy(gate);
		return SC_E_NOMEM;
	}
	*gate_out = gate;
	return SC_OK;
}

void gate_destroy(struct gate *gate)
{
	if (!gate)
		return;
	keys_destroy(gate->keys);
	free(gate->allowed_hosts);
	free(gate->cors_origins);
	free(gate);
}

/* --- settings --- */

static void warn_of_keys(const struct keys *keys, const char *path, bool is_public)
{
	if (is_public)
		log_warning("%s: all users of this machine can read these API keys: chmod 640",
			    path);
	if (keys_n_short(keys))
		log_warning("%u of %u API keys have fewer than %d characters and may be guessed. "
			    "`openssl rand -hex 24` makes a better one", keys_n_short(keys),
			    keys_count(keys), KEY_SHORT);
}

/* *keys_out is NULL without settings of keys. */
static enum sc_status read_keys(const struct gate_settings *settings, bool warns,
				struct keys **keys_out, struct error *err)
{
	struct keys *keys = NULL;
	enum sc_status status = SC_OK;
	bool is_public = false;

	*keys_out = NULL;
	if (!*settings->api_key && !*settings->api_key_file)
		return SC_OK;
	if (keys_create(&keys) != SC_OK)
		return error_set(err, SC_E_NOMEM, "API keys: out of memory");
	if (*settings->api_key_file)
		status = keys_read(keys, settings->api_key_file, &is_public, err);
	if (status == SC_OK && *settings->api_key)
		status = keys_add_list(keys, settings->api_key, err);
	if (status != SC_OK) {
		keys_destroy(keys);
		return status;
	}
	if (warns)
		warn_of_keys(keys, settings->api_key_file, is_public);
	*keys_out = keys;
	return SC_OK;
}

enum sc_status gate_check(const struct gate_settings *settings, struct error *err)
{
	struct keys *keys = NULL;
	enum sc_status status = read_keys(settings, false, &keys, err);

	keys_destroy(keys);
	return status == SC_OK ? origin_list_check(settings->cors_origins, err) : status;
}

enum sc_status gate_load(struct gate *gate, const struct gate_settings *settings,
			 struct error *err)
{
	struct keys *keys = NULL;
	char *hosts = NULL, *origins = NULL;
	enum sc_status status = origin_list_check(settings->cors_origins, err);

	if (status == SC_OK)
		status = read_keys(settings, true, &keys, err);
	if (status != SC_OK)
		return status;
	hosts = strdup(settings->allowed_hosts);
	origins = strdup(settings->cors_origins);
	if (!hosts || !origins) {
		free(hosts);
		free(origins);
		keys_destroy(keys);
		return error_set(err, SC_E_NOMEM, "API keys: out of memory");
	}
	if (keys && gate->keys)
		keys_adopt(keys, gate->keys);
	keys_destroy(gate->keys);
	free(gate->allowed_hosts);
	free(gate->cors_origins);
	gate->keys = keys;
	gate->allowed_hosts = hosts;
	gate->cors_origins = origins;
	return SC_OK;
}

void gate_check_hosts(struct gate *gate, bool checks)
{
	gate->checks_hosts = checks;
}

bool gate_checks_hosts(const struct gate *gate)
{
	return gate->checks_hosts;
}

bool gate_has_keys(const struct gate *gate)
{
	return gate->keys != NULL;
}

const char *gate_allowed_hosts(const struct gate *gate)
{
	return gate->allowed_hosts;
}

const char *gate_cors_origins(const struct gate *gate)
{
	return gate->cors_origins;
}

struct limit_counts *gate_limits(const struct gate *gate)
{
	return gate->limits;
}

/* --- calls --- */

/* What follows "Bearer", in any case, and blanks; NULL: the field says something else. */
static const char *bearer(const char *authorization)
{
	static const char scheme[] = "Bearer ";
	const size_t n = sizeof scheme - 1;

	if (strncasecmp(authorization, scheme, n) != 0)
		return NULL;
	return authorization + n + strspn(authorization + n, " ");
}

static void tell_wrong_key(struct gate *gate, uint64_t now_ns)
{
	gate->n_untold++;
	if (now_ns < gate->quiet_until_ns)
		return;
	log_info("gateway: refused %u request%s with a wrong API key or none. This is told once a "
		 "minute at most", gate->n_untold, gate->n_untold == 1 ? "" : "s");
	gate->n_untold = 0;
	gate->quiet_until_ns = now_ns + QUIET_NS;
}

static enum gate_answer refuse_key(struct gate *gate, bool has_key, uint64_t now_ns,
				   struct gate_refusal *refusal)
{
	limit_refuse(gate->limits, LIMIT_KEY);
	tell_wrong_key(gate, now_ns);
	snprintf(refusal->text, sizeof refusal->text, "%s", has_key ?
		 "Incorrect API key provided: this server does not know it" :
		 "You didn't provide an API key. Send it in the header 'Authorization: Bearer "
		 "KEY'");
	return has_key ? GATE_WRONG_KEY : GATE_NO_KEY;
}

static unsigned seconds_up(uint64_t ns)
{
	uint64_t seconds = (ns + NS_PER_SECOND - 1) / NS_PER_SECOND;

	return seconds ? (unsigned)seconds : 1;
}

static enum gate_answer refuse_limit(struct gate *gate, const struct api_key *key,
				     enum key_answer answer, uint64_t wait_ns,
				     struct gate_refusal *refusal)
{
	char rate[64];

	if (answer == KEY_HAS_TOO_MANY) {
		limit_refuse(gate->limits, LIMIT_KEY_CALLS);
		refusal->retry_s = RETRY_BUSY_S;
		snprintf(refusal->text, sizeof refusal->text, "The API key '%s' allows %u "
			 "request%s at the same time. Wait for one to end", api_key_name(key),
			 api_key_max_calls(key), api_key_max_calls(key) == 1 ? "" : "s");
		return GATE_LIMITED;
	}
	limit_refuse(gate->limits, LIMIT_KEY_RATE);
	refusal->retry_s = seconds_up(wait_ns);
	api_key_describe_rate(key, rate, sizeof rate);
	snprintf(refusal->text, sizeof refusal->text, "The API key '%s' allows %s. Retry after %u "
		 "s", api_key_name(key), rate, refusal->retry_s);
	return GATE_LIMITED;
}

enum gate_answer gate_enter(struct gate *gate, const struct gate_request *request,
			    uint64_t now_ns, struct gate_pass *pass_out,
			    struct gate_refusal *refusal_out)
{
	const char *text = request->authorization ? bearer(request->authorization) : NULL;
	enum key_answer answer;
	struct api_key *key;
	uint64_t wait_ns = 0;

	*pass_out = (struct gate_pass){ 0 };
	*refusal_out = (struct gate_refusal){ 0 };
	if (!gate->keys)
		return GATE_OPEN;
	if (!text)
		text = request->api_key;
	key = text ? keys_find(gate->keys, text, strlen(text)) : NULL;
	if (!key)
		return refuse_key(gate, text || request->authorization, now_ns, refusal_out);
	if (request->is_light) {
		api_key_ref(key);
		pass_out->key = key;
		return GATE_OPEN;
	}
	answer = api_key_enter(key, now_ns, &wait_ns);
	if (answer != KEY_ENTERS)
		return refuse_limit(gate, key, answer, wait_ns, refusal_out);
	*pass_out = (struct gate_pass){ key, true };
	return GATE_OPEN;
}

void gate_leave(struct gate_pass *pass)
{
	if (pass->key && pass->is_counted)
		api_key_leave(pass->key);
	else if (pass->key)
		api_key_unref(pass->key);
	*pass = (struct gate_pass){ 0 };
}

const char *gate_pass_name(const struct gate_pass *pass)
{
	return pass->key ? api_key_name(pass->key) : "";
}

uint64_t gate_pass_client(const struct gate_pass *pass, uint64_t connection)
{
	return pass->key ? api_key_client(pass->key) : connection;
}
