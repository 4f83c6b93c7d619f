/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stage that goes from one assignment to the next computes the same bits as a new stage, and
 * loads only what is missing. The backend counts, and fails where it is told to.
 */
#include "stage/stage.h"

#include "tests/model/failing_alloc.h"
#include "tests/model/tiny_model.h"
#include "tests/wire/greedy_sampling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	N_LAYERS = 4,
	N_ROWS = 6,
	MATRICES_OF_LAYER = 7,
	N_RANGES = N_LAYERS * (N_LAYERS + 1) / 2,
};

/* --- a backend that counts --- */

static struct backend_ops counting;
static struct {
	int n_weights, n_caches, n_blocks;	/* that exist */
	int n_weights_made, n_caches_made, n_opened;
	int most_weights;			/* at once */
	bool has_overlapped;			/* a weight was made beside a cache */
	long n_until_failure;			/* operations; -1: none fails */
} count;

static bool fails_now(void)
{
	return count.n_until_failure >= 0 && count.n_until_failure-- == 0;
}

static enum sc_status counting_open(unsigned device, const struct backend_config *config,
				    struct backend **backend_out, struct error *err)
{
	enum sc_status status;

	if (fails_now())
		return error_set(err, SC_E_CAPACITY, "open failed");
	status = backend_cpu.open(device, config, backend_out, err);
	if (!status)
		(*backend_out)->ops = &counting;
	count.n_opened += !status;
	return status;
}

static enum sc_status counting_resize(struct backend *backend, unsigned max_rows,
				      struct error *err)
{
	if (fails_now())
		return error_set(err, SC_E_CAPACITY, "resize failed");
	return backend_cpu.resize(backend, max_rows, err);
}

static enum sc_status counting_alloc(struct backend *backend, size_t n_bytes, void **out)
{
	enum sc_status status = fails_now() ? SC_E_CAPACITY
					    : backend_cpu.alloc(backend, n_bytes, out);

	count.n_blocks += !status;
	return status;
}

static void counting_release(struct backend *backend, void *memory)
{
	count.n_blocks--;
	backend_cpu.release(backend, memory);
}

static enum sc_status counting_weight_create(struct backend *backend, const struct tensor *tensor,
					     struct weight **weight_out, struct error *err)
{
	enum sc_status status;

	if (fails_now())
		return error_set(err, SC_E_CAPACITY, "weight failed");
	status = backend_cpu.weight_create(backend, tensor, weight_out, err);
	count.n_weights += !status;
	count.n_weights_made += !status;
	count.has_overlapped |= count.n_caches > 0;
	if (count.n_weights > count.most_weights)
		count.most_weights = count.n_weights;
	return status;
}

static void counting_weight_destroy(struct backend *backend, struct weight *weight)
{
	count.n_weights--;
	backend_cpu.weight_destroy(backend, weight);
}

static enum sc_status counting_kv_create(struct backend *backend,
					 const struct kv_cache_config *config,
					 struct kv_cache **cache_out, struct error *err)
{
	enum sc_status status;

	if (fails_now())
		return error_set(err, SC_E_CAPACITY, "cache failed");
	status = backend_cpu.kv_create(backend, config, cache_out, err);
	count.n_caches += !status;
	count.n_caches_made += !status;
	return status;
}

static void counting_kv_destroy(struct backend *backend, struct kv_cache *cache)
{
	count.n_caches--;
	backend_cpu.kv_destroy(backend, cache);
}

static int start(void **state)
{
	(void)state;
	counting = backend_cpu;
	counting.open = counting_open;
	counting.resize = counting_resize;
	counting.alloc = counting_alloc;
	counting.release = counting_release;
	counting.weight_create = counting_weight_create;
	counting.weight_destroy = counting_weight_destroy;
	counting.kv_create = counting_kv_create;
	counting.kv_destroy = counting_kv_destroy;
	memset(&count, 0, sizeof count);
	count.n_until_failure = -1;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(count.n_weights, 0);
	assert_int_equal(count.n_caches, 0);
	assert_int_equal(count.n_blocks, 0);
	return 0;
}

