/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stage/chain.h"

#include "model/kv_pools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ALIGNMENT 64

/* What a sequence holds. */
struct table {
	uint32_t n_positions;
	uint32_t *blocks[STEP_MAX_GROUPS];	/* [table_blocks] */
};

/* The free blocks of a group. */
struct pool {
	uint32_t n_free;
	uint32_t *free;			/* [max_blocks] a stack */
};

struct chain {
	struct step_limits limits;
	unsigned n_stages;
	bool is_in_place;
	struct stage *stages[CHAIN_MAX_STAGES];
	struct table tables[CHAIN_MAX_SEQUENCES];
	struct pool pools[STEP_MAX_GROUPS];
	uint64_t n_steps;
	uint32_t *tokens;		/* [max_rows] of the step that is made */
	uint32_t *new_blocks;		/* [step_max_blocks] */
	uint64_t *sampling;		/* [step_max_sampling] */
	void *payloads[2];		/* [step_bytes_max] frames that take turns */
	struct stage_answer answer;	/* records [max_rows], tops [step_max_tops] */
};

static void *take(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	assert_non_null(memory);
	return memory;
}

/* Of all chains; see chain_use_isa. */
static enum cpu_isa used_isa;

static void create_stages(struct chain *chain, const struct chain_config *config)
{
	uint32_t n_layers = config->model->hparams.n_layers;
	struct error err = { .text = "" };

	assert_in_range(config->n_stages, 1, n_layers);
	for (unsigned i = 0; i < config->n_stages; i++) {
		uint32_t first = n_layers * i / config->n_stages;
		const struct stage_config stage = {
			.model = config->model,
			.backend = &backend_cpu,
			.n_threads = config->n_threads,
		};
		const struct stage_assignment assignment = {
			.isa = used_isa,
			.first_layer = first,
			.n_layers = n_layers * (i + 1) / config->n_stages - first,
			.limits = chain->limits,
		};

		if (stage_create(&stage, &chain->stages[i], &err) ||
		    stage_assign(chain->stages[i], &assignment, &err))
			fail_msg("%s", err.text);
		assert_int_equal(stage_is_first(chain->stages[i]), i == 0);
		assert_int_equal(stage_is_last(chain->stages[i]), i == config->n_stages - 1);
	}
	stage_on_logits(chain->stages[config->n_stages - 1], config->on_logits, config->arg);
}

/* Every other block first, then the rest: neighbours in a table are none in memory. */
static void create_pool(struct chain *chain, uint32_t group, uint32_t table_length)
{
	struct pool *pool = &chain->pools[group];
	uint32_t n = CHAIN_MAX_SEQUENCES * table_length;

	chain->limits.table_blocks[group] = table_length;
	chain->limits.max_blocks[group] = n;
	pool->free = take(n, sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i += 2)
		pool->free[pool->n_free++] = i;
	for (uint32_t i = 1; i < n; i += 2)
		pool->free[pool->n_free++] = i;
	for (unsigned i = 0; i < CHAIN_MAX_SEQUENCES; i++)
		chain->tables[i].blocks[group] = take(table_length, sizeof(uint32_t));
}

struct chain *chain_create(const struct chain_config *config)
{
	const struct hparams *h = &config->model->hparams;
	const struct kv_pools_wish wish = {
		.max_rows = config->max_rows, .block_length = CHAIN_BLOCK_LENGTH,
		.max_context = config->max_context,
	};
	struct kv_pools pools = kv_pools_of(config->model, &wish);
	struct chain *chain = take(1, sizeof *chain);
	struct step_limits *limits = &chain->limits;

	*limits = (struct step_limits){
		.max_rows = config->max_rows,
		.max_sequences = CHAIN_MAX_SEQUENCES,
		.n_groups = pools.n,
		.block_length = CHAIN_BLOCK_LENGTH,
		.max_context = config->max_context,
		.n_vocab = h->n_vocab,
		.dim = h->dim,
	};
	chain->n_stages = config->n_stages;
	chain->is_in_place = config->is_in_place;
	for (uint32_t g = 0; g < pools.n; g++)
		create_pool(chain, g, pools.table_blocks[g]);
	create_stages(chain, config);
	chain->new_blocks = take(step_max_blocks(limits), sizeof(uint32_t));
	chain->tokens = take(limits->max_rows, sizeof(uint32_t));
	chain->sampling = take(step_max_sampling(limits), sizeof(uint64_t));
	chain->answer.records = take(limits->max_rows, sizeof chain->answer.records[0]);
	chain->answer.tops = take(step_max_tops(limits), sizeof chain->answer.tops[0]);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(posix_memalign(&chain->payloads[i], ALIGNMENT,
						step_bytes_max(limits)), 0);
	return chain;
}

void chain_destroy(struct chain *chain)
{
	for (unsigned i = 0; i < chain->n_stages; i++)
		stage_destroy(chain->stages[i]);
	for (uint32_t g = 0; g < STEP_MAX_GROUPS; g++) {
		for (unsigned i = 0; i < CHAIN_MAX_SEQUENCES; i++)
			free(chain->tables[i].blocks[g]);
		free(chain->pools[g].free);
	}
	for (unsigned i = 0; i < 2; i++)
		free(chain->payloads[i]);
	free(chain->new_blocks);
	free(chain->tokens);
	free(chain->sampling);
	free(chain->answer.records);
	free(chain->answer.tops);
	free(chain);
}

