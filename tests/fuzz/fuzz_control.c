/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a channel: messages behind their lengths, and what a coordinator and a worker make of
 * them before they use them. And the same bytes as the header of a frame. */
#include "tests/fuzz/fuzz.h"

#include "coordinator/hello.h"
#include "wire/control.h"
#include "worker/assignment.h"
#include "worker/sizes.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (2 * CONTROL_MAX_BYTES)

static void check(bool condition)
{
	if (!condition)
		abort();
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

/* What a worker says of itself, as the coordinator takes it. */
static void try_hello(const Stagecoach__Cluster__V1__Hello *message)
{
	const struct hello_wish wish = { .fabric = message->fabric };
	struct error err = { .status = SC_OK };
	struct hello hello;
	char name[64];

	hello_identify(message, &hello);
	hello_name(&hello, name, sizeof name);
	if (hello_read(message, &wish, &hello, &err) != SC_OK) {
		check(err.status != SC_OK && err.text[0]);
		return;
	}
	check(hello.worker_id[0] && hello.incarnation);
	check(hello.resources.n_memory <= RESOURCES_MAX_LIMITS);
	check(hello.resources.n_processors <= RESOURCES_MAX_LIMITS);
	check(!hello_compare(&hello, &hello));
}

enum { N_LAYERS = 8 };

/* Sizes are all that a worker needs of its model here. Every other layer has a window. */
static const struct model *the_model(void)
{
	static struct layer_tensors layers[N_LAYERS];
	static struct layer_shape shapes[N_LAYERS];
	static struct model model = {
		.hparams = {
			.n_layers = N_LAYERS, .n_vocab = 512, .dim = 64, .n_heads = 4,
			.n_kv_heads = 4, .head_dim = 16, .value_dim = 16, .rope_dim = 16,
			.ffn_dim = 128, .n_context = 512,
		},
		.layers = layers,
		.shapes = shapes,
		.groups = {
			{ .n_kv_heads = 4, .head_dim = 16, .value_dim = 16, .n_layers = 4 },
			{ .window = 64, .n_kv_heads = 4, .head_dim = 16, .value_dim = 16,
			  .n_layers = 4 },
		},
		.n_groups = 2,
	};

	for (uint32_t i = 0; i < N_LAYERS; i++)
		shapes[i] = (struct layer_shape){
			.n_heads = 4, .n_kv_heads = 4, .head_dim = 16, .value_dim = 16,
			.ffn_dim = 128, .group = i % 2,
		};
	check(arch_find("llama", 5, &model.arch, NULL) == SC_OK);
	return &model;
}

static void try_welcome(const Stagecoach__Cluster__V1__Welcome *message)
{
	const struct worker_config config = { .model = the_model(), .backend = &backend_cpu };
	struct error err = { .status = SC_OK };
	struct worker_sizes sizes;

	if (worker_sizes_for(&config, CPU_AVX2, message->limits, &sizes, &err) != SC_OK)
		check(err.status != SC_OK && err.text[0]);
	else
		check(sizes.body.n_tables == CPU_AVX2);
}

/* What a worker allocates must be bounded by the model and by limits that it has checked. */
static void try_assign(const Stagecoach__Cluster__V1__Assign *message)
{
	struct error err = { .status = SC_OK };
	struct assignment assignment;

	if (assignment_read(message, the_model(), CPU_AVX2, &assignment, &err) != SC_OK) {
		check(err.status != SC_OK && err.text[0]);
		return;
	}
	check(assignment.epoch && assignment.stage < assignment.n_stages);
	check(assignment.first_layer + assignment.n_layers <= N_LAYERS);
	check(step_limits_check(&assignment.limits, &err) == SC_OK);
	check(assignment.in.max_payload <= step_bytes_max(&assignment.limits));
	check(assignment.in.credits && assignment.in.credits <= LINK_MAX_CREDITS);
	check(assignment.isa != CPU_AUTO && assignment.isa <= CPU_AVX2);
	check(!assignment.n_sharers || assignment.sharer < assignment.n_sharers);
}

/* What was accepted is accepted again after our own encoder had it. Not so with unknown fields:
 * protobuf-c keeps them as they came, some of them in forms that it would not read again. */
static void try_again(const Stagecoach__Cluster__V1__Control *message)
{
	Stagecoach__Cluster__V1__Control *again;
	struct buf copy = BUF_INIT;
	struct error err;
	size_t n_used;

	if (!has_unknown_fields(message) && control_add(message, &copy) == SC_OK) {
		check(control_take(copy.data, copy.length, &again, &n_used, &err) == SC_OK);
		check(n_used == copy.length && again->body_case == message->body_case);
		control_free(again);
	}
	buf_deinit(&copy);
}

static void try_messages(const uint8_t *bytes, size_t n_bytes)
{
	Stagecoach__Cluster__V1__Control *message;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	size_t n_used;

	while ((status = control_take(bytes, n_bytes, &message, &n_used, &err)) == SC_OK) {
		check(n_used && n_used <= n_bytes);
		check_message(message);
		try_again(message);
		if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO)
			try_hello(message->hello);
		if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME)
			try_welcome(message->welcome);
		if (message->body_case == STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN)
			try_assign(message->assign);
		control_free(message);
		bytes += n_used;
		n_bytes -= n_used;
	}
	check(status == SC_AGAIN || (err.status == SC_E_PROTOCOL && err.text[0]));
}

