/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plan says that a stage takes is what it takes: no less, and not much more. The program's
 * own malloc, mmap and their kin add up what is asked for and pass the calls on to glibc or the
 * kernel; under a sanitizer, which has its own, only keys and values are compared.
 */
#include "backend/cpu/cpu.h"
#include "backend/cpu/kv.h"
#include "coordinator/plan_memory.h"
#include "worker/compute.h"

#include "tests/model/tiny_model.h"

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

/* --- keys and values --- */

static void check_kv(struct backend *backend, const struct kv_cache_config *config)
{
	const struct model model = { .hparams = {
		.n_kv_heads = config->n_kv_heads, .head_dim = config->head_dim,
		.value_dim = config->value_dim,
	} };
	const struct plan_input input = {
		.model = &model, .n_blocks = config->n_blocks,
		.block_length = config->block_length, .kv_type = config->type,
	};
	uint64_t planned = plan_kv_bytes(&input, config->n_layers), taken;
	struct kv_cache *cache;
	struct error err;

	if (backend->ops->kv_create(backend, config, &cache, &err) != SC_OK)
		fail_msg("%s", err.text);
	taken = (uint64_t)config->n_layers * config->n_blocks * config->n_kv_heads *
		cache->record.n_bytes;
	if (taken > planned || (cpu_of(backend)->kernels->lanes == 16 && taken < planned))
		fail_msg("type %d, heads of %u and %u, blocks of %u: %llu bytes, planned %llu",
			 config->type, config->head_dim, config->value_dim, config->block_length,
			 (unsigned long long)taken, (unsigned long long)planned);
	backend->ops->kv_destroy(backend, cache);
}

static void check_kv_of(struct backend *backend)
{
	static const enum tensor_type types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16,
						  TENSOR_Q8_0 };
	static const unsigned dims[] = { 32, 64, 96, 128, 160, 256 };
	static const unsigned lengths[] = { 1, 2, 8, 16, 24, 32, 33, 64, 100, 128, 1024 };

	for (unsigned t = 0; t < 4; t++)
		for (unsigned d = 0; d < 36; d++)
			for (unsigned l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
				check_kv(backend, &(struct kv_cache_config){
					.n_layers = 2, .n_blocks = 3, .n_kv_heads = 2,
					.block_length = lengths[l], .head_dim = dims[d % 6],
					.value_dim = dims[d / 6], .type = types[t],
				});
}

static void keys_and_values_take_what_was_planned_with_every_instruction_set(void **state)
{
	struct backend_config config = { .n_threads = 1, .max_rows = 1, .max_width = 32 };
	const struct backend_ops *ops = backend_find("cpu");
	unsigned n_tried = 0;

	(void)state;
	for (unsigned isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		struct backend *backend;

		config.isa = (enum cpu_isa)isa;
		if (ops->open(0, &config, &backend, NULL) != SC_OK)
			continue;
		check_kv_of(backend);
		ops->close(backend);
		n_tried++;
	}
	assert_true(n_tried > 0);
}

/* --- work --- */

static sem_t news;

static void on_news(void *arg)
{
	(void)arg;
	sem_post(&news);
}

/* Of a stage with its compute thread; weights and their arena have one chunk. */
static uint64_t work_taken(const struct compute_config *config,
			   const struct compute_assignment *assignment,
			   const struct plan_input *input)
{
	const uint64_t chunk_bytes = 2 * MIB;
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
	taken = n_in_use - before - chunk_bytes -
		plan_kv_bytes(input, input->model->hparams.n_layers);
	assert_int_equal(compute_destroy(compute, 60000, NULL), SC_OK);
	sem_destroy(&news);
	return taken;
}

struct work_case {
	uint32_t n_vocab, dim, ffn_dim, n_heads, n_kv_heads, head_dim;
	uint32_t max_rows, max_sequences, max_context, n_blocks, block_length, window, n_threads;
};

