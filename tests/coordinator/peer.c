/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/coordinator/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_PAYLOAD (1u << 16)
#define N_FRAMES 64
#define CREDITS 64

static struct frame *take_frame(struct peer *peer, enum frame_type type)
{
	struct frame *frame = frame_take(peer->pool, type);

	assert_non_null(frame);
	return frame;
}

static void send_frame(struct peer *peer, unsigned rank, struct frame *frame)
{
	assert_non_null(peer->links[rank]);
	/* Whoever is about to be dropped may be so at any time. */
	if (link_send(peer->links[rank], frame) != SC_OK)
		frame_release(frame);
}

static void draw_tokens(struct peer *peer, const struct frame *frame)
{
	struct token_record records[256];
	struct tokens tokens = { .records = records };
	struct frame *answer;
	struct step step;
	struct error err;

	if (step_decode(frame_payload(frame), frame->n_bytes, &peer->limits, &step, &err) != SC_OK)
		fail_msg("%s", err.text);
	tokens.step_id = step.id;
	for (uint32_t i = 0; i < step.n_segments; i++) {
		const struct segment *segment = &step.segments[i];
		uint32_t position = segment->first_position + segment->n_rows;

		if (segment->flags & SEGMENT_SAMPLE)
			records[tokens.n_records++] = (struct token_record){
				.sequence = segment->sequence,
				.position = position,
				.token = peer->draws ? peer->draws : 'a' + position % 26,
				.fault = position == peer->fault_position ? peer->fault : 0,
			};
	}
	answer = take_frame(peer, FRAME_TOKENS);
	answer->epoch = frame->epoch;
	answer->n_bytes = (uint32_t)tokens_bytes(tokens.n_records);
	tokens_encode(&tokens, frame_payload(answer));
	send_frame(peer, 0, answer);
}

static void note_sizes(struct peer *peer, const Stagecoach__Cluster__V1__Sizes *sizes)
{
	for (peer->n_tables = 0; peer->n_tables < sizes->n_tables; peer->n_tables++) {
		const Stagecoach__Cluster__V1__StageSizes *table = sizes->tables[peer->n_tables];
		enum cpu_isa isa = CPU_AUTO;

		assert_true(!*table->instruction_set ||
			    cpu_isa_find(table->instruction_set, &isa));
		peer->tables[isa] = (struct stage_sizes){
			table->fixed_bytes, table->head_bytes, table->layer_bytes,
			table->kv_block_bytes, table->block_bytes, table->context_block_bytes,
			table->thread_bytes, table->shared_thread_bytes,
			table->shared_block_bytes, table->shared_most_bytes,
		};
	}
}

static void note_control(struct peer *peer, const struct frame *frame)
{
	peer_message *message;
	struct error err;

	if (control_decode(frame, &message, &err) != SC_OK)
		fail_msg("%s", err.text);
	peer->n_controls[message->body_case]++;
	switch (message->body_case) {
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO:
		peer->kernel_version = message->hello->kernel_version;
		peer->libm_fingerprint = message->hello->libm_fingerprint;
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME:
		peer->limits_of_welcome = (struct stage_limits){
			.max_rows = message->welcome->limits->max_rows,
			.max_sequences = message->welcome->limits->max_sequences,
			.block_length = message->welcome->limits->block_length,
			.kv_type = (enum tensor_type)message->welcome->limits->kv_type,
		};
		if (!peer->withholds_sizes)
			peer_say_sizes(peer);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES:
		note_sizes(peer, message->sizes);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN:
		peer->n_layers = message->assign->n_layers;
		snprintf(peer->assigned_isa, sizeof peer->assigned_isa, "%s",
			 message->assign->instruction_set);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS:
		peer->done_bytes = message->progress->done_bytes;
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY:
		peer->weight_bytes = message->ready->weight_bytes;
		peer->n_not_finite = message->ready->n_not_finite;
		snprintf(peer->not_finite, sizeof peer->not_finite, "%s",
			 message->ready->not_finite);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT:
		peer->n_asked += message->heartbeat->wants_counters;
		if (message->heartbeat->counters)
			peer->n_counted = message->heartbeat->counters->steps;
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED:
		peer->failed_status = message->failed->status;
		snprintf(peer->failed_text, sizeof peer->failed_text, "%s", message->failed->text);
		break;
	default:
		break;
	}
	control_free(message);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct peer *peer = arg;

	(void)link;
	/* Steps and tokens begin with the step's id. */
	if (frame->type != FRAME_CONTROL)
		memcpy(&peer->last_step, frame_payload(frame), sizeof peer->last_step);
	if (frame->type == FRAME_CONTROL)
		note_control(peer, frame);
	else if (frame->type == FRAME_TOKENS)
		peer->n_tokens++;
	else if (++peer->n_steps && peer->answers_steps)
		draw_tokens(peer, frame);
	if (peer->holds_frames && peer->n_held < PEER_MAX_HELD)
		peer->held[peer->n_held++] = frame;
	else
		frame_release(frame);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct peer *peer = arg;

	(void)status;
	(void)why;
	peer->n_down++;
	peer->links[link_peer(link)] = NULL;
	link_close(link);
}

