/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operations - measures every operation of a layer at the shapes of small models, with one row, with
 * 16 rows and with a prompt.
 * Usage: operations [threads [instruction set [type [kv type]]]]
 * Products take turns among as many layers as exceed the caches. Rows are at the end of a context
 * of 512; 16 rows are of 16 sequences. Printed are microseconds per call, the least of several
 * trials. A single thread is timed by its CPU time, so that other programs disturb less.
 */
#include "base/integers.h"
#include "bench/operands.h"
#include "bench/timer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_ROWS = 512, CONTEXT = 512, N_LAYERS = 4, N_TRIALS = 5, BLOCK_LENGTH = 32 };
enum { N_BLOCKS = CONTEXT / BLOCK_LENGTH, N_SEQUENCES = 16 };

static const struct shape {
	const char *name;
	unsigned dim, n_heads, n_kv_heads, head_dim, ffn_dim, n_vocab, window;
	enum activation_kind activation;
} shapes[] = {
	{ "gemma3-1b", 1152, 4, 1, 256, 6912, 262144, 512, ACTIVATION_GELU_TANH },
	{ "qwen3-0.6b", 1024, 16, 8, 128, 3072, 151936, 0, ACTIVATION_SILU },
	{ "qwen3-1.7b", 2048, 16, 8, 128, 6144, 151936, 0, ACTIVATION_SILU },
};

/* Of a layer, then the head. */
enum matrix { Q, K, V, OUTPUT, GATE, UP, DOWN, N_MATRICES };

struct bench {
	struct backend *backend;
	const struct shape *shape;
	enum tensor_type type;
	unsigned n_rows;
	unsigned turn;
	struct weight *weights[N_LAYERS][N_MATRICES];
	struct weight *head;
	struct kv_cache *cache;
	struct attention_span spans[N_SEQUENCES];
	unsigned n_spans;
	uint32_t blocks[N_SEQUENCES][N_BLOCKS];
	uint32_t positions[MAX_ROWS];
	float frequencies[128];
	float *gain;
	float *x, *y, *q, *k, *v, *wide, *logits;
};

static unsigned n_threads;

struct timed_call {
	struct bench *bench;
	void (*call)(struct bench *b);
};

static void run_timed(void *arg)
{
	const struct timed_call *timed = arg;

	timed->call(timed->bench);
}

static void time_call(struct bench *b, const char *name, void (*call)(struct bench *b))
{
	struct timed_call timed = { b, call };
	const double seconds = timer_least(n_threads, N_TRIALS, 0.03, run_timed, &timed);

	printf("%-11s %4u %-14s %10.2f\n", b->shape->name, b->n_rows, name, seconds * 1e6);
	fflush(stdout);
}

static struct weight *const *next_layer(struct bench *b)
{
	return b->weights[b->turn++ % N_LAYERS];
}

static void run_norm(struct bench *b)
{
	const struct norm norm = { .gain = b->gain, .eps = 1e-6f, .n_groups = 1 };

	b->backend->ops->norm(b->backend, &norm, b->x, b->n_rows, b->shape->dim, b->y);
}

static void run_head_norms(struct bench *b)
{
	struct norm norm = { .gain = b->gain, .eps = 1e-6f, .n_groups = b->shape->n_heads };

	b->backend->ops->norm(b->backend, &norm, b->q, b->n_rows, b->shape->head_dim, b->q);
	norm.n_groups = b->shape->n_kv_heads;
	b->backend->ops->norm(b->backend, &norm, b->k, b->n_rows, b->shape->head_dim, b->k);
}

static void run_rope(struct bench *b)
{
	const struct rope_table table = {
		ROPE_HALVES, b->shape->head_dim, b->frequencies, 1,
	};

	b->backend->ops->rope(b->backend, &table, b->q, b->positions, b->n_rows,
			      b->shape->n_heads, b->shape->head_dim);
	b->backend->ops->rope(b->backend, &table, b->k, b->positions, b->n_rows,
			      b->shape->n_kv_heads, b->shape->head_dim);
}

static void run_add(struct bench *b)
{
	b->backend->ops->add(b->backend, b->y, b->x, 1, (size_t)b->n_rows * b->shape->dim);
}

static void run_qkv(struct bench *b)
{
	struct weight *const *w = next_layer(b);
	const struct matmul products[] = {
		{ .weight = w[Q], .y = b->q }, { .weight = w[K], .y = b->k },
		{ .weight = w[V], .y = b->v },
	};

	b->backend->ops->matmul(b->backend, products, 3, b->x, b->n_rows);
}