static void try_header(const uint8_t *bytes, size_t n_bytes)
{
	static struct frame_pool *pool;
	struct error err = { .status = SC_OK };
	uint8_t header[FRAME_HEADER_BYTES];
	struct frame *frame;

	if (!pool)
		check(frame_pool_create(1, MAX_BYTES, &pool) == SC_OK);
	frame = frame_take(pool, FRAME_STEP);
	if (n_bytes)
		memcpy(frame->data, bytes, n_bytes);
	if (frame_open(frame, n_bytes, &err) != SC_OK) {
		check(err.status == SC_E_PROTOCOL && err.text[0]);
	} else {
		check(frame->n_bytes == n_bytes - FRAME_HEADER_BYTES);
		memcpy(header, frame->data, sizeof header);
		frame_seal(frame);
		check(memcmp(header, frame->data, sizeof header) == 0);
	}
	frame_release(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MAX_BYTES)
		return 0;
	try_messages(data, size);
	try_header(data, size);
	return 0;
}

static void add_message(const Stagecoach__Cluster__V1__Control *message, struct buf *seed)
{
	check(control_add(message, seed) == SC_OK);
}

static void add_frame(struct buf *seed)
{
	struct frame_pool *pool;
	struct frame *frame;

	check(frame_pool_create(1, 64, &pool) == SC_OK);
	frame = frame_take(pool, FRAME_TOKENS);
	frame->epoch = 3;
	frame->sequence = 1;
	frame->n_bytes = 16;
	frame_seal(frame);
	check(buf_add(seed, frame->data, FRAME_HEADER_BYTES + frame->n_bytes) == SC_OK);
	frame_release(frame);
	frame_pool_destroy(pool);
}

#define BODY(NAME) STAGECOACH__CLUSTER__V1__CONTROL__BODY_##NAME

enum { N_BODIES = BODY(SIZES) + 1 };

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
	hello->protocol_version = CONTROL_PROTOCOL_VERSION;
	hello->backend = (char *)"cpu";
	hello->instruction_set = (char *)"avx2";
	hello->kernel_version = 1;
	hello->libm_fingerprint = 1;
	hello->incarnation = UINT64_C(1) << 60;
	hello->resources = &resources;
}

static void make_sizes(Stagecoach__Cluster__V1__Sizes *sizes)
{
	static Stagecoach__Cluster__V1__StageSizes table =
		STAGECOACH__CLUSTER__V1__STAGE_SIZES__INIT;
	static Stagecoach__Cluster__V1__StageSizes *tables[] = { &table, &table };
	static Stagecoach__Cluster__V1__CacheSizes cache =
		STAGECOACH__CLUSTER__V1__CACHE_SIZES__INIT;
	static Stagecoach__Cluster__V1__CacheSizes *caches[] = { &cache, &cache };

	table.instruction_set = odd_text;
	cache.kv_block_bytes = UINT64_MAX;
	table.caches = caches;
	table.n_caches = 2;
	sizes->tables = tables;
	sizes->n_tables = 2;
}

/* One that a worker accepts. */
static void make_assign(Stagecoach__Cluster__V1__Assign *assign)
{
	static uint32_t max_blocks[] = { 64, 70 }, table_blocks[] = { 32, 20 };

	assign->epoch = 1;
	assign->stage = 1;
	assign->n_stages = 2;
	assign->first_layer = 4;
	assign->n_layers = 4;
	assign->max_rows = 512;
	assign->max_sequences = 4;
	assign->n_max_blocks = assign->n_table_blocks = 2;
	assign->max_blocks = max_blocks;
	assign->table_blocks = table_blocks;
	assign->block_length = 16;
	assign->max_context = 512;
	assign->window = 3;
	assign->in_bytes = 1 << 16;
	assign->in_credits = 4;
	assign->kv_type = TENSOR_F16;
	assign->n_sharers = 2;
	assign->instruction_set = (char *)"avx2";
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
	limits.max_sequences = 4;
	limits.block_length = 16;
	limits.kv_type = TENSOR_F16;
	welcome.limits = &limits;
	refused.text = failed.text = link_down.text = stop.reason = bye.text = odd_text;
	make_assign(&assign);
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
	case N_BODIES: add_frame(seed); return true;
	default: return false;
	}
	add_message(&message, seed);
	return true;
}