/* --- models and stages --- */

/* Models that differ in their ends: head and embedding are one tensor, or two. */
static struct model *models[2];
static struct buf files[2] = { BUF_INIT, BUF_INIT };

static int open_models(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct tiny_model tiny = tiny_qwen2;

		tiny.n_layers = N_LAYERS;
		tiny.is_tied = i;
		tiny.type = i ? TENSOR_Q8_0 : TENSOR_F32;
		models[i] = tiny_model_open(&tiny, &files[i]);
		assert_int_equal(models[i]->outer[OUTER_OUTPUT] ==
				 models[i]->outer[OUTER_TOKEN_EMBD], i);
	}
	return 0;
}

static int close_models(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		model_close(models[i]);
		buf_deinit(&files[i]);
	}
	return 0;
}

static struct stage *create(const struct model *model)
{
	const struct stage_config config = { .model = model, .backend = &counting, .n_threads = 1 };
	struct stage *stage;

	assert_int_equal(stage_create(&config, &stage, NULL), SC_OK);
	return stage;
}

static struct stage_assignment part(const struct model *model, uint32_t first_layer,
				    uint32_t n_layers)
{
	return (struct stage_assignment){
		.first_layer = first_layer, .n_layers = n_layers,
		.limits = {
			.max_rows = 8, .max_sequences = 4, .n_groups = 1,
			.max_blocks = { 8 }, .table_blocks = { 4 }, .block_length = 4,
			.max_context = 16, .n_vocab = model->hparams.n_vocab,
			.dim = model->hparams.dim,
		},
	};
}

static void assign(struct stage *stage, const struct stage_assignment *assignment)
{
	struct error err = { .text = "" };

	if (stage_assign(stage, assignment, &err) != SC_OK)
		fail_msg("%s", err.text);
}

/* Range number i of all ranges of layers. */
static struct stage_assignment range(const struct model *model, unsigned i)
{
	uint32_t first = 0;

	while (i >= N_LAYERS - first)
		i -= N_LAYERS - first++;
	return part(model, first, i + 1);
}

static int n_matrices(const struct model *model, const struct stage_assignment *of)
{
	bool is_first = of->first_layer == 0, is_last = of->first_layer + of->n_layers == N_LAYERS;
	bool is_tied = model->outer[OUTER_OUTPUT] == model->outer[OUTER_TOKEN_EMBD];

	return (int)of->n_layers * MATRICES_OF_LAYER +
	       (is_tied ? is_first || is_last : is_first + is_last);
}

/* --- what a stage computes --- */

struct result {
	float *at;
	size_t n;
};

static void take_logits(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			uint32_t n_vocab)
{
	struct result *result = arg;

	(void)sequence;
	(void)position;
	memcpy(result->at + result->n, logits, n_vocab * sizeof *logits);
	result->n += n_vocab;
}

/* Two steps of a new sequence: N_ROWS - 1 rows, then one. Returns all activations or logits that
 * come out; the caller frees them. The backing memory is larger than either. */
static struct result run(struct stage *stage, const struct model *model, uint32_t block)
{
	uint32_t dim = model->hparams.dim;
	struct result result = { calloc(2, (model->hparams.n_vocab + 1) * sizeof(float) +
					   N_ROWS * dim * sizeof(float)), 0 };
	float *in = aligned_alloc(64, N_ROWS * dim * sizeof *in);
	float *out = aligned_alloc(64, N_ROWS * dim * sizeof *out);
	uint32_t tokens[N_ROWS], blocks[2] = { block, block + 2 };
	struct token_record records[N_ROWS];
	struct stage_answer answer = { .records = records };
	struct error err = { .text = "" };

