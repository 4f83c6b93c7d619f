/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_PROTO_READER_H
#define STAGECOACH_HF_PROTO_READER_H
/*
 * proto_reader - reads the fields of a message in the wire format of Protocol Buffers, without a
 * description of the message. Groups, which are long out of use, are refused.
 * Private to this folder. Thread: one at a time.
 */
#include "base/bytes.h"
#include "base/error.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_64 = 1, PROTO_BYTES = 2, PROTO_32 = 5 };

struct proto_reader {
	const char *path;	/* for errors */
	const uint8_t *start;	/* of the whole file, for offsets in errors */
	struct cursor cursor;
	struct error *err;
};

struct proto_field {
	uint32_t number;
	enum proto_wire wire;
	uint64_t value;		/* PROTO_VARINT, PROTO_64, PROTO_32 */
	const uint8_t *bytes;	/* PROTO_BYTES */
	size_t n_bytes;
	size_t offset;		/* of the field in the file */
};

static inline bool proto_is_at_end(const struct proto_reader *reader)
{
	return !cursor_left(&reader->cursor);
}

/* Reads the next field. SC_E_FORMAT: it is malformed or cut off. */
must_check enum sc_status proto_next(struct proto_reader *reader, struct proto_field *field_out);

/* A reader of the message in a field. */
struct proto_reader proto_inside(const struct proto_reader *reader,
				 const struct proto_field *field);

/* Returns SC_E_FORMAT, with path and offset. */
enum sc_status proto_error(const struct proto_reader *reader, size_t offset, const char *format,
			   ...) __attribute__((format(printf, 3, 4)));

/* SC_E_FORMAT: the field has another wire type. name: for errors. */
must_check enum sc_status proto_expect(const struct proto_reader *reader,
				       const struct proto_field *field, enum proto_wire wire,
				       const char *name);

#endif
