/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_json.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Length of the prefix that enumerators of JobState have: JOB_STATE_. */
static size_t prefix_length(const ProtobufCEnumDescriptor *type)
{
	size_t length = strlen(type->short_name) + 1;

	for (const char *c = type->short_name + 1; *c; c++)
		length += isupper((unsigned char)*c) != 0;
	return length;
}

const char *client_json_word(const ProtobufCEnumDescriptor *type, int value, char *out,
			     size_t n_bytes)
{
	const ProtobufCEnumValue *row = protobuf_c_enum_descriptor_get_value(type, value);
	const char *name = row ? row->name : "?";
	size_t prefix = prefix_length(type);
	size_t i;

	if (strlen(name) > prefix)
		name += prefix;
	for (i = 0; name[i] && i + 1 < n_bytes; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	out[i] = '\0';
	return out;
}

static json_t *unsigned_value(uint64_t value)
{
	char text[24];

	if (value <= INT64_MAX)
		return json_integer((json_int_t)value);
	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return json_string(text);
}

static json_t *real_value(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *bytes_value(const ProtobufCBinaryData *bytes)
{
	char *text = malloc(2 * bytes->len + 1);
	json_t *value;

	if (!text)
		return NULL;
	for (size_t i = 0; i < bytes->len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes->data[i]);
	value = json_stringn(text, 2 * bytes->len);
	free(text);
	return value;
}

static json_t *enum_value(const ProtobufCFieldDescriptor *field, int value)
{
	char word[64];

	return json_string(client_json_word(field->descriptor, value, word, sizeof word));
}

/* The value of field's type that stands at p. */
static json_t *value_at(const ProtobufCFieldDescriptor *field, const void *p)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)p);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)p);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return unsigned_value(*(const uint64_t *)p);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_integer(*(const int64_t *)p);
	case PROTOBUF_C_TYPE_FLOAT:
		return real_value((double)*(const float *)p);
	case PROTOBUF_C_TYPE_DOUBLE:
		return real_value(*(const double *)p);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)p);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_value(field, *(const int *)p);
	case PROTOBUF_C_TYPE_STRING:
		return json_string(*(char *const *)p);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_value(p);
	case PROTOBUF_C_TYPE_MESSAGE:
		return client_json(*(ProtobufCMessage *const *)p);
	}
	return NULL;
}

static size_t type_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 4;
	}
}

static json_t *array_value(const ProtobufCFieldDescriptor *field, const void *data, size_t n)
{
	size_t size = type_size(field->type);
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		if (json_array_append_new(array, value_at(field, (const char *)data + i * size))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static bool is_set(const ProtobufCFieldDescriptor *field, const char *message)
{
	uint32_t which;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		memcpy(&which, message + field->quantifier_offset, sizeof which);
		return which == field->id;
	}
	if (field->label != PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)(message + field->offset) != NULL;
	return true;
}

static json_t *field_value(const ProtobufCFieldDescriptor *field, const char *message)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return array_value(field, *(void *const *)(message + field->offset),
				   *(const size_t *)(message + field->quantifier_offset));
	return value_at(field, message + field->offset);
}

json_t *client_json(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	json_t *object = json_object();

	for (unsigned i = 0; object && i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (!is_set(field, (const char *)message))
			continue;
		if (json_object_set_new(object, field->name,
					field_value(field, (const char *)message))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

enum sc_status client_json_print(const ProtobufCMessage *message, FILE *file)
{
	json_t *object = client_json(message);
	int rc;

	if (!object)
		return SC_E_NOMEM;
	rc = json_dumpf(object, file, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(object);
	if (rc != 0 || fputc('\n', file) == EOF || fflush(file) != 0)
		return SC_E_IO;
	return SC_OK;
}

static int add_bytes(const char *bytes, size_t n_bytes, void *arg)
{
	return buf_add(arg, bytes, n_bytes) == SC_OK ? 0 : -1;
}

enum sc_status client_json_add(const ProtobufCMessage *message, struct buf *line)
{
	json_t *object = client_json(message);
	int rc;

	if (!object)
		return SC_E_NOMEM;
	rc = json_dump_callback(object, add_bytes, line, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(object);
	return rc == 0 && buf_add(line, "\n", 1) == SC_OK ? SC_OK : SC_E_NOMEM;
}
