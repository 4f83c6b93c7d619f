/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_STATUS_H
#define STAGECOACH_GATEWAY_GRPC_STATUS_H
/*
 * grpc_status - gRPC's status codes, and their mapping to and from enum sc_status.
 * Thread: any.
 */
#include "base/status.h"

/* Numbers of the gRPC protocol. */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
	GRPC_N_STATUS,
};

/* "RESOURCE_EXHAUSTED"; "UNKNOWN" for numbers out of range. */
const char *grpc_status_name(enum grpc_status status);

/* Parses a status header. Unknown codes become UNKNOWN, as the protocol requires. */
enum grpc_status grpc_status_parse(const char *text);

/* The code that a client gets for a failure. */
enum grpc_status grpc_status_of(enum sc_status status);

/* The status that a client derives from a server's answer; SC_E_INTERNAL for codes that this server
 * never sends. */
enum sc_status grpc_status_to_sc(enum grpc_status status);

#endif
