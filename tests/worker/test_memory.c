/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plan says that a stage takes is what it takes: no less, and hardly more. The program's
 * own malloc, mmap and their kin add up what is asked for and pass the calls on to glibc or the
 * kernel. Sanitizers have their own, so the test is skipped with them.
 */
#include "base/integers.h"
#include "worker/compute.h"
#include "worker/sizes.h"

#include "tests/model/tiny_model.h"
#include "tests/model/windows.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* --- memory that is in use --- */

#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define IS_COUNTED true

void *__libc_malloc(size_t n_bytes);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t n_bytes);
void *__libc_memalign(size_t alignment, size_t n_bytes);
void __libc_free(void *memory);

enum { MAX_PIECES = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	void *at;
	size_t n_bytes;
} pieces[MAX_PIECES];
static uint64_t n_in_use;

/* n_bytes 0: it is given back. What finds no place is not counted. */
static void *note(void *at, size_t n_bytes)
{
	size_t i = (uintptr_t)at / 16 * UINT64_C(0x9e3779b97f4a7c15) >> 48;

	if (!at)
		return at;
	pthread_mutex_lock(&lock);
	for (size_t n = 0; n < 64; n++, i = (i + 1) % MAX_PIECES) {
		if (pieces[i].at != (n_bytes ? NULL : at))
			continue;
		n_in_use += n_bytes;
		n_in_use -= n_bytes ? 0 : pieces[i].n_bytes;
		pieces[i].at = n_bytes ? at : NULL;
		pieces[i].n_bytes = n_bytes;
		break;
	}
	pthread_mutex_unlock(&lock);
	return at;
}

void *malloc(size_t n_bytes)
{
	return note(__libc_malloc(n_bytes), n_bytes);
}

void *calloc(size_t n, size_t size)
{
	return note(__libc_calloc(n, size), n * size);
}

void *realloc(void *memory, size_t n_bytes)
{
	note(memory, 0);
	return note(__libc_realloc(memory, n_bytes), n_bytes);
}

int posix_memalign(void **memory_out, size_t alignment, size_t n_bytes)
{
	*memory_out = note(__libc_memalign(alignment, n_bytes), n_bytes);
	return *memory_out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t n_bytes)
{
	return note(__libc_memalign(alignment, n_bytes), n_bytes);
}

void free(void *memory)
{
	note(memory, 0);
	__libc_free(memory);
}

static void count(uint64_t n_bytes)
{
	pthread_mutex_lock(&lock);
	n_in_use += n_bytes;
	pthread_mutex_unlock(&lock);
}

/* glibc's own mappings do not come here, only those that are asked for by name. */
void *mmap(void *at, size_t n_bytes, int protection, int flags, int fd, off_t offset)
{
	long start = syscall(SYS_mmap, at, n_bytes, protection, flags, fd, offset);

	if (start != -1)
		count(round_up(n_bytes, (uint64_t)sysconf(_SC_PAGESIZE)));
	return (void *)start;
}

int munmap(void *at, size_t n_bytes)
{
	count(-round_up(n_bytes, (uint64_t)sysconf(_SC_PAGESIZE)));
	return (int)syscall(SYS_munmap, at, n_bytes);
}

#else
#define IS_COUNTED false
static const uint64_t n_in_use;
#endif

/* --- what a stage takes --- */

static sem_t news;

static void on_news(void *arg)
{
	(void)arg;
	sem_post(&news);
}

/* Of a stage with its compute thread, keys and values included. Weights are taken off: matrices are
 * in one chunk of an arena, vectors in blocks of their own. */
static uint64_t bytes_taken(const struct compute_config *config,
			    const struct compute_assignment *assignment)
{
	const struct hparams *h = &config->stage.model->hparams;
	const uint64_t chunk_bytes = 2 * MIB;
	const uint64_t vector_bytes = (2 * h->n_layers + 1) * h->dim * sizeof(float);
	uint64_t before = n_in_use, taken;
	struct compute *compute;
	struct error err;

	assert_int_equal(sem_init(&news, 0, 0), 0);
	if (compute_create(config, &compute, &err) != SC_OK ||
	    compute_assign(compute, assignment, &err) != SC_OK)
		fail_msg("%s", err.text);
	while (compute_state(compute) == COMPUTE_LOADING)
		sem_wait(&news);
	if (compute_state(compute) != COMPUTE_READY)
		fail_msg("%s", compute_error(compute)->text);
	assert_true(compute_weight_bytes(compute) <= chunk_bytes);
	taken = n_in_use - before - chunk_bytes - vector_bytes;
	assert_int_equal(compute_destroy(compute, 60000, NULL), SC_OK);
	sem_destroy(&news);
	return taken;
}

