/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/control.h"

#include <assert.h>

enum sc_status control_encode(const Stagecoach__Cluster__V1__Control *message,
			      struct frame *frame)
{
	size_t n_bytes = stagecoach__cluster__v1__control__get_packed_size(message);

	if (n_bytes > CONTROL_MAX_BYTES || n_bytes > frame_max_payload(frame))
		return SC_E_TOO_LARGE;
	stagecoach__cluster__v1__control__pack(message, frame_payload(frame));
	frame->type = FRAME_CONTROL;
	frame->n_bytes = (uint32_t)n_bytes;
	return SC_OK;
}

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

enum sc_status control_decode(const struct frame *frame,
			      Stagecoach__Cluster__V1__Control **message_out, struct error *err)
{
	Stagecoach__Cluster__V1__Control *message;

	if (frame->type != FRAME_CONTROL)
		return error_set(err, SC_E_PROTOCOL, "control: frame of type %d, expected %d",
				 frame->type, FRAME_CONTROL);
	if (frame->n_bytes > CONTROL_MAX_BYTES)
		return error_set(err, SC_E_PROTOCOL, "control: %u bytes, expected at most %d",
				 frame->n_bytes, CONTROL_MAX_BYTES);
	message = stagecoach__cluster__v1__control__unpack(NULL, frame->n_bytes,
							   frame_payload(frame));
	if (!message)
		return error_set(err, SC_E_PROTOCOL,
				 "control: %u bytes that are not a Control message",
				 frame->n_bytes);
	if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY__NOT_SET) {
		control_free(message);
		return error_set(err, SC_E_PROTOCOL,
				 "control: a message of %u bytes without a known body",
				 frame->n_bytes);
	}
	clean_strings(message);
	*message_out = message;
	return SC_OK;
}

void control_free(Stagecoach__Cluster__V1__Control *message)
{
	if (message)
		stagecoach__cluster__v1__control__free_unpacked(message, NULL);
}
