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

#define BODY(NAME) STAGECOACH__CLUSTER__V1__CONTROL__BODY_##NAME

/* --- frames --- */

static struct frame *take_frame(struct peer *peer, enum frame_type type)
{
	struct frame *frame = frame_take(peer->pool, type);

	assert_non_null(frame);
	return frame;
}

static void send_frame(struct peer *peer, unsigned other, struct frame *frame)
{
	assert_non_null(peer->links[other]);
	/* Whoever is about to be dropped may be so at any time. */
	if (link_send(peer->links[other], frame) != SC_OK) {
		peer->n_unsent++;
		frame_release(frame);
	}
}

static void note_new(struct peer *peer, const struct step *step, const struct segment *segment)
{
	const struct sampling *sampling;

	if (!(segment->flags & SEGMENT_NEW))
		return;
	peer->n_started++;
	peer->n_long += !!(segment->flags & SEGMENT_LONG);
	sampling = segment_sampling(step, segment);
	peer->n_tops[segment->sequence] =
		sampling->flags & SAMPLING_LOGPROB ? sampling->n_tops : 0;
}

static void draw_tokens(struct peer *peer, const struct frame *frame)
{
	struct token_record records[PEER_MAX_SLOTS];
	struct token_top tops[PEER_MAX_SLOTS * STEP_MAX_TOPS_EACH];
	struct tokens tokens = { .records = records, .tops = tops };
	struct frame *answer;
	struct step step;
	struct error err;

	if (step_decode(frame_payload(frame), frame->n_bytes, &peer->limits, &step, &err) != SC_OK)
		fail_msg("%s", err.text);
	tokens.step_id = step.id;
	for (uint32_t i = 0; i < step.n_segments; i++) {
		const struct segment *segment = &step.segments[i];
		uint32_t position = segment->first_position + segment->n_rows;
		bool is_fault = position == peer->fault_position && peer->fault;

		assert_true(segment->sequence < PEER_MAX_SLOTS);
		note_new(peer, &step, segment);
		if (!(segment->flags & SEGMENT_SAMPLE))
			continue;
		records[tokens.n_records++] = (struct token_record){
			.sequence = segment->sequence,
			.position = position,
			.token = peer->draws ? peer->draws : 'a' + position % 26,
			.fault = is_fault ? peer->fault : 0,
			.n_tops = is_fault ? 0 : peer->n_tops[segment->sequence],
		};
		for (uint32_t k = 0; !is_fault && k < peer->n_tops[segment->sequence]; k++)
			tops[tokens.n_tops++] = (struct token_top){ k, -(float)k };
	}
	answer = take_frame(peer, FRAME_TOKENS);
	answer->epoch = frame->epoch;
	answer->n_bytes = (uint32_t)tokens_bytes(&tokens);
	tokens_encode(&tokens, frame_payload(answer));
	send_frame(peer, 0, answer);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct peer *peer = arg;

	(void)link;
	/* Steps and tokens begin with the step's id. */
	memcpy(&peer->last_step, frame_payload(frame), sizeof peer->last_step);
	if (frame->type == FRAME_TOKENS)
		peer->n_tokens++;
	else if (++peer->n_steps && peer->answers_steps)
		draw_tokens(peer, frame);
	if (peer->holds_frames && peer->n_held < PEER_MAX_HELD)
		peer->held[peer->n_held++] = frame;
	else
		frame_release(frame);
}

static void on_link_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct peer *peer = arg;

	(void)status;
	(void)why;
	peer->n_links_down++;
	peer->links[link_peer(link)] = NULL;
	link_close(link);
}

static const struct link_events link_events = { .on_frame = on_frame, .on_down = on_link_down };

static enum sc_status open_loopback(void *arg, const struct fabric_config *config,
				    struct fabric **fabric_out, struct error *err)
{
	struct peer *peer = arg;

	return fabric_loopback_open(peer->loop, peer->hub, config, fabric_out, err);
}

static void close_fabric(struct peer *peer)
{
	fabric_close(peer->fabric);
	peer->fabric = NULL;
	memset(peer->links, 0, sizeof peer->links);
}

void peer_open_fabric(struct peer *peer, unsigned self, unsigned n_peers)
{
	const struct fabric_config config = { .self = self, .n_peers = n_peers };
	struct error err;

	assert_true(n_peers <= PEER_MAX_PEERS);
	close_fabric(peer);
	if (open_loopback(peer, &config, &peer->fabric, &err) != SC_OK)
		fail_msg("%s", err.text);
}

struct peer_address peer_address(const struct peer *peer)
{
	struct peer_address address;
	const void *bytes;