/* What the coordinator plans with the worker's table. */
static uint64_t bytes_planned(const struct compute_config *config,
			      const struct compute_assignment *assignment)
{
	const struct stage_config *stage = &config->stage;
	const struct step_limits *limits = &assignment->stage.limits;
	const struct worker_config worker = { .model = stage->model, .backend = stage->backend };
	const struct stage_limits common = {
		.max_rows = limits->max_rows, .max_sequences = limits->max_sequences,
		.block_length = limits->block_length, .kv_type = assignment->stage.kv_type,
	};
	uint32_t n_layers = stage->model->hparams.n_layers;
	uint64_t frame_bytes = assignment->window * (uint64_t)stage_output_bytes_max(limits);
	struct stage_sizes sizes;
	struct stage_shape shape;
	struct error err;

	if (worker_sizes_of(&worker, assignment->stage.isa, &common, &sizes, &err) != SC_OK)
		fail_msg("%s", err.text);
	shape = (struct stage_shape){
		.n_layers = n_layers, .pools = { .n = limits->n_groups },
		.n_context_blocks = step_blocks_for(limits, limits->max_context),
		.n_threads = stage->n_threads, .has_head = true,
	};
	stage_count_layers(stage->model, 0, n_layers, shape.group_layers);
	memcpy(shape.pools.n_blocks, limits->max_blocks, sizeof limits->max_blocks);
	memcpy(shape.pools.table_blocks, limits->table_blocks, sizeof limits->table_blocks);
	return stage_kv_bytes_of(&sizes, &shape) + frame_bytes +
	       stage_work_bytes_of(&sizes, &shape);
}

struct memory_case {
	uint32_t n_layers, n_vocab, dim, ffn_dim, n_heads, n_kv_heads, head_dim;
	uint32_t max_rows, max_sequences, max_context, n_blocks, block_length, window, n_threads;
};

/* The plan allows for 1 MiB of what is not counted, and 64 KiB of each thread's stack, which is no
 * memory that this test sees. Beside that it may be more by the rest of the last page of some
 * arrays, most of them of the caches, and by three vectors of each layer that the model does not have. */
static void check_bytes(const struct compute_config *config,
			const struct compute_assignment *assignment)
{
	const uint64_t more = (8 + 24 * config->stage.model->n_groups) << 10, layer_bytes = 512;
	uint64_t planned = bytes_planned(config, assignment);
	uint64_t taken = bytes_taken(config, assignment);
	uint64_t allowed = MIB + config->stage.n_threads * (MIB / 16);

	if (planned < taken + allowed ||
	    planned > taken + allowed + more + assignment->stage.n_layers * layer_bytes)
		fail_msg("%s, %s: %llu bytes taken, %llu planned, %llu of them for what is not "
			 "counted", cpu_isa_name(assignment->stage.isa),
			 tensor_type_info(assignment->stage.kv_type)->name, (unsigned long long)taken,
			 (unsigned long long)planned, (unsigned long long)allowed);
}

static void check_with_every_isa(const struct compute_config *config,
				 struct compute_assignment *assignment)
{
	static const enum tensor_type types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16,
						  TENSOR_Q8_0 };

	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		for (unsigned t = 0; t < 4; t++) {
			assignment->stage.isa = isa;
			assignment->stage.kv_type = types[t];
			check_bytes(config, assignment);
		}
	}
}