static void check_work(const struct work_case *c)
{
	struct tiny_model tiny = tiny_llama;
	struct buf file = BUF_INIT;
	struct model *model;

	tiny.type = TENSOR_Q8_0;
	tiny.n_layers = 1;
	tiny.n_vocab = c->n_vocab;
	tiny.dim = c->dim;
	tiny.ffn_dim = c->ffn_dim;
	tiny.n_heads = c->n_heads;
	tiny.n_kv_heads = c->n_kv_heads;
	tiny.head_dim = c->head_dim;
	tiny.is_tied = true;
	model = tiny_model_open(&tiny, &file);
	const struct compute_config config = {
		.stage = {
			.model = model, .backend = backend_find("cpu"), .n_threads = c->n_threads,
		},
		.on_news = on_news,
	};
	const struct compute_assignment assignment = {
		.stage = {
			.n_layers = 1, .kv_type = TENSOR_F16,
			.limits = {
				.max_rows = c->max_rows, .max_sequences = c->max_sequences,
				.max_blocks = c->n_blocks, .block_length = c->block_length,
				.max_context = c->max_context, .n_vocab = c->n_vocab,
				.dim = c->dim,
			},
		},
		.window = c->window,
	};
	const struct plan_input input = {
		.model = model, .n_stages = 1, .max_rows = c->max_rows,
		.max_sequences = c->max_sequences, .max_context = c->max_context,
		.n_blocks = c->n_blocks, .block_length = c->block_length,
		.kv_type = TENSOR_F16, .n_threads = &c->n_threads,
		.frame_bytes = c->window * (uint64_t)step_bytes_max(&assignment.stage.limits),
	};
	uint64_t planned = plan_work_bytes(&input, 0), taken = work_taken(&config, &assignment, &input);

	print_message("%.1f MiB taken, %.1f MiB planned\n", (double)taken / (double)MIB,
		      (double)planned / (double)MIB);
	if (IS_COUNTED && (taken > planned || planned > taken + taken / 4 + 2 * MIB))
		fail_msg("%llu bytes taken, %llu planned", (unsigned long long)taken,
			 (unsigned long long)planned);
	model_close(model);
	buf_deinit(&file);
}

/* In each case something else is the most of it. */
static const struct work_case cases[] = {
	/* little of everything */
	{ 264, 64, 96, 4, 2, 16, 8, 4, 64, 16, 16, 1, 1 },
	/* rows: wide streams, wide products, many heads */
	{ 264, 512, 64, 4, 2, 16, 4096, 4, 64, 16, 16, 1, 1 },
	{ 264, 64, 2048, 4, 2, 16, 4096, 4, 64, 16, 16, 1, 1 },
	{ 264, 64, 96, 32, 2, 64, 2048, 4, 64, 16, 16, 1, 1 },
	{ 264, 64, 96, 16, 16, 64, 2048, 4, 64, 16, 16, 1, 1 },
	/* logits */
	{ 32000, 32, 64, 2, 2, 16, 256, 4, 64, 16, 16, 1, 1 },
	/* tables of blocks */
	{ 264, 64, 96, 4, 2, 16, 8, 2048, 1 << 18, 16, 16, 1, 1 },
	{ 264, 64, 96, 4, 2, 16, 8, 65536, 16, 16, 16, 1, 1 },
	/* frames */
	{ 264, 512, 64, 4, 2, 16, 1024, 4, 64, 16, 16, 32, 1 },
	/* threads */
	{ 264, 64, 96, 16, 16, 128, 8, 4, 4096, 256, 16, 1, 8 },
	{ 264, 64, 96, 2, 2, 32, 8, 4, 64, 16, 1024, 1, 4 },
	{ 264, 64, 96, 16, 16, 128, 8, 4, 4096, 256, 33, 1, 8 },
};

static void work_takes_what_was_planned_and_not_much_less(void **state)
{
	(void)state;
	if (!IS_COUNTED)
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_work(&cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_values_take_what_was_planned_with_every_instruction_set),
		cmocka_unit_test(work_takes_what_was_planned_and_not_much_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
