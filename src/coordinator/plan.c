/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/plan.h"

#include "base/integers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

struct plan_speed plan_default_speed(void)
{
	/* A server core does about five multiply-adds in the time in which it reads a byte. */
	return (struct plan_speed){ .bytes = 1, .macs = 5 };
}

static struct plan_speed speed_of(const struct plan_input *input, unsigned stage)
{
	return input->speeds ? input->speeds[stage] : plan_default_speed();
}

struct kv_pools plan_pools(const struct plan_input *input)
{
	return kv_pools_of(input->model, &(struct kv_pools_wish){
		.max_rows = input->max_rows,
		.block_length = input->block_length,
		.max_context = input->max_context,
		.n_blocks = input->n_blocks,
		.n_sequences = input->n_sequences,
	});
}

/* Prefix sums over layers [0, i), so that any range costs one subtraction; the pools; and the times of
 * the whole model on the first stage's worker. */
struct sums {
	uint64_t *bytes;	/* [n_layers + 1] */
	uint64_t *macs;
	uint32_t (*group_layers)[MODEL_MAX_GROUPS];
	struct kv_pools pools;
	double decode_cost;
	double prompt_cost;
};

static enum sc_status sums_init(struct sums *sums, const struct plan_input *input)
{
	const struct model *model = input->model;
	uint32_t n_layers = model->hparams.n_layers;
	struct plan_speed speed = speed_of(input, 0);
	double read_cost;

	sums->bytes = calloc(n_layers + 1, sizeof sums->bytes[0]);
	sums->macs = calloc(n_layers + 1, sizeof sums->macs[0]);
	sums->group_layers = calloc(n_layers + 1, sizeof sums->group_layers[0]);
	if (!sums->bytes || !sums->macs || !sums->group_layers)
		return SC_E_NOMEM;
	for (uint32_t i = 0; i < n_layers; i++) {
		sums->bytes[i + 1] = sums->bytes[i] + model_layer_bytes(model, i);
		sums->macs[i + 1] = sums->macs[i] + model_layer_macs(model, i);
		memcpy(sums->group_layers[i + 1], sums->group_layers[i],
		       sizeof sums->group_layers[0]);
		sums->group_layers[i + 1][model->shapes[i].group]++;
	}
	sums->pools = plan_pools(input);
	read_cost = (double)(sums->bytes[n_layers] + model_head_bytes(model)) / speed.bytes;
	sums->decode_cost = read_cost + (double)(sums->macs[n_layers] + model_head_macs(model)) /
					speed.macs;
	sums->prompt_cost = read_cost + (double)sums->macs[n_layers] * input->max_rows /
					speed.macs;
	return SC_OK;
}

/* The cost that a search balances. The head is work for every generated token, but hardly any for a
 * prompt, so no split is even for both. A stage's cost is half its share of the model's decode step
 * plus half its share of the model's prompt step. */
static double share_of(const struct sums *sums, const struct plan_stage *stage)
{
	return (stage->decode_cost / sums->decode_cost +
		stage->prompt_cost / sums->prompt_cost) / 2;
}

static void sums_deinit(struct sums *sums)
{
	free(sums->bytes);
	free(sums->macs);
	free(sums->group_layers);
}

/* Fills in the bytes of a stage whose layers are known, with these pools. */
static void count_bytes(const struct plan_input *input, const struct kv_pools *pools,
			unsigned stage, struct plan_stage *what)
{
	const struct stage_sizes *sizes = &input->sizes[stage];
	struct stage_shape shape = {
		.n_layers = what->n_layers,
		.pools = *pools,
		.n_context_blocks = (uint32_t)div_up(input->max_context, input->block_length),
		.n_threads = input->n_threads ? input->n_threads[stage] : 1,
		.has_head = what->has_head,
	};

	memcpy(shape.group_layers, what->group_layers, sizeof shape.group_layers);
	what->kv_bytes = stage_kv_bytes_of(sizes, &shape);
	what->work_bytes = add_capped(stage_work_bytes_of(sizes, &shape), input->frame_bytes);
}

