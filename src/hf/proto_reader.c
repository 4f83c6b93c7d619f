/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/proto_reader.h"

#include <stdarg.h>
#include <stdio.h>

enum sc_status proto_error(const struct proto_reader *reader, size_t offset, const char *format,
			   ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return error_set(reader->err, SC_E_FORMAT, "%s: offset %zu: %s", reader->path, offset,
			 text);
}

static size_t offset_of(const struct proto_reader *reader)
{
	return (size_t)(reader->cursor.at - reader->start);
}

/* A number of at most 64 bits, 7 of them in each byte. */
static enum sc_status read_varint(struct proto_reader *reader, uint64_t *value_out)
{
	const size_t offset = offset_of(reader);
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(&reader->cursor);

		if (reader->cursor.is_short)
			return proto_error(reader, offset, "expected a number, found the end of "
					   "the message");
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (!(byte & 0x80)) {
			*value_out = value;
			return SC_OK;
		}
	}
	return proto_error(reader, offset, "expected a number of at most 10 bytes, found a longer "
			   "one");
}

static enum sc_status read_bytes(struct proto_reader *reader, struct proto_field *field)
{
	uint64_t n_bytes = 0;
	enum sc_status status = read_varint(reader, &n_bytes);

	if (status)
		return status;
	if (n_bytes > cursor_left(&reader->cursor))
		return proto_error(reader, field->offset, "field %u: expected at most %zu bytes, "
				   "found %llu", field->number, cursor_left(&reader->cursor),
				   (unsigned long long)n_bytes);
	field->n_bytes = (size_t)n_bytes;
	field->bytes = cursor_take(&reader->cursor, n_bytes);
	return SC_OK;
}

enum sc_status proto_next(struct proto_reader *reader, struct proto_field *field_out)
{
	struct proto_field field = { .offset = offset_of(reader) };
	uint64_t tag = 0;
	enum sc_status status = read_varint(reader, &tag);

	if (status)
		return status;
	field.wire = (enum proto_wire)(tag & 7);
	field.number = (uint32_t)(tag >> 3);
	if (tag > UINT32_MAX || !field.number)
		return proto_error(reader, field.offset, "expected a field, found the tag %llu",
				   (unsigned long long)tag);
	switch (field.wire) {
	case PROTO_VARINT:
		status = read_varint(reader, &field.value);
		break;
	case PROTO_64:
		field.value = cursor_u64(&reader->cursor);
		break;
	case PROTO_BYTES:
		status = read_bytes(reader, &field);
		break;
	case PROTO_32:
		field.value = cursor_u32(&reader->cursor);
		break;
	default:
		return proto_error(reader, field.offset, "field %u: expected the wire type 0, 1, 2 "
				   "or 5, found %u", field.number, (unsigned)(tag & 7));
	}
	if (!status && reader->cursor.is_short)
		status = proto_error(reader, field.offset, "field %u: expected a number, found the "
				     "end of the message", field.number);
	if (!status)
		*field_out = field;
	return status;
}

struct proto_reader proto_inside(const struct proto_reader *reader,
				 const struct proto_field *field)
{
	return (struct proto_reader){
		.path = reader->path, .start = reader->start,
		.cursor = cursor_init(field->bytes, field->n_bytes), .err = reader->err,
	};
}

enum sc_status proto_expect(const struct proto_reader *reader, const struct proto_field *field,
			    enum proto_wire wire, const char *name)
{
	if (field->wire == wire)
		return SC_OK;
	return proto_error(reader, field->offset, "%s: expected the wire type %u, found %u", name,
			   wire, field->wire);
}
