/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_FRAME_METER_H
#define STAGECOACH_GATEWAY_FRAME_METER_H
/*
 * frame_meter - ends floods of HTTP/2 frames that cost a server work and a client nothing: empty
 * DATA, PING, PRIORITY, SETTINGS, RST_STREAM, CONTINUATION, unknown types, and so on.
 * Reads frame headers (RFC 9113, section 4.1) in a client's bytes, whatever HTTP/2 makes of them
 * afterwards. Each frame costs credit. Credit comes back with time, and with what is of use: bytes
 * of requests, output that the client takes, calls that are served.
 * Thread: one at a time; allocates nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The credit that the cheapest frame costs. A byte of a request earns 1. */
#define FRAME_METER_COST 64
/* A client may send this many of the cheapest frames at once, and so many per second. */
#define FRAME_METER_BURST 4000
#define FRAME_METER_PER_SECOND 1000

struct frame_meter {
	uint64_t credit;
	uint64_t refilled_ns;	/* 0: not yet */
	uint32_t n_before;	/* bytes before the next frame header: preface or payload */
	unsigned n_head;	/* of head, that are there */
	uint8_t head[9];
};

void frame_meter_init(struct frame_meter *meter);

/* Charge the frames whose headers end within bytes. False: the credit is spent; then the
 * connection is to be closed. */
bool frame_meter_take(struct frame_meter *meter, const void *bytes, size_t n_bytes,
		      uint64_t now_ns);

void frame_meter_earn(struct frame_meter *meter, uint64_t credit);

#endif