static struct plan_stage describe_stage(const struct plan_input *input, const struct sums *sums,
					unsigned stage, uint32_t first, uint32_t end)
{
	const struct model *model = input->model;
	struct plan_speed speed = speed_of(input, stage);
	struct plan_stage out = {
		.first_layer = first,
		.n_layers = end - first,
		.has_embedding = stage == 0,
		.has_head = stage == input->n_stages - 1,
		.weight_bytes = sums->bytes[end] - sums->bytes[first],
		.macs = sums->macs[end] - sums->macs[first],
	};
	double read_bytes;
	double layer_macs = (double)out.macs;

	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++)
		out.group_layers[g] = sums->group_layers[end][g] - sums->group_layers[first][g];
	count_bytes(input, &sums->pools, stage, &out);
	if (out.has_head) {
		out.weight_bytes += model_head_bytes(model);
		out.macs += model_head_macs(model);
	}
	/* One row of the embedding is read per token: the embedding takes memory, but no time. */
	read_bytes = (double)out.weight_bytes;
	if (out.has_embedding)
		out.weight_bytes += model_embedding_bytes(model);
	out.decode_cost = read_bytes / speed.bytes + (double)out.macs / speed.macs;
	out.prompt_cost = read_bytes / speed.bytes + layer_macs * input->max_rows / speed.macs;
	return out;
}

static bool has_room(const struct plan_input *input, unsigned stage, const struct plan_stage *what)
{
	uint64_t memory = input->memory_bytes ? input->memory_bytes[stage] : 0;
	uint64_t n_parts = input->kv_parts ? input->kv_parts : 1;

	uint64_t needed = add_capped(what->weight_bytes,
				     multiply_capped(n_parts, what->kv_bytes));

	return !memory || add_capped(needed, what->work_bytes) <= memory;
}

/* What a search minimises: the cost of the most expensive stage, or (is_sum) the sum of squares
 * over splits whose stages do not exceed limit. */
struct search {
	bool is_sum;
	bool is_memory_bounded;
	double limit;
};

static double add_stage(const struct search *search, double before, double share)
{
	if (search->is_sum)
		return before + share * share;
	return share > before ? share : before;
}

/* One step of dynamic programming. above[i]: the cost of putting layers [0, i) on the stages before
 * this one. row[i]: the cost including this stage. from[i]: the first layer of this stage then. */
static void fill_row(const struct plan_input *input, const struct sums *sums,
		     const struct search *search, unsigned stage, const double *above, double *row,
		     uint32_t *from)
{
	uint32_t n_layers = input->model->hparams.n_layers;

	for (uint32_t end = 0; end <= n_layers; end++) {
		row[end] = INFINITY;
		for (uint32_t first = end; first-- > stage;) {
			struct plan_stage it = describe_stage(input, sums, stage, first, end);
			double share = share_of(sums, &it);
			double cost = add_stage(search, above[first], share);

			/* Longer ranges cost more, so stop. */
			if (share > search->limit ||
			    (!search->is_sum && share > row[end]) ||
			    (search->is_memory_bounded && !has_room(input, stage, &it)))
				break;
			if (cost < row[end]) {
				row[end] = cost;
				from[end] = first;
			}
		}
	}
}

/* Costs and choices during a search. */
struct table {
	size_t width;		/* layers + 1 */
	double *costs;		/* [2][width] */
	uint32_t *from;		/* [n_stages][width] */
};

/* Returns the cost of the best split, or INFINITY if there is none. ends[s]: the layer after stage
 * s. */
static double find_split(const struct plan_input *input, const struct sums *sums,
			 const struct search *search, struct table *table, uint32_t *ends)
{
	double *above = table->costs, *row = table->costs + table->width;
	uint32_t end = (uint32_t)table->width - 1;

	for (size_t i = 0; i < table->width; i++)
		above[i] = i ? INFINITY : 0.0;
	for (unsigned stage = 0; stage < input->n_stages; stage++) {
		double *done = row;

		fill_row(input, sums, search, stage, above, row,
			 table->from + stage * table->width);
		row = above;
		above = done;
	}
	if (isinf(above[end]))
		return INFINITY;
	for (unsigned stage = input->n_stages; stage-- > 0;) {
		ends[stage] = end;
		end = table->from[stage * table->width + end];
	}
	return above[table->width - 1];
}

/* Splits within the workers' memory. If that is impossible, splits without limits, so that the
 * error can say what is missing. */