static void run_output(struct bench *b)
{
	const struct matmul product = { .weight = next_layer(b)[OUTPUT], .y = b->y };

	b->backend->ops->matmul(b->backend, &product, 1, b->q, b->n_rows);
}

static void run_gates(struct bench *b)
{
	const struct activation activation = { .kind = b->shape->activation };
	struct weight *const *w = next_layer(b);

	b->backend->ops->gated_matmul(b->backend, &activation, w[GATE], w[UP], b->x, b->n_rows,
				      b->wide);
}

static void run_down(struct bench *b)
{
	const struct matmul product = { .weight = next_layer(b)[DOWN], .y = b->y };

	b->backend->ops->matmul(b->backend, &product, 1, b->wide, b->n_rows);
}

static void run_activate(struct bench *b)
{
	const struct activation activation = { .kind = b->shape->activation };

	b->backend->ops->activate(b->backend, &activation, b->wide, b->wide,
				  (size_t)b->n_rows * b->shape->ffn_dim, b->wide);
}

static void run_kv_write(struct bench *b)
{
	b->backend->ops->kv_write(b->backend, b->cache, 0, b->spans, b->n_spans, b->k, b->v);
}

static void run_attention(struct bench *b)
{
	const struct attention_shape shape = {
		.n_heads = b->shape->n_heads,
		.scale = (float)(1 / sqrt((double)b->shape->head_dim)),
	};

	b->backend->ops->attention(b->backend, b->cache, 0, b->spans, b->n_spans, b->q, &shape,
				   b->y);
}

static void run_head(struct bench *b)
{
	const struct matmul product = { .weight = b->head, .y = b->logits };

	b->backend->ops->matmul(b->backend, &product, 1, b->x, b->n_rows);
}

static void run_cap(struct bench *b)
{
	b->backend->ops->cap(b->backend, b->logits, 1, 30, (size_t)b->n_rows * b->shape->n_vocab);
}

/* n_rows rows: of one sequence if they are a prompt, else of a sequence each. */
static void set_rows(struct bench *b, unsigned n_rows)
{
	bool is_prompt = n_rows > N_SEQUENCES;

	b->n_rows = n_rows;
	b->n_spans = is_prompt ? 1 : n_rows;
	for (unsigned i = 0; i < b->n_spans; i++)
		b->spans[i] = (struct attention_span){
			.first_row = i, .n_rows = is_prompt ? n_rows : 1,
			.first_position = is_prompt ? 0 : CONTEXT - 1, .blocks = b->blocks[i],
		};
	for (unsigned i = 0; i < n_rows; i++)
		b->positions[i] = is_prompt ? i : CONTEXT - 1;
}

static void time_rows(struct bench *b, unsigned n_rows)
{
	set_rows(b, n_rows);
	time_call(b, "norm", run_norm);
	time_call(b, "head norms", run_head_norms);
	time_call(b, "rope", run_rope);
	time_call(b, "add", run_add);
	time_call(b, "kv write", run_kv_write);
	time_call(b, "attention", run_attention);
	time_call(b, "qkv", run_qkv);
	time_call(b, "output", run_output);
	time_call(b, "gated", run_gates);
	time_call(b, "activate", run_activate);
	time_call(b, "down", run_down);
	if (n_rows <= N_SEQUENCES) {
		time_call(b, "head", run_head);
		time_call(b, "cap", run_cap);
	}
}

static float *noise(size_t n)
{
	float *x = floats(n);
	uint32_t state = 1;

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525 + 1013904223;
		x[i] = (float)(state >> 8) * 0x1p-23f - 1;
	}
	return x;
}

/* Rows that are no whole number of blocks get a type of about the same size. */
static struct weight *create_weight(struct bench *b, unsigned n_in, unsigned n_out)
{
	bool fits = n_in % tensor_type_info(b->type)->block_length == 0;

	return weight_of_zeros(b->backend, fits ? b->type : TENSOR_Q5_0, n_in, n_out);
}

