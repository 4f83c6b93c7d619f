/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (1024.0 * 1024.0)

struct plan_speed plan_default_speed(void)
{
	/* One ordinary server core: only the ratio of the two matters for the split. */
	return (struct plan_speed){ .bytes_per_second = 20e9, .macs_per_second = 50e9 };
}

uint64_t plan_kv_bytes_per_position(const struct model *model)
{
	const struct hparams *h = &model->hparams;

	return (uint64_t)h->n_kv_heads * (h->head_dim + h->value_dim) * sizeof(float);
}

static struct plan_speed speed_of(const struct plan_input *input, unsigned stage)
{
	return input->speeds ? input->speeds[stage] : plan_default_speed();
}

/* Sums over layers [0, i), so that any range costs one subtraction. */
struct sums {
	uint64_t *bytes;	/* [n_layers + 1] */
	uint64_t *macs;
};

static enum sc_status sums_init(struct sums *sums, const struct model *model)
{
	uint32_t n_layers = model->hparams.n_layers;

	sums->bytes = calloc(n_layers + 1, sizeof sums->bytes[0]);
	sums->macs = calloc(n_layers + 1, sizeof sums->macs[0]);
	if (!sums->bytes || !sums->macs)
		return SC_E_NOMEM;
	for (uint32_t i = 0; i < n_layers; i++) {
		sums->bytes[i + 1] = sums->bytes[i] + model_layer_bytes(model, i);
		sums->macs[i + 1] = sums->macs[i] + model_layer_macs(model, i);
	}
	return SC_OK;
}

static void sums_deinit(struct sums *sums)
{
	free(sums->bytes);
	free(sums->macs);
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

	out.kv_bytes = plan_kv_bytes_per_position(model) * out.n_layers * input->n_blocks *
		       input->block_length;
	if (out.has_head) {
		out.weight_bytes += model_head_bytes(model);
		out.macs += model_head_macs(model);
	}
	/* A row of the embedding is read per token, not the whole of it: memory, but no time. */
	read_bytes = (double)out.weight_bytes;
	if (out.has_embedding)
		out.weight_bytes += model_embedding_bytes(model);
	out.decode_seconds = read_bytes / speed.bytes_per_second +
			     (double)out.macs / speed.macs_per_second;
	out.prompt_seconds = read_bytes / speed.bytes_per_second +
			     layer_macs * input->max_rows / speed.macs_per_second;
	return out;
}

/* best[s][i]: the cheapest way to put layers [0, i) on stages [0, s]; from[s][i]: where stage s
 * then begins. Cost: the slowest stage first, then the sum of squares. */
struct cost {
	double slowest;
	double squares;
};

static bool is_cheaper(struct cost a, struct cost b)
{
	if (a.slowest != b.slowest)
		return a.slowest < b.slowest;
	return a.squares < b.squares;
}

static struct cost add_stage(struct cost before, double seconds)
{
	return (struct cost){
		.slowest = seconds > before.slowest ? seconds : before.slowest,
		.squares = before.squares + seconds * seconds,
	};
}

static void fill_row(const struct plan_input *input, const struct sums *sums, unsigned stage,
		     const struct cost *above, struct cost *row, uint32_t *from)
{
	uint32_t n_layers = input->model->hparams.n_layers;

	for (uint32_t end = stage + 1; end <= n_layers; end++) {
		row[end] = (struct cost){ .slowest = INFINITY };
		for (uint32_t first = end - 1; first + 1 > stage; first--) {
			double seconds =
				describe_stage(input, sums, stage, first, end).decode_seconds;
			struct cost cost = add_stage(above[first], seconds);

			if (is_cheaper(cost, row[end])) {
				row[end] = cost;
				from[end] = first;
			}
			/* Longer ranges only cost more. */
			if (seconds > row[end].slowest || !first)
				break;
		}
	}
}

/* ends[s]: the layer after stage s. */
static enum sc_status split(const struct plan_input *input, const struct sums *sums,
			    uint32_t *ends)
{
	size_t width = (size_t)input->model->hparams.n_layers + 1;
	struct cost *costs = calloc(2 * width, sizeof costs[0]);
	uint32_t *from = calloc(input->n_stages * width, sizeof from[0]);
	struct cost *above = costs, *row = costs + width;
	enum sc_status status = SC_E_NOMEM;

	if (!costs || !from)
		goto out;
	for (size_t i = 1; i < width; i++)
		above[i].slowest = INFINITY;
	for (unsigned stage = 0; stage < input->n_stages; stage++) {
		struct cost *done = row;

		for (size_t i = 0; i < width; i++)
			row[i] = (struct cost){ .slowest = INFINITY };
		fill_row(input, sums, stage, above, row, from + stage * width);
		row = above;
		above = done;
	}
	for (uint32_t stage = input->n_stages, end = (uint32_t)width - 1; stage-- > 0;) {
		ends[stage] = end;
		end = from[stage * width + end];
	}
	status = SC_OK;
out:
	free(costs);
	free(from);
	return status;
}

static enum sc_status check_memory(const struct plan_input *input, const struct plan *plan,
				   struct error *err)
{
	for (unsigned i = 0; input->memory_bytes && i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];
		uint64_t needed = stage->weight_bytes + stage->kv_bytes;

		if (input->memory_bytes[i] && needed > input->memory_bytes[i])
			return error_set(err, SC_E_CAPACITY,
					 "stage %u needs %.1f MiB of weights and %.1f MiB of KV, "
					 "its worker has %.1f MiB: use more stages or less context",
					 i + 1, (double)stage->weight_bytes / MIB,
					 (double)stage->kv_bytes / MIB,
					 (double)input->memory_bytes[i] / MIB);
	}
	return SC_OK;
}

static enum sc_status fill_plan(const struct plan_input *input, const struct sums *sums,
				struct plan *plan, uint32_t *ends)
{
	enum sc_status status = split(input, sums, ends);

	for (unsigned i = 0; status == SC_OK && i < plan->n_stages; i++) {
		struct plan_stage *stage = &plan->stages[i];

		*stage = describe_stage(input, sums, i, i ? ends[i - 1] : 0, ends[i]);
		plan->decode_seconds += stage->decode_seconds;
		if (stage->decode_seconds > plan->slowest_decode_seconds)
			plan->slowest_decode_seconds = stage->decode_seconds;
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
	status = sums_init(&sums, input->model);
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

	status = buf_add_format(text, "%-6s %-24s %-10s %12s %10s %14s %14s\n", "stage", "worker",
				"layers", "weights MiB", "KV MiB", "decode ms/row", "prompt ms/step");
	for (unsigned i = 0; status == SC_OK && i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];
		char layers[32];

		snprintf(layers, sizeof layers, "%s%u-%u%s", stage->has_embedding ? "e+" : "",
			 stage->first_layer, stage->first_layer + stage->n_layers - 1,
			 stage->has_head ? "+h" : "");
		status = buf_add_format(text, "%-6u %-24s %-10s %12.1f %10.1f %14.3f %14.3f\n",
					i + 1, where && where[i] ? where[i] : "-", layers,
					(double)stage->weight_bytes / MIB,
					(double)stage->kv_bytes / MIB,
					stage->decode_seconds * 1e3, stage->prompt_seconds * 1e3);
	}
	if (status == SC_OK)
		status = buf_add_format(text,
					"predicted: %.0f tokens/s for one sequence, "
					"%.0f tokens/s with every stage busy\n",
					1.0 / plan->decode_seconds,
					1.0 / plan->slowest_decode_seconds);
	return status;
}