static const struct link_events peer_events = { .on_frame = on_frame, .on_down = on_down };

void peer_open(struct peer *peer, const struct peer_config *config)
{
	struct fabric_config fabric = { .self = config->rank, .n_peers = config->n_ranks };
	struct error err;

	*peer = (struct peer){ .sizes = {
		.fixed_bytes = 1 << 20, .kv_block_bytes = 8192, .block_bytes = 16,
	} };
	peer->link.max_payload = config->max_payload ? config->max_payload : MAX_PAYLOAD;
	peer->link.credits = config->credits ? config->credits : CREDITS;
	assert_int_equal(frame_pool_create(N_FRAMES, MAX_PAYLOAD, &peer->pool), SC_OK);
	if (fabric_loopback_open(config->loop, config->hub, &fabric, &peer->fabric, &err) != SC_OK)
		fail_msg("%s", err.text);
}

void peer_close(struct peer *peer)
{
	if (!peer->fabric)
		return;
	fabric_close(peer->fabric);
	peer_release(peer);
	frame_pool_destroy(peer->pool);
	peer->fabric = NULL;
}

void peer_connect(struct peer *peer, const struct fabric *other)
{
	unsigned rank = other->config.self;
	const void *address;
	size_t n_bytes;
	struct error err;

	fabric_address(other, &address, &n_bytes);
	if (fabric_connect(peer->fabric, rank, address, n_bytes, &peer->link, &peer_events, peer,
			   &peer->links[rank], &err) != SC_OK)
		fail_msg("%s", err.text);
}

void peer_disconnect(struct peer *peer, unsigned rank)
{
	link_close(peer->links[rank]);
	peer->links[rank] = NULL;
}

void peer_release(struct peer *peer)
{
	peer->holds_frames = false;
	while (peer->n_held)
		frame_release(peer->held[--peer->n_held]);
}

void peer_say(struct peer *peer, unsigned rank, const peer_message *message, uint32_t epoch)
{
	struct frame *frame = take_frame(peer, FRAME_CONTROL);

	frame->epoch = epoch;
	assert_int_equal(control_encode(message, frame), SC_OK);
	send_frame(peer, rank, frame);
}

void peer_say_hello(struct peer *peer, uint32_t version, uint64_t fingerprint)
{
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	hello.protocol_version = version;
	hello.rank = peer->fabric->config.self;
	hello.pid = PEER_PID;
	hello.host = (char *)PEER_HOST;
	hello.version = (char *)"9.9";
	hello.backend = (char *)(peer->backend ? peer->backend : "abacus");
	if (peer->isa)
		hello.instruction_set = (char *)peer->isa;
	hello.kernel_version = peer->kernel_version ? peer->kernel_version : 1;
	hello.libm_fingerprint = peer->libm_fingerprint ? peer->libm_fingerprint : 1;
	hello.model_fingerprint = fingerprint;
	hello.memory_bytes = peer->memory_bytes;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO;
	message.hello = &hello;
	peer_say(peer, 0, &message, 0);
}