	assert_true(result.at && in && out);
	stage_on_logits(stage, take_logits, &result);
	for (uint32_t i = 0; i < N_ROWS; i++)
		tokens[i] = i * 37 % 256;
	for (uint32_t i = 0; i < N_ROWS * dim; i++)
		in[i] = (float)(i * 7919 % 1000) / 500 - 1;
	for (unsigned k = 0; k < 2; k++) {
		uint32_t n_rows = k ? 1 : N_ROWS - 1;
		struct segment segment = {
			.flags = SEGMENT_SAMPLE | (k ? 0 : SEGMENT_NEW),
			.first_position = k ? N_ROWS - 1 : 0, .n_rows = n_rows,
			.n_blocks = k ? 0 : 2,
		};
		const struct step step = {
			.id = k + 1, .n_rows = n_rows, .n_segments = 1, .n_blocks = k ? 0 : 2,
			.sampling = greedy_sampling.words,
			.dim = stage_is_first(stage) ? 0 : dim, .segments = &segment,
			.tokens = tokens, .blocks = blocks,
			.activations = stage_is_first(stage) ? NULL : in,
		};

		if (stage_run(stage, &step, stage_is_last(stage) ? NULL : out, &answer,
			      &err) != SC_OK)
			fail_msg("%s", err.text);
		if (!stage_is_last(stage)) {
			memcpy(result.at + result.n, out, n_rows * dim * sizeof *out);
			result.n += n_rows * dim;
		}
	}
	free(in);
	free(out);
	return result;
}

/* expected is freed. */
static void compare(struct stage *stage, const struct model *model, struct result expected)
{
	struct result found = run(stage, model, 0);

	assert_true(found.n > 0);
	assert_int_equal(found.n, expected.n);
	assert_memory_equal(found.at, expected.at, found.n * sizeof(float));
	free(found.at);
	free(expected.at);
}

static struct result run_fresh(const struct model *model, const struct stage_assignment *assignment)
{
	struct stage *stage = create(model);
	struct result result;

	assign(stage, assignment);
	result = run(stage, model, 1);
	stage_destroy(stage);
	return result;
}

/* --- tests --- */

/* Number of matrices in both. */
static int n_common(const struct model *model, const struct stage_assignment *a,
		    const struct stage_assignment *b)
{
	uint32_t first = a->first_layer > b->first_layer ? a->first_layer : b->first_layer;
	uint32_t a_end = a->first_layer + a->n_layers, b_end = b->first_layer + b->n_layers;
	uint32_t end = a_end < b_end ? a_end : b_end;
	int n = end > first ? (int)(end - first) * MATRICES_OF_LAYER : 0;
	int a_ends = n_matrices(model, a) - (int)a->n_layers * MATRICES_OF_LAYER;
	int b_ends = n_matrices(model, b) - (int)b->n_layers * MATRICES_OF_LAYER;

	if (model->outer[OUTER_OUTPUT] == model->outer[OUTER_TOKEN_EMBD])
		return n + (a_ends && b_ends);
	return n + (!a->first_layer && !b->first_layer) + (a_end == N_LAYERS && b_end == N_LAYERS);
}

static void check_change(const struct model *model, struct stage *stage,
			 const struct stage_assignment *from, const struct stage_assignment *to)
{
	int n_kept = n_common(model, from, to), n_before, more;

	assign(stage, from);
	free(run(stage, model, 3).at);
	n_before = count.n_weights_made;
	more = n_matrices(model, from) > n_matrices(model, to) ? n_matrices(model, from)
								: n_matrices(model, to);
	count.most_weights = 0;
	count.has_overlapped = false;
	assign(stage, to);
	assert_int_equal(count.n_weights_made - n_before, n_matrices(model, to) - n_kept);
	assert_int_equal(count.n_weights, n_matrices(model, to));
	assert_true(count.most_weights <= more);
	/* A cache that is kept has the size that the next one would have. */
	assert_true(!count.has_overlapped || from->n_layers == to->n_layers);
	compare(stage, model, run_fresh(model, to));
}

