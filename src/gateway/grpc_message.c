/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_message.h"

#include <string.h>

void grpc_write_prefix(uint8_t *prefix, uint32_t n_bytes)
{
	prefix[0] = 0;
	prefix[1] = (uint8_t)(n_bytes >> 24);
	prefix[2] = (uint8_t)(n_bytes >> 16);
	prefix[3] = (uint8_t)(n_bytes >> 8);
	prefix[4] = (uint8_t)n_bytes;
}

void grpc_reader_init(struct grpc_reader *reader, size_t max_message)
{
	*reader = (struct grpc_reader){ .max_message = max_message };
	buf_init(&reader->message);
}

void grpc_reader_deinit(struct grpc_reader *reader)
{
	buf_deinit(&reader->message);
	reader->n_prefix = 0;
}

static enum sc_status check_prefix(struct grpc_reader *reader, struct error *err)
{
	const uint8_t *p = reader->prefix;

	reader->length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (p[0] == 1)
		return error_set(err, SC_E_UNSUPPORTED, "compressed messages are not "
				 "supported: send without compression");
	if (p[0] != 0)
		return error_set(err, SC_E_INVALID, "message flag: expected 0 or 1, found %u",
				 p[0]);
	if (reader->length > reader->max_message)
		return error_set(err, SC_E_OVERLOADED,
				 "the message has %u bytes, the limit is %zu", reader->length,
				 reader->max_message);
	return SC_OK;
}

enum sc_status grpc_reader_feed(struct grpc_reader *reader, const uint8_t **bytes,
				size_t *n_bytes, struct error *err)
{
	enum sc_status status;
	size_t n;

	while (reader->n_prefix < GRPC_PREFIX_BYTES) {
		if (!*n_bytes)
			return SC_AGAIN;
		reader->prefix[reader->n_prefix++] = *(*bytes)++;
		(*n_bytes)--;
		if (reader->n_prefix < GRPC_PREFIX_BYTES)
			continue;
		status = check_prefix(reader, err);
		if (status != SC_OK)
			return status;
	}
	n = reader->length - reader->message.length;
	if (n > *n_bytes)
		n = *n_bytes;
	status = buf_add(&reader->message, *bytes, n);
	if (status != SC_OK)
		return error_set(err, status, "no memory for a message of %u bytes",
				 reader->length);
	*bytes += n;
	*n_bytes -= n;
	return reader->message.length == reader->length ? SC_OK : SC_AGAIN;
}

void grpc_reader_next(struct grpc_reader *reader)
{
	reader->n_prefix = 0;
	buf_truncate(&reader->message, 0);
}

bool grpc_reader_is_between(const struct grpc_reader *reader)
{
	return reader->n_prefix == 0;
}