	fabric_address(peer->fabric, &bytes, &address.n_bytes);
	assert_true(address.n_bytes <= sizeof address.bytes);
	memcpy(address.bytes, bytes, address.n_bytes);
	return address;
}

void peer_connect(struct peer *peer, unsigned other, const struct peer_address *address)
{
	struct error err;

	if (fabric_connect(peer->fabric, other, address->bytes, address->n_bytes, &peer->in,
			   &link_events, peer, &peer->links[other], &err) != SC_OK)
		fail_msg("%s", err.text);
}

void peer_disconnect(struct peer *peer, unsigned other)
{
	link_close(peer->links[other]);
	peer->links[other] = NULL;
}

void peer_release(struct peer *peer)
{
	peer->holds_frames = false;
	while (peer->n_held)
		frame_release(peer->held[--peer->n_held]);
}

/* --- what comes over the channel --- */

static void note_assign(struct peer *peer, const Stagecoach__Cluster__V1__Assign *assign)
{
	peer->epoch = assign->epoch;
	peer->stage = assign->stage;
	peer->n_stages = assign->n_stages;
	peer->first_layer = assign->first_layer;
	peer->n_layers = assign->n_layers;
	peer->window = assign->window;
	peer->n_threads = assign->n_threads;
	peer->in_bytes = assign->in_bytes;
	snprintf(peer->assigned_isa, sizeof peer->assigned_isa, "%s", assign->instruction_set);
	if (!peer->joins_epochs)
		return;
	peer_open_fabric(peer, assign->stage + 1, assign->n_stages + 1);
	peer_say_opened(peer, assign->epoch);
}

static struct peer_address address_of(const ProtobufCBinaryData *data)
{
	struct peer_address address = { .n_bytes = data->len };

	assert_true(data->len <= sizeof address.bytes);
	if (data->len)
		memcpy(address.bytes, data->data, data->len);
	return address;
}

static void note_connect(struct peer *peer, const Stagecoach__Cluster__V1__Connect *connect)
{
	struct peer_address previous = address_of(&connect->previous_address);
	struct peer_address next = address_of(&connect->next_address);
	unsigned next_number = (peer->stage + 2) % (peer->n_stages + 1);

	if (!peer->joins_epochs || connect->epoch != peer->epoch)
		return;
	peer_connect(peer, peer->stage, &previous);
	if (next_number != peer->stage)
		peer_connect(peer, next_number, &next);
}

static void note_hello(struct peer *peer, const Stagecoach__Cluster__V1__Hello *hello)
{
	peer->kernel_version = hello->kernel_version;
	peer->libm_fingerprint = hello->libm_fingerprint;
	peer->model_samples = hello->model_samples;
	peer->hello_incarnation = hello->incarnation;
	snprintf(peer->hello_id, sizeof peer->hello_id, "%s", hello->worker_id);
	peer->n_resources = hello->resources ? (uint32_t)hello->resources->n_memory : 0;
	peer->held_n_layers = hello->held_n_layers;
}

static void note_welcome(struct peer *peer, const Stagecoach__Cluster__V1__Welcome *welcome)
{
	peer->limits_of_welcome = (struct stage_limits){
		.max_rows = welcome->limits->max_rows,
		.max_sequences = welcome->limits->max_sequences,
		.block_length = welcome->limits->block_length,
		.kv_type = (enum tensor_type)welcome->limits->kv_type,
	};
	if (!peer->withholds_sizes)
		peer_say_sizes(peer);
}

static void note_sizes(struct peer *peer, const Stagecoach__Cluster__V1__Sizes *sizes)
{
	for (peer->n_tables = 0; peer->n_tables < sizes->n_tables; peer->n_tables++) {
		const Stagecoach__Cluster__V1__StageSizes *table = sizes->tables[peer->n_tables];
		enum cpu_isa isa = CPU_AUTO;

		assert_true(!*table->instruction_set ||
			    cpu_isa_find(table->instruction_set, &isa));
		peer->tables[isa] = (struct stage_sizes){
			table->fixed_bytes, table->head_bytes, table->layer_bytes, { { 0 } },
			table->block_bytes, table->table_block_bytes, table->thread_bytes,
			table->shared_most_bytes, table->token_block_bytes, table->draw_bytes,
			table->draw_context_block_bytes, table->max_draw_threads,
		};
		assert_in_range(table->n_caches, 1, MODEL_MAX_GROUPS);
		for (size_t g = 0; g < table->n_caches; g++)
			peer->tables[isa].caches[g] = (struct cache_sizes){
				table->caches[g]->kv_block_bytes, table->caches[g]->cache_bytes,
				table->caches[g]->cache_thread_bytes,
				table->caches[g]->shared_thread_bytes,
				table->caches[g]->shared_block_bytes,
			};
	}
}