static void any_change_of_range_keeps_the_bits_and_loads_what_is_missing(void **state)
{
	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct stage *stage = create(models[m]);

		for (unsigned i = 0; i < N_RANGES; i++)
			for (unsigned k = 0; k < N_RANGES; k++) {
				const struct stage_assignment from = range(models[m], i);
				const struct stage_assignment to = range(models[m], k);

				check_change(models[m], stage, &from, &to);
			}
		stage_destroy(stage);
	}
}

static void counted_bytes_are_those_of_a_new_stage(void **state)
{
	const struct model *model = models[1];
	struct stage *stage = create(model), *fresh;

	(void)state;
	for (unsigned i = 0; i < 3 * N_RANGES; i++) {
		const struct stage_assignment to = range(model, i * 7 % N_RANGES);

		assign(stage, &to);
		fresh = create(model);
		assign(fresh, &to);
		assert_int_equal(stage_weight_bytes(stage), stage_weight_bytes(fresh));
		assert_int_equal(stage_kv_bytes(stage), stage_kv_bytes(fresh));
		stage_destroy(fresh);
	}
	stage_destroy(stage);
}

static void a_cache_stays_only_if_the_next_one_is_the_same(void **state)
{
	const struct model *model = models[0];
	struct stage_assignment to = part(model, 0, 2);
	struct stage *stage = create(model);

	(void)state;
	assign(stage, &to);
	to.first_layer = 2;
	to.limits.max_rows = 16;
	to.limits.max_sequences = 2;
	to.limits.max_context = 12;
	to.limits.table_blocks[0] = 3;
	assign(stage, &to);
	assert_int_equal(count.n_caches_made, 1);
	to.limits.max_blocks[0] = 12;
	assign(stage, &to);
	assert_int_equal(count.n_caches_made, 2);
	to.limits.block_length = 8;
	to.limits.table_blocks[0] = 2;
	assign(stage, &to);
	assert_int_equal(count.n_caches_made, 3);
	to.kv_type = TENSOR_F16;
	assign(stage, &to);
	assert_int_equal(count.n_caches_made, 4);
	to.n_layers = 1;
	assign(stage, &to);
	assert_int_equal(count.n_caches_made, 5);
	assert_int_equal(count.n_caches, 1);
	assert_int_equal(count.n_opened, 1);
	compare(stage, model, run_fresh(model, &to));
	stage_destroy(stage);
}

static void more_rows_than_before_fit_after_an_assignment(void **state)
{
	const struct model *model = models[0];
	struct stage_assignment to = part(model, 0, N_LAYERS);
	struct stage *stage = create(model);

	(void)state;
	to.limits.max_rows = 1;
	assign(stage, &to);
	to.limits.max_rows = N_ROWS;
	assign(stage, &to);
	assert_int_equal(count.n_weights_made, n_matrices(model, &to));
	compare(stage, model, run_fresh(model, &to));
	stage_destroy(stage);
}

static void another_instruction_set_loads_all_again(void **state)
{
	const struct model *model = models[1];
	struct stage_assignment to = part(model, 0, N_LAYERS);
	struct stage *stage;
	enum cpu_isa best;

	(void)state;
	assert_int_equal(cpu_isa_select(CPU_AUTO, &best, NULL), SC_OK);
	if (best == CPU_SCALAR)
		skip();
	stage = create(model);
	assign(stage, &to);
	to.isa = best;		/* what it was already */
	assign(stage, &to);
	assert_int_equal(count.n_weights_made, n_matrices(model, &to));
	to.isa = CPU_SCALAR;
	assign(stage, &to);
	assert_int_equal(count.n_weights_made, 2 * n_matrices(model, &to));
	assert_int_equal(count.n_weights, n_matrices(model, &to));
	assert_int_equal(count.n_caches, 1);
	compare(stage, model, run_fresh(model, &to));
	stage_destroy(stage);
}

static void expect_held(const struct stage *stage, uint32_t first_layer, uint32_t n_layers)
{
	uint32_t first, n;

	stage_held(stage, &first, &n);
	assert_int_equal(n, n_layers);
	if (n)
		assert_int_equal(first, first_layer);
}

