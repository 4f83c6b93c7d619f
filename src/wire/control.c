/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/control.h"

#include "base/bytes.h"

#define LENGTH_BYTES 4

/* Text from a peer goes into our log. Control characters are removed, because they could forge log
 * lines. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static void clean_strings(Stagecoach__Cluster__V1__Control *message)
{
	switch (message->body_case) {
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO:
		clean(message->hello->host);
		clean(message->hello->version);
		clean(message->hello->backend);
		clean(message->hello->instruction_set);
		clean(message->hello->worker_id);
		clean(message->hello->fabric);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_REFUSED:
		clean(message->refused->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN:
		clean(message->assign->instruction_set);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY:
		clean(message->ready->not_finite);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_LINK_DOWN:
		clean(message->link_down->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES:
		for (size_t i = 0; i < message->sizes->n_tables; i++)
			clean(message->sizes->tables[i]->instruction_set);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_BYE:
		clean(message->bye->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED:
		clean(message->failed->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP:
		clean(message->stop->reason);
		break;
	default:
		break;
	}
}

/* The caller has checked n_bytes. */
static enum sc_status unpack(const uint8_t *bytes, size_t n_bytes,
			     Stagecoach__Cluster__V1__Control **message_out, struct error *err)
{
	Stagecoach__Cluster__V1__Control *message;

	message = stagecoach__cluster__v1__control__unpack(NULL, n_bytes, bytes);
	if (!message)
		return error_set(err, SC_E_PROTOCOL,
				 "control: %zu bytes that are not a Control message", n_bytes);
	if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY__NOT_SET) {
		control_free(message);
		return error_set(err, SC_E_PROTOCOL,
				 "control: a message of %zu bytes without a known body", n_bytes);
	}
	clean_strings(message);
	*message_out = message;
	return SC_OK;
}

enum sc_status control_add(const Stagecoach__Cluster__V1__Control *message, struct buf *out)
{
	size_t n_bytes = stagecoach__cluster__v1__control__get_packed_size(message);
	enum sc_status status;

	if (n_bytes > CONTROL_MAX_BYTES)
		return SC_E_TOO_LARGE;
	status = buf_reserve(out, LENGTH_BYTES + n_bytes);
	if (status != SC_OK)
		return status;
	store_le32(out->data + out->length, (uint32_t)n_bytes);
	stagecoach__cluster__v1__control__pack(message, (uint8_t *)out->data + out->length +
					       LENGTH_BYTES);
	out->length += LENGTH_BYTES + n_bytes;
	out->data[out->length] = '\0';
	return SC_OK;
}

enum sc_status control_take(const void *bytes, size_t n_bytes,
			    Stagecoach__Cluster__V1__Control **message_out, size_t *n_used_out,
			    struct error *err)
{
	enum sc_status status;
	uint32_t length;

	if (n_bytes < LENGTH_BYTES)
		return SC_AGAIN;
	length = load_le32(bytes);
	if (!length || length > CONTROL_MAX_BYTES)
		return error_set(err, SC_E_PROTOCOL, "control: a message of %u bytes, expected 1 "
				 "to %d", length, CONTROL_MAX_BYTES);
	if (n_bytes - LENGTH_BYTES < length)
		return SC_AGAIN;
	status = unpack((const uint8_t *)bytes + LENGTH_BYTES, length, message_out, err);
	if (status == SC_OK)
		*n_used_out = LENGTH_BYTES + length;
	return status;
}

void control_free(Stagecoach__Cluster__V1__Control *message)
{
	if (message)
		stagecoach__cluster__v1__control__free_unpacked(message, NULL);
}