static void create_weights(struct bench *b)
{
	const struct shape *s = b->shape;
	const unsigned q = s->n_heads * s->head_dim, k = s->n_kv_heads * s->head_dim;
	const unsigned sizes[N_MATRICES][2] = {
		{ s->dim, q }, { s->dim, k }, { s->dim, k }, { q, s->dim },
		{ s->dim, s->ffn_dim }, { s->dim, s->ffn_dim }, { s->ffn_dim, s->dim },
	};

	for (unsigned i = 0; i < N_LAYERS * N_MATRICES; i++)
		b->weights[i / N_MATRICES][i % N_MATRICES] =
			create_weight(b, sizes[i % N_MATRICES][0], sizes[i % N_MATRICES][1]);
	b->head = create_weight(b, s->dim, s->n_vocab);
}

static void destroy_weights(struct bench *b)
{
	for (unsigned i = 0; i < N_LAYERS * N_MATRICES; i++)
		b->backend->ops->weight_destroy(b->backend,
						b->weights[i / N_MATRICES][i % N_MATRICES]);
	b->backend->ops->weight_destroy(b->backend, b->head);
}

static void create_cache(struct bench *b, enum tensor_type type)
{
	const struct kv_cache_config config = {
		.n_layers = 1, .n_blocks = N_SEQUENCES * N_BLOCKS, .block_length = BLOCK_LENGTH,
		.n_kv_heads = b->shape->n_kv_heads, .head_dim = b->shape->head_dim,
		.value_dim = b->shape->head_dim, .type = type, .window = b->shape->window,
	};
	struct error err;

	if (b->backend->ops->kv_create(b->backend, &config, &b->cache, &err)) {
		fprintf(stderr, "operations: %s\n", err.text);
		exit(1);
	}
	for (unsigned i = 0; i < N_SEQUENCES; i++) {
		struct attention_span span = { 0, CONTEXT, 0, b->blocks[i] };

		for (unsigned k = 0; k < N_BLOCKS; k++)
			b->blocks[i][k] = i * N_BLOCKS + k;
		b->backend->ops->kv_write(b->backend, b->cache, 0, &span, 1, b->k, b->v);
	}
}

static void time_shape(struct backend *backend, const struct shape *s, enum tensor_type type,
		       enum tensor_type kv_type)
{
	static const unsigned row_counts[] = { 1, 16, 512 };
	struct bench b = { .backend = backend, .shape = s, .type = type };
	size_t q = (size_t)MAX_ROWS * max_of(s->n_heads * s->head_dim, s->dim);
	size_t k = (size_t)MAX_ROWS * s->n_kv_heads * s->head_dim;
	float **const arrays[] = { &b.x, &b.y, &b.q, &b.k, &b.v, &b.wide, &b.logits, &b.gain };
	const size_t n_floats[] = { q, q, q, k, k, (size_t)MAX_ROWS * s->ffn_dim,
				    (size_t)N_SEQUENCES * s->n_vocab, s->dim };

	for (unsigned i = 0; i < 8; i++)
		*arrays[i] = noise(n_floats[i]);
	for (unsigned i = 0; i < s->head_dim / 2; i++)
		b.frequencies[i] = (float)pow(1e6, -2.0 * i / s->head_dim);
	create_weights(&b);
	create_cache(&b, kv_type);
	for (unsigned i = 0; i < 3; i++)
		time_rows(&b, row_counts[i]);
	backend->ops->kv_destroy(backend, b.cache);
	destroy_weights(&b);
	for (unsigned i = 0; i < 8; i++)
		free(*arrays[i]);
}

static enum tensor_type type_named(const char *name)
{
	for (int type = 0; type < 64; type++) {
		const struct tensor_type_info *info = tensor_type_info((enum tensor_type)type);

		if (info && !strcasecmp(info->name, name))
			return (enum tensor_type)type;
	}
	fprintf(stderr, "operations: no type %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	struct backend_config config = { .max_rows = MAX_ROWS, .max_width = 8192 };
	enum tensor_type type = type_named(argc > 3 ? argv[3] : "q4_k");
	enum tensor_type kv_type = type_named(argc > 4 ? argv[4] : "f16");
	struct backend *backend;
	struct error err;

	n_threads = config.n_threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
	if (!n_threads || (argc > 2 && !cpu_isa_find(argv[2], &config.isa)))
		return 2;
	if (backend_cpu.open(0, &config, &backend, &err)) {
		fprintf(stderr, "operations: %s\n", err.text);
		return 1;
	}
	printf("model       rows operation              us\n");
	for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
		time_shape(backend, &shapes[i], type, kv_type);
	backend->ops->close(backend);
	return 0;
}