static void preloaded_weights_wait_for_their_assignment(void **state)
{
	const struct model *model = models[0];
	struct stage_assignment to = part(model, 1, 3);
	struct stage *stage = create(model);

	(void)state;
	expect_held(stage, 0, 0);
	assert_int_equal(stage_preload(stage, CPU_AUTO, 4, 1, NULL), SC_E_INVALID);
	assert_int_equal(stage_preload(stage, CPU_AUTO, 1, 3, NULL), SC_OK);
	expect_held(stage, 1, 3);
	assert_int_equal(count.n_caches_made, 0);
	assign(stage, &to);
	assert_int_equal(count.n_weights_made, n_matrices(model, &to));
	stage_release(stage);
	assert_int_equal(count.n_caches, 0);
	expect_held(stage, 1, 3);
	assign(stage, &to);
	assert_int_equal(count.n_weights_made, n_matrices(model, &to));
	compare(stage, model, run_fresh(model, &to));
	stage_drop(stage);
	expect_held(stage, 0, 0);
	assert_int_equal(count.n_weights, 0);
	assign(stage, &to);
	compare(stage, model, run_fresh(model, &to));
	stage_destroy(stage);
}

static bool cancel(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	int *n_left = arg;

	assert_true(done_bytes <= total_bytes);
	return (*n_left)-- > 0;
}

static void a_cancelled_load_goes_on_where_it_ended(void **state)
{
	const struct model *model = models[0];
	const struct stage_assignment to = part(model, 0, N_LAYERS);
	int n_left;
	const struct stage_config config = {
		.model = model, .backend = &counting, .n_threads = 1,
		.on_progress = cancel, .arg = &n_left,
	};
	unsigned n_cancelled = 0;
	struct stage *stage;
	struct error err;
	enum sc_status status;

	(void)state;
	assert_int_equal(stage_create(&config, &stage, &err), SC_OK);
	do {
		n_left = 3;
		status = stage_assign(stage, &to, &err);
		n_cancelled += status == SC_E_CANCELLED;
	} while (status == SC_E_CANCELLED);
	assert_int_equal(status, SC_OK);
	assert_true(n_cancelled > 10);
	assert_int_equal(count.n_weights_made, n_matrices(model, &to));
	compare(stage, model, run_fresh(model, &to));
	stage_destroy(stage);
}

/* Layers that are held need no file. Layers that are missing must not come from another file. */
static void a_changed_file_gives_no_more_layers(void **state)
{
	char path[] = "/tmp/stagecoach-test.XXXXXX";
	struct tiny_model tiny = tiny_qwen2;
	struct stage_assignment to;
	struct stage *stage;
	struct model *model;
	struct error err;

	(void)state;
	close(mkstemp(path));
	tiny_model_save(&tiny, path);
	assert_int_equal(model_open(path, &model, &err), SC_OK);
	to = part(model, 0, 3);
	stage = create(model);
	assign(stage, &to);
	assert_int_equal(truncate(path, 100), 0);
	to.n_layers = 2;
	assign(stage, &to);
	to.n_layers = 4;
	assert_int_equal(stage_assign(stage, &to, &err), SC_E_IO);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "was changed after it was opened"));
	to.n_layers = 2;
	assign(stage, &to);
	stage_destroy(stage);
	model_close(model);
	unlink(path);
}

static void a_replaced_or_deleted_file_still_gives_its_layers(void **state)
{
	char path[] = "/tmp/stagecoach-test.XXXXXX", other[] = "/tmp/stagecoach-test.XXXXXX";
	struct tiny_model tiny = tiny_qwen2;
	struct stage_assignment to;
	struct stage *stage;
	struct model *model;
	struct error err;

	(void)state;
	close(mkstemp(path));
	close(mkstemp(other));
	tiny_model_save(&tiny, path);
	assert_int_equal(model_open(path, &model, &err), SC_OK);
	to = part(model, 0, 1);
	stage = create(model);
	assign(stage, &to);
	assert_int_equal(rename(other, path), 0);
	to.n_layers = 2;
	assign(stage, &to);
	unlink(path);
	to.n_layers = 3;
	assign(stage, &to);
	stage_destroy(stage);
	model_close(model);
}

