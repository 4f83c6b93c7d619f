/* SPDX-License-Identifier: Apache-2.0 */
/* A frame as a peer sends it: its header, and its payload as a control message. */
#include "tests/fuzz/fuzz.h"

#include "wire/control.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PAYLOAD (CONTROL_MAX_BYTES + 64)

static struct frame_pool *pool;

static void check(bool condition)
{
	if (!condition)
		abort();
}

static struct frame *new_frame(void)
{
	struct frame *frame;

	if (!pool)
		check(frame_pool_create(2, MAX_PAYLOAD, &pool) == SC_OK);
	frame = frame_take(pool, FRAME_CONTROL);
	check(frame != NULL);
	return frame;
}

static void check_text(const char *text)
{
	for (; *text; text++)
		check((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check_message(const Stagecoach__Cluster__V1__Control *message)
{
	switch (message->body_case) {
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO:
		check_text(message->hello->host);
		check_text(message->hello->version);
		check_text(message->hello->backend);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED:
		check_text(message->failed->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP:
		check_text(message->stop->reason);
		break;
	default:
		/* The others have a body too, whichever it is: they share the pointer. */
		check(message->hello != NULL);
		break;
	}
}

/* All bodies start with their base. */
static bool has_unknown_fields(const Stagecoach__Cluster__V1__Control *message)
{
	const ProtobufCMessage *body = (const ProtobufCMessage *)message->hello;

	if (message->base.n_unknown_fields || body->n_unknown_fields)
		return true;
	return message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT &&
	       message->heartbeat->counters &&
	       message->heartbeat->counters->base.n_unknown_fields;
}

/* What was accepted is accepted again after our own encoder had it. Not so with unknown fields:
 * protobuf-c keeps them as they came, some of them in forms that it would not read again. */
static void try_message(struct frame *frame)
{
	Stagecoach__Cluster__V1__Control *message, *again;
	struct error err = { .status = SC_OK };
	struct frame *copy;

	if (control_decode(frame, &message, &err) != SC_OK) {
		check(err.status == SC_E_PROTOCOL && err.text[0]);
		return;
	}
	check_message(message);
	copy = new_frame();
	if (!has_unknown_fields(message) && control_encode(message, copy) == SC_OK) {
		check(control_decode(copy, &again, &err) == SC_OK);
		check(again->body_case == message->body_case);
		control_free(again);
	}
	frame_release(copy);
	control_free(message);
}

static void try_header(struct frame *frame, size_t n_bytes)
{
	struct error err = { .status = SC_OK };
	uint8_t header[FRAME_HEADER_BYTES];

	if (frame_open(frame, n_bytes, &err) != SC_OK) {
		check(err.status == SC_E_PROTOCOL && err.text[0]);
		return;
	}
	check(frame->n_bytes == n_bytes - FRAME_HEADER_BYTES);
	memcpy(header, frame->data, sizeof header);
	frame_seal(frame);
	check(memcmp(header, frame->data, sizeof header) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame *frame;

	if (size > FRAME_HEADER_BYTES + MAX_PAYLOAD)
		return 0;
	frame = new_frame();
	if (size)
		memcpy(frame->data, data, size);
	try_header(frame, size);
	if (size >= FRAME_HEADER_BYTES) {
		frame->type = FRAME_CONTROL;
		frame->n_bytes = (uint32_t)(size - FRAME_HEADER_BYTES);
		try_message(frame);
	}
	frame_release(frame);
	return 0;
}

static void add_message(const Stagecoach__Cluster__V1__Control *message, struct buf *seed)
{
	struct frame *frame = new_frame();

	check(control_encode(message, frame) == SC_OK);
	frame->sequence = 1;
	frame->epoch = 3;
	frame_seal(frame);
	check(buf_add(seed, frame->data, FRAME_HEADER_BYTES + frame->n_bytes) == SC_OK);
	frame_release(frame);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	Stagecoach__Cluster__V1__Control message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;
	Stagecoach__Cluster__V1__Assign assign = STAGECOACH__CLUSTER__V1__ASSIGN__INIT;
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	Stagecoach__Cluster__V1__StageCounters counters =
		STAGECOACH__CLUSTER__V1__STAGE_COUNTERS__INIT;
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;
	char text[] = "line\none";

	hello.rank = 2;
	hello.host = text;
	assign.max_rows = 512;
	counters.busy_ns = UINT64_C(1) << 50;
	heartbeat.counters = &counters;
	failed.text = text;
	stop.reason = text;
	message.body_case = (Stagecoach__Cluster__V1__Control__BodyCase)(i + 1);
	switch (i + 1) {
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO: message.hello = &hello; break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN: message.assign = &assign; break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS: message.progress = &progress; break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY: message.ready = &ready; break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT:
		message.heartbeat = &heartbeat;
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED: message.failed = &failed; break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP: message.stop = &stop; break;
	default: return false;
	}
	add_message(&message, seed);
	return true;
}