static void note_ready(struct peer *peer, const Stagecoach__Cluster__V1__Ready *ready)
{
	peer->ready_epoch = ready->epoch;
	peer->weight_bytes = ready->weight_bytes;
	peer->n_not_finite = ready->n_not_finite;
	snprintf(peer->not_finite, sizeof peer->not_finite, "%s", ready->not_finite);
	assert_int_equal(ready->n_tensors, ready->n_hashes);
	assert_true(ready->n_hashes <= 64);
	peer->n_hashes = ready->n_hashes;
	for (size_t i = 0; i < peer->n_hashes; i++) {
		peer->tensors[i] = ready->tensors[i];
		peer->hashes[i] = ready->hashes[i];
	}
}

static void note_heartbeat(struct peer *peer, const Stagecoach__Cluster__V1__Heartbeat *heartbeat)
{
	peer->n_asked += heartbeat->wants_counters;
	peer->held_n_layers = heartbeat->held_n_layers;
	if (heartbeat->question)
		peer->question = heartbeat->question;
	if (heartbeat->counters)
		peer->n_counted = heartbeat->counters->steps;
	if (heartbeat->question && peer->answers_questions)
		peer_beat(peer, heartbeat->question);
}

static void note_failed(struct peer *peer, const Stagecoach__Cluster__V1__Failed *failed)
{
	peer->failed_status = failed->status;
	peer->failed_epoch = failed->epoch;
	snprintf(peer->failed_text, sizeof peer->failed_text, "%s", failed->text);
}

static void on_message(void *arg, struct channel *channel, const peer_message *message)
{
	struct peer *peer = arg;

	(void)channel;
	peer->n_controls[message->body_case]++;
	switch (message->body_case) {
	case BODY(HELLO): note_hello(peer, message->hello); break;
	case BODY(WELCOME): note_welcome(peer, message->welcome); break;
	case BODY(SIZES): note_sizes(peer, message->sizes); break;
	case BODY(REFUSED):
		snprintf(peer->refusal, sizeof peer->refusal, "%s", message->refused->text);
		break;
	case BODY(ASSIGN): note_assign(peer, message->assign); break;
	case BODY(OPENED): peer->opened = address_of(&message->opened->address); break;
	case BODY(CONNECT): note_connect(peer, message->connect); break;
	case BODY(PROGRESS): peer->done_bytes = message->progress->done_bytes; break;
	case BODY(READY): note_ready(peer, message->ready); break;
	case BODY(HEARTBEAT): note_heartbeat(peer, message->heartbeat); break;
	case BODY(FAILED): note_failed(peer, message->failed); break;
	case BODY(LINK_DOWN): peer->down_peer = message->link_down->peer; break;
	case BODY(RELEASE): peer->released_epoch = message->release->epoch; break;
	default: break;
	}
}

static void on_down(void *arg, struct channel *channel, enum sc_status status, const char *why)
{
	struct peer *peer = arg;

	(void)status;
	(void)why;
	/* It may have dialled again. */
	if (peer->channel == channel) {
		peer->is_down = true;
		peer->channel = NULL;
	}
	channel_close(channel);
}

static const struct channel_events channel_events = { on_message, on_down };

/* --- life --- */

void peer_open(struct peer *peer, struct loop *loop, struct loopback_hub *hub)
{
	*peer = (struct peer){
		.loop = loop, .hub = hub, .in = { MAX_PAYLOAD, CREDITS },
		.answers_questions = true,
		.sizes = { .fixed_bytes = 1 << 20, .caches = { { .kv_block_bytes = 8192 } },
			   .block_bytes = 16 },
		.n_groups = 1,
	};
	assert_int_equal(frame_pool_create(N_FRAMES, MAX_PAYLOAD, &peer->pool), SC_OK);
}

struct channel *peer_dial(struct peer *peer)
{
	struct channel *ends[2];

	channel_close(peer->channel);
	assert_int_equal(channel_pair(peer->loop, ends), SC_OK);
	peer->channel = ends[0];
	peer->is_down = false;
	channel_watch(peer->channel, &channel_events, peer);
	return ends[1];
}

void peer_hang_up(struct peer *peer)
{
	close_fabric(peer);
	channel_close(peer->channel);
	peer->channel = NULL;
}

void peer_close(struct peer *peer)
{
	if (!peer->pool)
		return;
	peer_hang_up(peer);
	peer_release(peer);
	frame_pool_destroy(peer->pool);
	peer->pool = NULL;
}

