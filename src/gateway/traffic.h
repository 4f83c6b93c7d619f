/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_TRAFFIC_H
#define STAGECOACH_GATEWAY_TRAFFIC_H
/*
 * traffic - what is counted and logged of every request that is over, of both protocols: who asked
 * for what, how it ended, how many bytes and how long it took. Never contents.
 * The number of counters is bounded by the routes and methods of this server, not by what clients
 * send.
 * Thread: the loop's thread only.
 */
#include "gateway/exposition.h"
#include "gateway/grpc_session.h"
#include "http/http_session.h"

#include <stdbool.h>
#include <stdint.h>

#define TRAFFIC_MAX_ROWS 512

/* Requests of one kind that ended alike. */
struct traffic_row {
	const char *handler;	/* a path of a route or a method; static */
	const char *method;	/* of HTTP/1; NULL: gRPC */
	unsigned code;		/* HTTP/1: hundreds of the status; gRPC: enum grpc_status */
	uint64_t n;
};

struct traffic {
	bool is_logged;		/* a line for each request */
	struct traffic_row rows[TRAFFIC_MAX_ROWS];
	unsigned n_rows;
	uint64_t received_bytes;	/* of requests and answers, headers of HTTP/1 included */
	uint64_t sent_bytes;
};

void traffic_note_http(struct traffic *traffic, const struct http_log *record);
void traffic_note_grpc(struct traffic *traffic, const struct grpc_log *record);

/* http_requests_total, grpc_server_handled_total and the bytes. */
void traffic_write(const struct traffic *traffic, struct exposition *e);

#endif