/* Every other layer has a window of 20 positions. */
static void check_case(const struct memory_case *c, bool has_windows)
{
	static const uint32_t windows[] = { 20, 0 };

	struct tiny_model tiny = tiny_llama;
	const struct kv_pools_wish wish = {
		.max_rows = c->max_rows, .block_length = c->block_length,
		.max_context = c->max_context, .n_blocks = c->n_blocks, .n_sequences = 3,
	};
	struct buf file = BUF_INIT;
	struct model *model;
	struct kv_pools pools;

	tiny.type = TENSOR_Q8_0;
	tiny.n_layers = c->n_layers;
	tiny.n_vocab = c->n_vocab;
	tiny.dim = c->dim;
	tiny.ffn_dim = c->ffn_dim;
	tiny.n_heads = c->n_heads;
	tiny.n_kv_heads = c->n_kv_heads;
	tiny.head_dim = c->head_dim;
	tiny.is_tied = true;
	model = tiny_model_open(&tiny, &file);
	if (has_windows)
		windows_set(model, windows, 2);
	pools = kv_pools_of(model, &wish);
	const struct compute_config config = {
		.stage = {
			.model = model, .backend = backend_find("cpu"), .n_threads = c->n_threads,
		},
		.on_news = on_news,
	};
	struct compute_assignment assignment = {
		.stage = {
			.n_layers = c->n_layers,
			.limits = {
				.max_rows = c->max_rows, .max_sequences = c->max_sequences,
				.n_groups = pools.n, .block_length = c->block_length,
				.max_context = c->max_context, .n_vocab = c->n_vocab,
				.dim = c->dim,
			},
		},
		.window = c->window,
	};
	struct step_limits *limits = &assignment.stage.limits;

	memcpy(limits->max_blocks, pools.n_blocks, sizeof limits->max_blocks);
	memcpy(limits->table_blocks, pools.table_blocks, sizeof limits->table_blocks);
	check_with_every_isa(&config, &assignment);
	model_close(model);
	buf_deinit(&file);
}

/* In each case something else is the most of it. */
static const struct memory_case cases[] = {
	/* little of everything */
	{ 1, 264, 64, 96, 4, 2, 16, 8, 4, 64, 16, 16, 1, 1 },
	/* layers */
	{ 64, 264, 32, 32, 2, 1, 16, 8, 4, 64, 16, 16, 1, 1 },
	/* keys and values */
	{ 3, 264, 64, 96, 4, 2, 80, 8, 4, 64, 1000, 24, 1, 1 },
	{ 3, 264, 64, 96, 4, 2, 32, 8, 4, 64, 2000, 1, 1, 1 },
	/* rows: wide streams, wide products, many heads */
	{ 1, 264, 512, 64, 4, 2, 16, 4096, 4, 64, 16, 16, 1, 1 },
	{ 1, 264, 64, 2048, 4, 2, 16, 4096, 4, 64, 16, 16, 1, 1 },
	{ 1, 264, 64, 96, 32, 2, 64, 2048, 4, 64, 16, 16, 1, 1 },
	{ 1, 264, 64, 96, 16, 16, 64, 2048, 4, 64, 16, 16, 1, 1 },
	/* logits */
	{ 1, 32000, 32, 64, 2, 2, 16, 256, 4, 64, 16, 16, 1, 1 },
	/* slots, tables of blocks */
	{ 1, 264, 64, 96, 4, 2, 16, 8, 2048, 1 << 18, 16, 16, 1, 1 },
	{ 1, 264, 64, 96, 4, 2, 16, 8, 65536, 16, 16, 16, 1, 1 },
	/* blocks */
	{ 1, 264, 64, 96, 4, 2, 16, 8, 4, 64, 65536, 1, 1, 1 },
	/* frames */
	{ 1, 264, 512, 64, 4, 2, 16, 1024, 4, 64, 16, 16, 32, 1 },
	/* threads, with blocks that are read in place, as slices, and gathered */
	{ 1, 264, 64, 96, 16, 16, 128, 8, 4, 4096, 256, 16, 1, 8 },
	{ 1, 264, 64, 96, 2, 2, 32, 8, 4, 64, 16, 1024, 1, 4 },
	{ 1, 264, 64, 96, 16, 16, 128, 8, 4, 4096, 256, 33, 1, 8 },
	/* what threads share, up to its limit */
	{ 1, 264, 64, 96, 4, 4, 32, 8, 4, 64, 4096, 32, 1, 2 },
	{ 1, 264, 64, 96, 16, 16, 128, 8, 4, 64, 4096, 32, 1, 2 },
};

static void a_stage_takes_what_was_planned(void **state)
{
	(void)state;
	if (!IS_COUNTED)
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		check_case(&cases[i], false);
		if (cases[i].n_layers > 1)
			check_case(&cases[i], true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stage_takes_what_was_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