/* --- what it says --- */

void peer_say(struct peer *peer, const peer_message *message)
{
	/* Whoever is about to be dropped may be so at any time. */
	if (peer->channel && channel_send(peer->channel, message) != SC_OK)
		return;
}

#define SAY(peer, NAME, field, body)                                      \
	do {                                                              \
		peer_message message_ = STAGECOACH__CLUSTER__V1__CONTROL__INIT; \
		message_.body_case = BODY(NAME);                          \
		message_.field = (body);                                  \
		peer_say(peer, &message_);                                \
	} while (0)

void peer_say_hello(struct peer *peer, uint32_t version, uint64_t fingerprint)
{
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;

	hello.protocol_version = version;
	hello.worker_id = (char *)(uintptr_t)(peer->id ? peer->id : "peer");
	hello.incarnation = peer->incarnation ? peer->incarnation : 1;
	hello.launch_rank = peer->launch_rank;
	hello.pid = PEER_PID;
	hello.host = (char *)PEER_HOST;
	hello.version = (char *)"9.9";
	hello.backend = (char *)(uintptr_t)(peer->backend ? peer->backend : "abacus");
	if (peer->isa)
		hello.instruction_set = (char *)(uintptr_t)peer->isa;
	hello.kernel_version = peer->kernel_version ? peer->kernel_version : 1;
	hello.libm_fingerprint = peer->libm_fingerprint ? peer->libm_fingerprint : 1;
	hello.model_fingerprint = fingerprint;
	hello.model_samples = peer->model_samples;
	hello.memory_bytes = peer->memory_bytes;
	hello.fabric = (char *)(uintptr_t)(peer->kind ? peer->kind : "loopback");
	SAY(peer, HELLO, hello, &hello);
}

void peer_say_sizes(struct peer *peer)
{
	Stagecoach__Cluster__V1__Sizes sizes = STAGECOACH__CLUSTER__V1__SIZES__INIT;
	Stagecoach__Cluster__V1__StageSizes tables[CPU_N_ISAS], *pointers[CPU_N_ISAS];
	enum cpu_isa isa = peer->isa ? CPU_SCALAR : CPU_AUTO, best = CPU_AUTO;
	Stagecoach__Cluster__V1__CacheSizes cache[MODEL_MAX_GROUPS], *caches[MODEL_MAX_GROUPS];

	for (uint32_t g = 0; g < peer->n_groups; g++) {
		stagecoach__cluster__v1__cache_sizes__init(&cache[g]);
		cache[g].kv_block_bytes = peer->sizes.caches[g].kv_block_bytes;
		cache[g].cache_bytes = peer->sizes.caches[g].cache_bytes;
		cache[g].cache_thread_bytes = peer->sizes.caches[g].cache_thread_bytes;
		cache[g].shared_thread_bytes = peer->sizes.caches[g].shared_thread_bytes;
		cache[g].shared_block_bytes = peer->sizes.caches[g].shared_block_bytes;
		caches[g] = &cache[g];
	}
	assert_true(!peer->isa || cpu_isa_find(peer->isa, &best));
	for (; isa + peer->withholds_a_table <= best; isa++) {
		Stagecoach__Cluster__V1__StageSizes *table = &tables[sizes.n_tables];

		stagecoach__cluster__v1__stage_sizes__init(table);
		table->instruction_set = (char *)(uintptr_t)(peer->isa ? cpu_isa_name(isa) : "");
		table->fixed_bytes = peer->sizes.fixed_bytes + sizes.n_tables;
		table->head_bytes = peer->sizes.head_bytes;
		table->layer_bytes = peer->sizes.layer_bytes;
		table->n_caches = peer->n_groups;
		table->caches = caches;
		table->block_bytes = peer->sizes.block_bytes;
		table->table_block_bytes = peer->sizes.table_block_bytes;
		table->thread_bytes = peer->sizes.thread_bytes;
		table->shared_most_bytes = peer->sizes.shared_most_bytes;
		table->token_block_bytes = peer->sizes.token_block_bytes;
		table->draw_bytes = peer->sizes.draw_bytes;
		table->draw_context_block_bytes = peer->sizes.draw_context_block_bytes;
		table->max_draw_threads = peer->sizes.max_draw_threads;
		pointers[sizes.n_tables++] = table;
	}
	sizes.tables = pointers;
	SAY(peer, SIZES, sizes, &sizes);
}