void peer_say_sizes(struct peer *peer)
{
	Stagecoach__Cluster__V1__Sizes sizes = STAGECOACH__CLUSTER__V1__SIZES__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	Stagecoach__Cluster__V1__StageSizes tables[CPU_N_ISAS], *pointers[CPU_N_ISAS];
	enum cpu_isa isa = peer->isa ? CPU_SCALAR : CPU_AUTO, best = CPU_AUTO;

	assert_true(!peer->isa || cpu_isa_find(peer->isa, &best));
	for (; isa + peer->withholds_a_table <= best; isa++) {
		Stagecoach__Cluster__V1__StageSizes *table = &tables[sizes.n_tables];

		stagecoach__cluster__v1__stage_sizes__init(table);
		table->instruction_set = (char *)(peer->isa ? cpu_isa_name(isa) : "");
		table->fixed_bytes = peer->sizes.fixed_bytes + sizes.n_tables;
		table->head_bytes = peer->sizes.head_bytes;
		table->layer_bytes = peer->sizes.layer_bytes;
		table->kv_block_bytes = peer->sizes.kv_block_bytes;
		table->block_bytes = peer->sizes.block_bytes;
		table->context_block_bytes = peer->sizes.context_block_bytes;
		table->thread_bytes = peer->sizes.thread_bytes;
		table->shared_thread_bytes = peer->sizes.shared_thread_bytes;
		table->shared_block_bytes = peer->sizes.shared_block_bytes;
		table->shared_most_bytes = peer->sizes.shared_most_bytes;
		pointers[sizes.n_tables++] = table;
	}
	sizes.tables = pointers;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES;
	message.sizes = &sizes;
	peer_say(peer, 0, &message, 0);
}

void peer_say_ready(struct peer *peer, uint32_t epoch)
{
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	ready.epoch = epoch;
	ready.not_finite = peer->not_finite;
	ready.n_not_finite = peer->n_not_finite;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY;
	message.ready = &ready;
	peer_say(peer, 0, &message, epoch);
}

void peer_say_progress(struct peer *peer, uint64_t done_bytes, uint64_t total_bytes)
{
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	progress.done_bytes = done_bytes;
	progress.total_bytes = total_bytes;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS;
	message.progress = &progress;
	peer_say(peer, 0, &message, 0);
}

void peer_say_failed(struct peer *peer, uint32_t status, const char *text)
{
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	failed.status = status;
	failed.text = (char *)text;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED;
	message.failed = &failed;
	peer_say(peer, 0, &message, 0);
}

void peer_beat(struct peer *peer, unsigned rank)
{
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
	message.heartbeat = &heartbeat;
	peer_say(peer, rank, &message, 0);
}

void peer_send(struct peer *peer, unsigned rank, enum frame_type type, uint32_t epoch,
	       const void *payload, size_t n_bytes)
{
	struct frame *frame = take_frame(peer, type);

	assert_true(n_bytes <= frame_max_payload(frame));
	frame->epoch = epoch;
	frame->n_bytes = (uint32_t)n_bytes;
	memcpy(frame_payload(frame), payload, n_bytes);
	send_frame(peer, rank, frame);
}

void peer_send_step(struct peer *peer, unsigned rank, const struct step *step, uint32_t epoch)
{
	struct frame *frame = take_frame(peer, FRAME_STEP);

	assert_true(step_bytes(step) <= frame_max_payload(frame));
	frame->epoch = epoch;
	frame->n_bytes = (uint32_t)step_bytes(step);
	step_encode(step, frame_payload(frame));
	send_frame(peer, rank, frame);
}
