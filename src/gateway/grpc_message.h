/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_MESSAGE_H
#define STAGECOACH_GATEWAY_GRPC_MESSAGE_H
/*
 * grpc_message - reads messages from the byte stream of a call: a flag byte (compressed or not),
 * four bytes of length (most significant first), then the message.
 * Memory grows with the received bytes, not with the announced length.
 * Thread: one at a time.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define GRPC_PREFIX_BYTES 5

void grpc_write_prefix(uint8_t *prefix, uint32_t n_bytes);

struct grpc_reader {
	uint8_t prefix[GRPC_PREFIX_BYTES];
	unsigned n_prefix;
	uint32_t length;	/* announced */
	size_t max_message;
	struct buf message;
};

void grpc_reader_init(struct grpc_reader *reader, size_t max_message);
void grpc_reader_deinit(struct grpc_reader *reader);

/* Reads bytes, at most to the end of a message, and moves *bytes and *n_bytes over what it used.
 * SC_OK: reader->message is complete, until grpc_reader_next. SC_AGAIN: more bytes are needed.
 * SC_E_OVERLOADED: the message is longer than max_message. SC_E_UNSUPPORTED: it is compressed.
 * SC_E_INVALID: an unknown flag. SC_E_NOMEM. */
must_check enum sc_status grpc_reader_feed(struct grpc_reader *reader, const uint8_t **bytes,
					   size_t *n_bytes, struct error *err);

/* Drops the message and starts the next one. */
void grpc_reader_next(struct grpc_reader *reader);

/* Returns true if the stream is between two messages. */
bool grpc_reader_is_between(const struct grpc_reader *reader);

#endif