void peer_say_welcome(struct peer *peer, uint64_t incarnation, uint32_t heartbeat_ms,
		      uint32_t deadline_ms, const struct stage_limits *limits)
{
	Stagecoach__Cluster__V1__Welcome welcome = STAGECOACH__CLUSTER__V1__WELCOME__INIT;
	Stagecoach__Cluster__V1__StageLimits text = STAGECOACH__CLUSTER__V1__STAGE_LIMITS__INIT;

	if (limits) {
		text.max_rows = limits->max_rows;
		text.max_sequences = limits->max_sequences;
		text.block_length = limits->block_length;
		text.kv_type = limits->kv_type;
		welcome.limits = &text;
	}
	welcome.incarnation = incarnation;
	welcome.heartbeat_ms = heartbeat_ms;
	welcome.deadline_ms = deadline_ms;
	SAY(peer, WELCOME, welcome, &welcome);
}

void peer_say_opened(struct peer *peer, uint32_t epoch)
{
	Stagecoach__Cluster__V1__Opened opened = STAGECOACH__CLUSTER__V1__OPENED__INIT;
	struct peer_address address = { .n_bytes = 0 };

	if (peer->fabric)
		address = peer_address(peer);
	opened.epoch = epoch;
	opened.address.data = address.bytes;
	opened.address.len = address.n_bytes;
	SAY(peer, OPENED, opened, &opened);
}

void peer_say_connect(struct peer *peer, uint32_t epoch, const struct peer_address *previous,
		      const struct peer_address *next)
{
	Stagecoach__Cluster__V1__Connect connect = STAGECOACH__CLUSTER__V1__CONNECT__INIT;

	connect.epoch = epoch;
	connect.previous_address.data = (uint8_t *)(uintptr_t)previous->bytes;
	connect.previous_address.len = previous->n_bytes;
	connect.next_address.data = (uint8_t *)(uintptr_t)next->bytes;
	connect.next_address.len = next->n_bytes;
	SAY(peer, CONNECT, connect, &connect);
}

void peer_say_ready(struct peer *peer, uint32_t epoch)
{
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;

	ready.epoch = epoch;
	ready.not_finite = peer->not_finite;
	ready.n_not_finite = peer->n_not_finite;
	ready.tensors = peer->tensors;
	ready.hashes = peer->hashes;
	ready.n_tensors = ready.n_hashes = peer->n_hashes;
	SAY(peer, READY, ready, &ready);
}

void peer_say_progress(struct peer *peer, uint32_t epoch, uint64_t done_bytes,
		       uint64_t total_bytes)
{
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;

	progress.epoch = epoch;
	progress.done_bytes = done_bytes;
	progress.total_bytes = total_bytes;
	SAY(peer, PROGRESS, progress, &progress);
}

void peer_say_failed(struct peer *peer, uint32_t epoch, uint32_t status, const char *text)
{
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;

	failed.epoch = epoch;
	failed.status = status;
	failed.text = (char *)(uintptr_t)text;
	SAY(peer, FAILED, failed, &failed);
}

void peer_say_link_down(struct peer *peer, uint32_t epoch, uint32_t other)
{
	Stagecoach__Cluster__V1__LinkDown link_down = STAGECOACH__CLUSTER__V1__LINK_DOWN__INIT;

	link_down.epoch = epoch;
	link_down.peer = other;
	link_down.text = (char *)"cut";
	SAY(peer, LINK_DOWN, link_down, &link_down);
}

void peer_say_stop(struct peer *peer, enum sc_status status, const char *reason)
{
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;

	stop.status = status;
	stop.reason = (char *)(uintptr_t)reason;
	SAY(peer, STOP, stop, &stop);
}

void peer_beat(struct peer *peer, uint32_t question)
{
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;

	heartbeat.question = question;
	SAY(peer, HEARTBEAT, heartbeat, &heartbeat);
}

void peer_send(struct peer *peer, unsigned other, enum frame_type type, uint32_t epoch,
	       const void *payload, size_t n_bytes)
{
	struct frame *frame = take_frame(peer, type);

	assert_true(n_bytes <= frame_max_payload(frame));
	frame->epoch = epoch;
	frame->n_bytes = (uint32_t)n_bytes;
	memcpy(frame_payload(frame), payload, n_bytes);
	send_frame(peer, other, frame);
}

void peer_send_step(struct peer *peer, unsigned other, const struct step *step, uint32_t epoch)
{
	struct frame *frame = take_frame(peer, FRAME_STEP);

	assert_true(step_bytes(step) <= frame_max_payload(frame));
	frame->epoch = epoch;
	frame->n_bytes = (uint32_t)step_bytes(step);
	step_encode(step, frame_payload(frame));
	send_frame(peer, other, frame);
}