/* Goes from one assignment to another with operation n failing, back, and there without a failure.
 * Returns true if there are not so many operations. */
static bool survives(const struct model *model, const struct stage_assignment *from,
		     const struct stage_assignment *to, long n, bool is_allocation)
{
	struct stage *stage = create(model);
	enum sc_status status;
	struct error err = { .text = "" };
	bool has_failed;

	assign(stage, from);
	if (is_allocation)
		failing_alloc_arm(n);
	else
		count.n_until_failure = n;
	status = stage_assign(stage, to, &err);
	has_failed = failing_alloc_disarm() || (!is_allocation && count.n_until_failure == -1);
	count.n_until_failure = -1;
	/* qsort sorts in place if there is no memory. */
	assert_true(status == SC_OK ? !has_failed || is_allocation : has_failed);
	if (status) {
		assert_string_not_equal(err.text, "");
		assert_int_equal(count.n_caches, 0);
		assign(stage, from);
		compare(stage, model, run_fresh(model, from));
		assign(stage, to);
	}
	compare(stage, model, run_fresh(model, to));
	stage_destroy(stage);
	return !has_failed;
}

static void check_failures(bool is_allocation)
{
	for (unsigned m = 0; m < 2; m++) {
		struct stage_assignment from = part(models[m], 0, 2), to = part(models[m], 1, 3);
		long n = 0;

		to.limits.max_rows = 12;
		while (!survives(models[m], &from, &to, n, is_allocation))
			n++;
		assert_true(n > 2 * MATRICES_OF_LAYER + 3);
		to.isa = CPU_SCALAR;
		for (n = 0; !survives(models[m], &from, &to, n, is_allocation); n++)
			;
		assert_true(n > 3 * MATRICES_OF_LAYER + 3);
	}
}

static void after_any_failed_operation_a_stage_can_be_assigned(void **state)
{
	(void)state;
	check_failures(false);
}

static void after_any_failed_allocation_a_stage_can_be_assigned(void **state)
{
	(void)state;
	if (!has_failing_alloc)
		skip();
	check_failures(true);
}

static void memory_is_the_same_after_many_assignments(void **state)
{
	const struct model *model = models[1];
	const struct stage_assignment all = part(model, 0, N_LAYERS);
	struct stage *stage;
	long n_live;
	int n_blocks;

	(void)state;
	if (!has_failing_alloc)
		skip();
	stage = create(model);
	assign(stage, &all);
	n_live = failing_alloc_n_live();
	n_blocks = count.n_blocks;
	for (unsigned i = 0; i < 300; i++) {
		const struct stage_assignment to = range(model, i * 7 % N_RANGES);

		assign(stage, &to);
		assign(stage, &all);
		assert_int_equal(failing_alloc_n_live(), n_live);
		assert_int_equal(count.n_blocks, n_blocks);
	}
	stage_destroy(stage);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(any_change_of_range_keeps_the_bits_and_loads_what_is_missing),
		TEST(counted_bytes_are_those_of_a_new_stage),
		TEST(a_cache_stays_only_if_the_next_one_is_the_same),
		TEST(more_rows_than_before_fit_after_an_assignment),
		TEST(another_instruction_set_loads_all_again),
		TEST(preloaded_weights_wait_for_their_assignment),
		TEST(a_cancelled_load_goes_on_where_it_ended),
		TEST(a_changed_file_gives_no_more_layers),
		TEST(a_replaced_or_deleted_file_still_gives_its_layers),
		TEST(after_any_failed_operation_a_stage_can_be_assigned),
		TEST(after_any_failed_allocation_a_stage_can_be_assigned),
		TEST(memory_is_the_same_after_many_assignments),
	};
#undef TEST

	return cmocka_run_group_tests(tests, open_models, close_models);
}