static void free_sequence(struct chain *chain, uint32_t sequence)
{
	struct table *table = &chain->tables[sequence];

	for (uint32_t g = 0; g < chain->limits.n_groups; g++) {
		uint32_t n = step_held_blocks(&chain->limits, g, table->n_positions);

		while (n)
			chain->pools[g].free[chain->pools[g].n_free++] = table->blocks[g][--n];
	}
	table->n_positions = 0;
}

/* Appends the blocks of a segment's rows to the step. */
static void add_blocks(struct chain *chain, struct step *step, struct segment *segment)
{
	struct table *table = &chain->tables[segment->sequence];

	segment->first_block = step->n_blocks;
	for (uint32_t g = 0; g < chain->limits.n_groups; g++) {
		uint32_t at = step_held_blocks(&chain->limits, g, segment->first_position);
		uint32_t end = at + segment_new_blocks(&chain->limits, segment, g);

		for (; at < end; at++) {
			uint32_t block = chain->pools[g].free[--chain->pools[g].n_free];

			table->blocks[g][at] = block;
			chain->new_blocks[step->n_blocks++] = block;
		}
	}
	segment->n_blocks = step->n_blocks - segment->first_block;
}

/* Append from's rows and the blocks that they need to the step. */
static void add_segment(struct chain *chain, struct step *step, struct segment *segment_out,
			const struct chain_segment *from)
{
	struct table *table = &chain->tables[from->sequence];

	*segment_out = (struct segment){
		.sequence = from->sequence,
		.flags = (from->sampling ? SEGMENT_NEW : 0) |
			 (from->sampling && from->is_long ? SEGMENT_LONG : 0) |
			 (from->is_sampling ? SEGMENT_SAMPLE : 0),
		.first_position = table->n_positions,
		.n_rows = from->n_rows,
	};
	segment_out->n_scored = from->n_scored;
	segment_out->next_token = from->next_token;
	if (from->sampling) {
		segment_out->sampling_at = step->n_sampling;
		sampling_write(from->sampling, from->biases, from->bans,
			       chain->sampling + step->n_sampling);
		step->n_sampling += sampling_words(from->sampling);
	}
	for (uint32_t i = 0; i < from->n_rows; i++)
		chain->tokens[step->n_rows++] = from->tokens[i];
	add_blocks(chain, step, segment_out);
	table->n_positions += from->n_rows;
}

static void run_stages(struct chain *chain, const struct step *made)
{
	size_t n_bytes = step_bytes(made);
	struct error err = { .text = "" };
	struct step step;

	step_encode(made, chain->payloads[0]);
	step_encode(made, chain->payloads[1]);
	for (unsigned i = 0; i < chain->n_stages; i++) {
		void *in = chain->payloads[chain->is_in_place ? 0 : i % 2];
		void *out = chain->payloads[chain->is_in_place ? 0 : (i + 1) % 2];

		if (step_decode(in, n_bytes, &chain->limits, &step, &err))
			fail_msg("%s", err.text);
		if (stage_run(chain->stages[i], &step, step_activations(out), &chain->answer, &err))
			fail_msg("%s", err.text);
	}
}

const struct token_record *chain_step(struct chain *chain, const struct chain_segment *from,
				      uint32_t n_segments, const uint32_t *frees, uint32_t n_frees,
				      uint32_t *n_records_out)
{
	struct segment segments[CHAIN_MAX_SEQUENCES];
	struct step step = {
		.id = ++chain->n_steps,
		.n_segments = n_segments,
		.n_frees = n_frees,
		.dim = chain->limits.dim,
		.segments = segments,
		.sampling = chain->sampling,
		.tokens = chain->tokens,
		.blocks = chain->new_blocks,
		.frees = frees,
	};

	for (uint32_t i = 0; i < n_frees; i++)
		free_sequence(chain, frees[i]);
	for (uint32_t i = 0; i < n_segments; i++)
		add_segment(chain, &step, &segments[i], &from[i]);
	run_stages(chain, &step);
	*n_records_out = chain->answer.n_records;
	return chain->answer.records;
}

const struct token_top *chain_tops(const struct chain *chain, uint32_t *n_out)
{
	*n_out = chain->answer.n_tops;
	return chain->answer.tops;
}

struct model *chain_open_reference(const char *name)
{
	const char *source = getenv("SRCDIR");
	struct error err = { .text = "" };
	struct model *model = NULL;
	char path[4096];

	snprintf(path, sizeof path, "%s/tests/data/reference/%s.gguf", source ? source : ".", name);
	if (model_open(path, &model, &err))
		fail_msg("%s", err.text);
	return model;
}

bool chain_use_isa(enum cpu_isa isa)
{
	struct error err;

	if (!cpu_isa_select(isa, &used_isa, &err))
		return true;
	print_message("%s\n", err.text);
	return false;
}
