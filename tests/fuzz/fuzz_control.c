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
		check_text(message->hello->instruction_set);
		check_text(message->hello->worker_id);
		check_text(message->hello->fabric);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_REFUSED:
		check_text(message->refused->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN:
		check_text(message->assign->instruction_set);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY:
		check_text(message->ready->not_finite);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_LINK_DOWN:
		check_text(message->link_down->text);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES:
		for (size_t i = 0; i < message->sizes->n_tables; i++)
			check_text(message->sizes->tables[i]->instruction_set);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_BYE:
		check_text(message->bye->text);
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

static bool resources_have_unknown_fields(const Stagecoach__Cluster__V1__Resources *resources)
{
	if (!resources)
		return false;
	if (resources->base.n_unknown_fields)
		return true;
	for (size_t i = 0; i < resources->n_memory; i++)
		if (resources->memory[i]->base.n_unknown_fields)
			return true;
	for (size_t i = 0; i < resources->n_processors; i++)
		if (resources->processors[i]->base.n_unknown_fields)
			return true;
	return false;
}

static bool tables_have_unknown_fields(const Stagecoach__Cluster__V1__Sizes *sizes)
{
	for (size_t i = 0; i < sizes->n_tables; i++)
		if (sizes->tables[i]->base.n_unknown_fields)
			return true;
	return false;
}

/* All bodies start with their base. */
static bool has_unknown_fields(const Stagecoach__Cluster__V1__Control *message)
{
	const ProtobufCMessage *body = (const ProtobufCMessage *)message->hello;

	if (message->base.n_unknown_fields || body->n_unknown_fields)
		return true;
	if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO)
		return resources_have_unknown_fields(message->hello->resources);
	if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES)
		return tables_have_unknown_fields(message->sizes);
	if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME)
		return message->welcome->limits &&
		       message->welcome->limits->base.n_unknown_fields;
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

#define BODY(NAME) STAGECOACH__CLUSTER__V1__CONTROL__BODY_##NAME

static char odd_text[] = "line\none";

static void make_hello(Stagecoach__Cluster__V1__Hello *hello)
{
	static Stagecoach__Cluster__V1__ResourceLimit limit =
		STAGECOACH__CLUSTER__V1__RESOURCE_LIMIT__INIT;
	static Stagecoach__Cluster__V1__ResourceLimit *limits[] = { &limit };
	static Stagecoach__Cluster__V1__Resources resources =
		STAGECOACH__CLUSTER__V1__RESOURCES__INIT;

	limit.id = 7;
	limit.amount = 1000;
	resources.memory = resources.processors = limits;
	resources.n_memory = resources.n_processors = 1;
	hello->host = hello->worker_id = odd_text;
	hello->incarnation = UINT64_C(1) << 60;
	hello->resources = &resources;
}

static void make_sizes(Stagecoach__Cluster__V1__Sizes *sizes)
{
	static Stagecoach__Cluster__V1__StageSizes table =
		STAGECOACH__CLUSTER__V1__STAGE_SIZES__INIT;
	static Stagecoach__Cluster__V1__StageSizes *tables[] = { &table, &table };

	table.instruction_set = odd_text;
	table.kv_block_bytes = UINT64_MAX;
	sizes->tables = tables;
	sizes->n_tables = 2;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static uint8_t address[] = { 1, 0, 255 };
	Stagecoach__Cluster__V1__Control message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;
	Stagecoach__Cluster__V1__Welcome welcome = STAGECOACH__CLUSTER__V1__WELCOME__INIT;
	Stagecoach__Cluster__V1__Refused refused = STAGECOACH__CLUSTER__V1__REFUSED__INIT;
	Stagecoach__Cluster__V1__Assign assign = STAGECOACH__CLUSTER__V1__ASSIGN__INIT;
	Stagecoach__Cluster__V1__Opened opened = STAGECOACH__CLUSTER__V1__OPENED__INIT;
	Stagecoach__Cluster__V1__Connect connect = STAGECOACH__CLUSTER__V1__CONNECT__INIT;
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	Stagecoach__Cluster__V1__StageCounters counters =
		STAGECOACH__CLUSTER__V1__STAGE_COUNTERS__INIT;
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;
	Stagecoach__Cluster__V1__LinkDown link_down = STAGECOACH__CLUSTER__V1__LINK_DOWN__INIT;
	Stagecoach__Cluster__V1__Release release = STAGECOACH__CLUSTER__V1__RELEASE__INIT;
	Stagecoach__Cluster__V1__Preload preload = STAGECOACH__CLUSTER__V1__PRELOAD__INIT;
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;
	Stagecoach__Cluster__V1__Bye bye = STAGECOACH__CLUSTER__V1__BYE__INIT;
	Stagecoach__Cluster__V1__StageLimits limits = STAGECOACH__CLUSTER__V1__STAGE_LIMITS__INIT;
	Stagecoach__Cluster__V1__Sizes sizes = STAGECOACH__CLUSTER__V1__SIZES__INIT;

	make_hello(&hello);
	make_sizes(&sizes);
	welcome.incarnation = 5;
	limits.max_rows = 512;
	welcome.limits = &limits;
	refused.text = failed.text = link_down.text = stop.reason = bye.text = odd_text;
	assign.max_rows = 512;
	assign.in_bytes = UINT64_C(1) << 40;
	opened.address.data = connect.previous_address.data = address;
	opened.address.len = connect.previous_address.len = sizeof address;
	counters.busy_ns = UINT64_C(1) << 50;
	heartbeat.counters = &counters;
	release.epoch = preload.n_layers = 2;
	message.body_case = (Stagecoach__Cluster__V1__Control__BodyCase)(i + 1);
	switch (i + 1) {
	case BODY(HELLO): message.hello = &hello; break;
	case BODY(WELCOME): message.welcome = &welcome; break;
	case BODY(REFUSED): message.refused = &refused; break;
	case BODY(ASSIGN): message.assign = &assign; break;
	case BODY(OPENED): message.opened = &opened; break;
	case BODY(CONNECT): message.connect = &connect; break;
	case BODY(PROGRESS): message.progress = &progress; break;
	case BODY(READY): message.ready = &ready; break;
	case BODY(HEARTBEAT): message.heartbeat = &heartbeat; break;
	case BODY(FAILED): message.failed = &failed; break;
	case BODY(LINK_DOWN): message.link_down = &link_down; break;
	case BODY(RELEASE): message.release = &release; break;
	case BODY(PRELOAD): message.preload = &preload; break;
	case BODY(STOP): message.stop = &stop; break;
	case BODY(BYE): message.bye = &bye; break;
	case BODY(SIZES): message.sizes = &sizes; break;
	default: return false;
	}
	add_message(&message, seed);
	return true;
}