static enum sc_status split(const struct plan_input *input, const struct sums *sums,
			    uint32_t *ends)
{
	size_t width = (size_t)input->model->hparams.n_layers + 1;
	struct search search = { .is_memory_bounded = true, .limit = INFINITY };
	struct table table = {
		.width = width,
		.costs = calloc(2 * width, sizeof table.costs[0]),
		.from = calloc(input->n_stages * width, sizeof table.from[0]),
	};
	enum sc_status status = SC_E_NOMEM;
	double slowest;

	if (!table.costs || !table.from)
		goto out;
	slowest = find_split(input, sums, &search, &table, ends);
	if (isinf(slowest)) {
		search.is_memory_bounded = false;
		slowest = find_split(input, sums, &search, &table, ends);
	}
	search.is_sum = true;
	search.limit = slowest;
	(void)find_split(input, sums, &search, &table, ends);
	status = SC_OK;
out:
	free(table.costs);
	free(table.from);
	return status;
}

static enum sc_status check_memory(const struct plan_input *input, const struct plan *plan,
				   struct error *err)
{
	for (unsigned i = 0; i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];
		if (!has_room(input, i, stage))
			return error_set(err, SC_E_CAPACITY,
					 "stage %u needs %.1f MiB for weights, %.1f MiB for KV and "
					 "%.1f MiB of work memory, but its worker has %.1f MiB: "
					 "use more stages, less context or smaller steps", i + 1,
					 (double)stage->weight_bytes / MIB,
					 (double)stage->kv_bytes / MIB,
					 (double)stage->work_bytes / MIB,
					 (double)input->memory_bytes[i] / MIB);
	}
	return SC_OK;
}

static enum sc_status fill_plan(const struct plan_input *input, const struct sums *sums,
				struct plan *plan, uint32_t *ends)
{
	enum sc_status status = SC_OK;

	if (input->ends)
		memcpy(ends, input->ends, input->n_stages * sizeof ends[0]);
	else
		status = split(input, sums, ends);
	for (unsigned i = 0; status == SC_OK && i < plan->n_stages; i++) {
		struct plan_stage *stage = &plan->stages[i];

		*stage = describe_stage(input, sums, i, i ? ends[i - 1] : 0, ends[i]);
		if (input->workers)
			snprintf(stage->worker, sizeof stage->worker, "%s", input->workers[i]);
	}
	return status;
}

enum sc_status plan_make(const struct plan_input *input, struct plan **plan_out, struct error *err)
{
	uint32_t n_layers = input->model->hparams.n_layers;
	struct sums sums = { 0 };
	struct plan *plan = NULL;
	uint32_t *ends = NULL;
	enum sc_status status;

	if (!input->n_stages || input->n_stages > n_layers)
		return error_set(err, SC_E_INVALID,
				 "%u stages for a model with %u layers: use 1 to %u",
				 input->n_stages, n_layers, n_layers);
	plan = calloc(1, sizeof *plan);
	ends = calloc(input->n_stages, sizeof ends[0]);
	status = sums_init(&sums, input);
	if (plan)
		plan->stages = calloc(input->n_stages, sizeof plan->stages[0]);
	if (status == SC_OK && plan && plan->stages && ends) {
		plan->n_stages = input->n_stages;
		status = fill_plan(input, &sums, plan, ends);
	} else {
		status = SC_E_NOMEM;
	}
	if (status != SC_OK)
		error_set(err, status, "out of memory for a plan of %u stages", input->n_stages);
	else
		status = check_memory(input, plan, err);
	sums_deinit(&sums);
	free(ends);
	if (status != SC_OK)
		plan_destroy(plan);
	else
		*plan_out = plan;
	return status;
}

/* --- the size of the pool --- */

static struct plan_input with_blocks(const struct plan_input *input, uint32_t n_blocks)
{
	struct plan_input out = *input;
	uint64_t n_positions = (uint64_t)n_blocks * input->block_length;

	out.n_blocks = n_blocks;
	if (out.max_context > n_positions)
		out.max_context = (uint32_t)n_positions;
	return out;
}

static bool has_room_for_given(const struct plan_input *input, const struct sums *sums)
{
	for (unsigned stage = 0; stage < input->n_stages; stage++) {
		uint32_t first = stage ? input->ends[stage - 1] : 0;
		struct plan_stage what = describe_stage(input, sums, stage, first,
							input->ends[stage]);

		if (!has_room(input, stage, &what))
			return false;
	}
	return true;
}

