/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_status.h"

#include "base/parse.h"

static const struct {
	const char *name;
	enum sc_status status;
} codes[GRPC_N_STATUS] = {
	[GRPC_OK] = { "OK", SC_OK },
	[GRPC_CANCELLED] = { "CANCELLED", SC_E_CANCELLED },
	[GRPC_UNKNOWN] = { "UNKNOWN", SC_E_INTERNAL },
	[GRPC_INVALID_ARGUMENT] = { "INVALID_ARGUMENT", SC_E_INVALID },
	[GRPC_DEADLINE_EXCEEDED] = { "DEADLINE_EXCEEDED", SC_E_DEADLINE },
	[GRPC_NOT_FOUND] = { "NOT_FOUND", SC_E_NOT_FOUND },
	[GRPC_ALREADY_EXISTS] = { "ALREADY_EXISTS", SC_E_EXISTS },
	[GRPC_PERMISSION_DENIED] = { "PERMISSION_DENIED", SC_E_DENIED },
	[GRPC_RESOURCE_EXHAUSTED] = { "RESOURCE_EXHAUSTED", SC_E_OVERLOADED },
	[GRPC_FAILED_PRECONDITION] = { "FAILED_PRECONDITION", SC_E_INVALID },
	[GRPC_ABORTED] = { "ABORTED", SC_E_INTERNAL },
	[GRPC_OUT_OF_RANGE] = { "OUT_OF_RANGE", SC_E_INVALID },
	[GRPC_UNIMPLEMENTED] = { "UNIMPLEMENTED", SC_E_UNSUPPORTED },
	[GRPC_INTERNAL] = { "INTERNAL", SC_E_INTERNAL },
	[GRPC_UNAVAILABLE] = { "UNAVAILABLE", SC_E_UNAVAILABLE },
	[GRPC_DATA_LOSS] = { "DATA_LOSS", SC_E_NUMERIC },
	[GRPC_UNAUTHENTICATED] = { "UNAUTHENTICATED", SC_E_DENIED },
};

/* UNAVAILABLE and RESOURCE_EXHAUSTED invite a retry, so they are used only where a retry may
 * help. */
static const enum grpc_status from_sc[SC_N_STATUS] = {
	[SC_OK] = GRPC_OK,
	[SC_AGAIN] = GRPC_UNAVAILABLE,
	[SC_E_INVALID] = GRPC_INVALID_ARGUMENT,
	[SC_E_NOT_FOUND] = GRPC_NOT_FOUND,
	[SC_E_EXISTS] = GRPC_ALREADY_EXISTS,
	[SC_E_TOO_LARGE] = GRPC_INVALID_ARGUMENT,
	[SC_E_UNSUPPORTED] = GRPC_UNIMPLEMENTED,
	[SC_E_OVERLOADED] = GRPC_RESOURCE_EXHAUSTED,
	[SC_E_UNAVAILABLE] = GRPC_UNAVAILABLE,
	[SC_E_DENIED] = GRPC_UNAUTHENTICATED,
	[SC_E_CANCELLED] = GRPC_CANCELLED,
	[SC_E_DEADLINE] = GRPC_DEADLINE_EXCEEDED,
	[SC_E_NUMERIC] = GRPC_DATA_LOSS,	/* a retry would use the same weights */
	[SC_E_CLOSED] = GRPC_UNAVAILABLE,
	[SC_E_PROTOCOL] = GRPC_INTERNAL,
	[SC_E_TIMEOUT] = GRPC_UNAVAILABLE,
	[SC_E_CAPACITY] = GRPC_RESOURCE_EXHAUSTED,
	[SC_E_DEVICE] = GRPC_INTERNAL,
	[SC_E_CONFIG] = GRPC_INTERNAL,
	[SC_E_FORMAT] = GRPC_INTERNAL,
	[SC_E_IO] = GRPC_INTERNAL,
	[SC_E_NOMEM] = GRPC_RESOURCE_EXHAUSTED,
	[SC_E_INTERNAL] = GRPC_INTERNAL,
};

const char *grpc_status_name(enum grpc_status status)
{
	if ((unsigned)status >= GRPC_N_STATUS)
		status = GRPC_UNKNOWN;
	return codes[status].name;
}

enum grpc_status grpc_status_parse(const char *text)
{
	uint64_t code;

	return parse_u64(text, &code) && code < GRPC_N_STATUS ? (enum grpc_status)code
							      : GRPC_UNKNOWN;
}

enum grpc_status grpc_status_of(enum sc_status status)
{
	if ((unsigned)status >= SC_N_STATUS)
		return GRPC_UNKNOWN;
	return from_sc[status];
}

enum sc_status grpc_status_to_sc(enum grpc_status status)
{
	if ((unsigned)status >= GRPC_N_STATUS)
		return SC_E_INTERNAL;
	return codes[status].status;
}
