/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_TARGET_H
#define STAGECOACH_HTTP_HTTP_TARGET_H
/*
 * http_target - the target of a request line: "/path?query", "http://host/path?query", or "*".
 * Thread: any.
 */
#include "base/status.h"
#include "http/http_head.h"

struct http_target {
	const char *path;	/* decoded */
	const char *query;	/* "" without one */
	const char *authority;	/* "host:port" of an address; NULL: the target has none */
};

/* Splits and decodes target in place; the parts are borrowed from it. SC_E_INVALID: fault says
 * why. */
must_check enum sc_status http_target_parse(char *target, struct http_target *parts_out,
					    struct http_fault *fault);

#endif