/* Gives each stage in turn as many layers as it has room for. If layers are left over then, no
 * split fits. */
static bool has_split(const struct plan_input *input, const struct sums *sums)
{
	uint32_t n_layers = input->model->hparams.n_layers, first = 0;

	if (input->ends)
		return has_room_for_given(input, sums);
	for (unsigned stage = 0; stage < input->n_stages; stage++) {
		uint32_t last_end = n_layers - (input->n_stages - 1 - stage);
		uint32_t end = stage == input->n_stages - 1 ? n_layers - 1 : first;
		struct plan_stage what;

		for (; end < last_end; end++) {
			what = describe_stage(input, sums, stage, first, end + 1);
			if (!has_room(input, stage, &what))
				break;
		}
		if (end == first)
			return false;
		first = end;
	}
	return first == n_layers;
}

/* Keys and values of all stages take at most most_bytes. */
static bool is_room_in(const struct plan *plan, const struct plan_input *input,
		       uint64_t most_bytes)
{
	const struct kv_pools pools = plan_pools(input);
	uint64_t n_bytes = 0;

	for (unsigned i = 0; i < plan->n_stages; i++) {
		struct plan_stage what = plan->stages[i];

		count_bytes(input, &pools, i, &what);
		n_bytes = add_capped(n_bytes, what.kv_bytes);
		if (!has_room(input, i, &what))
			return false;
	}
	return n_bytes <= most_bytes;
}

/* Binary search: if some number of blocks fits, fewer fit, too. */
static uint32_t most_blocks(const struct plan_input *input, struct sums *sums, uint32_t most)
{
	uint32_t least = 0;

	while (least < most) {
		uint32_t middle = least + (most - least + 1) / 2;
		struct plan_input tried = with_blocks(input, middle);

		sums->pools = plan_pools(&tried);
		if (has_split(&tried, sums))
			least = middle;
		else
			most = middle - 1;
	}
	return least;
}

enum sc_status plan_most_blocks(const struct plan_input *input, uint32_t most,
				uint32_t *n_blocks_out)
{
	struct sums sums = { 0 };
	enum sc_status status = SC_OK;

	if (!input->n_stages || input->n_stages > input->model->hparams.n_layers)
		*n_blocks_out = 0;
	else if ((status = sums_init(&sums, input)) == SC_OK)
		*n_blocks_out = most_blocks(input, &sums, most);
	sums_deinit(&sums);
	return status;
}

uint32_t plan_room(const struct plan *plan, const struct plan_input *input, uint32_t most,
		   uint64_t most_bytes)
{
	uint32_t least = 0;

	while (least < most) {
		uint32_t middle = least + (most - least + 1) / 2;
		struct plan_input tried = with_blocks(input, middle);

		if (is_room_in(plan, &tried, most_bytes))
			least = middle;
		else
			most = middle - 1;
	}
	return least;
}

uint32_t plan_room_for_windows(const struct plan *plan, const struct plan_input *input,
			       uint32_t most, uint64_t most_bytes)
{
	struct plan_input tried = *input;
	uint32_t least = 1;

	while (least < most) {
		tried.n_sequences = least + (most - least + 1) / 2;
		if (is_room_in(plan, &tried, most_bytes))
			least = tried.n_sequences;
		else
			most = tried.n_sequences - 1;
	}
	return least;
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	free(plan->stages);
	free(plan);
}

enum sc_status plan_format(const struct plan *plan, const char *const *where, struct buf *text)
{
	enum sc_status status;

	status = buf_add_format(text, "%-6s %-24s %-10s %12s %10s %10s\n", "stage", "worker",
				"layers", "weights MiB", "KV MiB", "work MiB");
	for (unsigned i = 0; status == SC_OK && i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];
		char layers[32];

		snprintf(layers, sizeof layers, "%s%u-%u%s", stage->has_embedding ? "e+" : "",
			 stage->first_layer, stage->first_layer + stage->n_layers - 1,
			 stage->has_head ? "+h" : "");
		status = buf_add_format(text, "%-6u %-24s %-10s %12.1f %10.1f %10.1f\n",
					i + 1, where && where[i] ? where[i] : "-", layers,
					(double)stage->weight_bytes / MIB,
					(double)stage->kv_bytes / MIB,
					(double)stage->work_bytes / MIB);
	}
	return status;
}
