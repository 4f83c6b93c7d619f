/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_FRAME_METER_H
#define STAGECOACH_GATEWAY_FRAME_METER_H
/*
 * frame_meter - detects floods of HTTP/2 frames that cost the server work and the client nothing:
 * empty DATA, PING, PRIORITY, SETTINGS, RST_STREAM, CONTINUATION, unknown types, and so on.
 * Reads frame headers (RFC 9113, section 4.1) in a client's bytes, independent of the HTTP/2
 * library. Each frame costs credit. Credit returns with time and with useful work: bytes of
 * requests, output that the client takes, and calls that are served.
 * Thread: one at a time. Allocates nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The credit that the cheapest frame costs. A byte of a request earns 1. */
#define FRAME_METER_COST 64
/* A client may send this many of the cheapest frames at once, and this many per second. */
#define FRAME_METER_BURST 4000
#define FRAME_METER_PER_SECOND 1000

struct frame_meter {
	uint64_t credit;
	uint64_t refilled_ns;	/* 0: not filled yet */
	uint32_t n_before;	/* bytes before the next frame header: preface or payload */
	unsigned n_head;	/* number of bytes in head */
	uint8_t head[9];
};

void frame_meter_init(struct frame_meter *meter);

/* Charges for the frames whose headers end within bytes. Returns false if the credit is spent; the
 * caller must then close the connection. */
bool frame_meter_take(struct frame_meter *meter, const void *bytes, size_t n_bytes,
		      uint64_t now_ns);

void frame_meter_earn(struct frame_meter *meter, uint64_t credit);

#endif
