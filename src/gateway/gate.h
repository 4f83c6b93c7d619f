/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GATE_H
#define STAGECOACH_GATEWAY_GATE_H
/*
 * gate - decides who may ask a server something over TCP: keys and their limits, for both protocols
 * alike, and for HTTP/1 also Host and Origin (gate_http.h). Without keys it is open.
 * Owns the keys. Settings may be loaded again at any time; calls that have entered go on.
 * Thread: the loop's thread only. gate_load reads files.
 */
#include "base/error.h"
#include "config/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct api_key;
struct gate;

/* As the options of the same names have them; "" for none. Borrowed during the call. */
struct gate_settings {
	const char *api_key;
	const char *api_key_file;
	const char *allowed_hosts;
	const char *cors_origins;
};

/* limits: counters of refusals, borrowed until destroy; NULL: nobody counts. SC_E_NOMEM. */
must_check enum sc_status gate_create(struct limit_counts *limits, struct gate **gate_out);
/* After all calls have left. Accepts NULL. */
void gate_destroy(struct gate *gate);

/* All settings, or on failure none: the old ones stay. Warns of keys that are short or that other
 * users can read. SC_E_CONFIG, SC_E_IO: err names the file, the line and what was expected. */
must_check enum sc_status gate_load(struct gate *gate, const struct gate_settings *settings,
				    struct error *err);
/* The same check, without a gate. */
must_check enum sc_status gate_check(const struct gate_settings *settings, struct error *err);

/* Are the hosts of HTTP requests checked? The caller says so where only this machine can reach the
 * server; elsewhere a name says nothing. */
void gate_check_hosts(struct gate *gate, bool checks);
bool gate_checks_hosts(const struct gate *gate);

bool gate_has_keys(const struct gate *gate);
const char *gate_allowed_hosts(const struct gate *gate);
const char *gate_cors_origins(const struct gate *gate);
struct limit_counts *gate_limits(const struct gate *gate);

/* What a call was let in with. All zero: with nothing, and gate_leave does nothing. */
struct gate_pass {
	struct api_key *key;
	bool is_counted;
};

struct gate_request {
	const char *authorization;	/* fields of the request; NULL: it has none */
	const char *api_key;		/* x-api-key */
	bool is_light;			/* the limits of a key do not count it */
};

enum gate_answer {
	GATE_OPEN,
	GATE_NO_KEY,		/* 401, UNAUTHENTICATED */
	GATE_WRONG_KEY,		/* the same */
	GATE_LIMITED,		/* 429, RESOURCE_EXHAUSTED */
};

struct gate_refusal {
	char text[240];		/* for the client; never holds a key */
	unsigned retry_s;	/* when to try again; 0: that is of no use */
};

/* A call that needs a key comes. GATE_OPEN: *pass_out is set, and the caller calls gate_leave when
 * the call is over. Else *refusal_out is set. */
must_check enum gate_answer gate_enter(struct gate *gate, const struct gate_request *request,
				       uint64_t now_ns, struct gate_pass *pass_out,
				       struct gate_refusal *refusal_out);
/* Empties the pass. */
void gate_leave(struct gate_pass *pass);

/* For logs: "" without a key. Valid until gate_leave. */
const char *gate_pass_name(const struct gate_pass *pass);
/* Whose jobs share turns: the key's owner; without a key the connection. */
uint64_t gate_pass_client(const struct gate_pass *pass, uint64_t connection);

#endif
