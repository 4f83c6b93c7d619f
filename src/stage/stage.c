/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/stage.h"

#include "base/integers.h"
#include "stage/forward.h"
#include "stage/past.h"
#include "stage/sampler.h"
#include "stage/sequences.h"
#include "stage/sizes.h"
#include "stage/weights.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct stage {
	struct stage_config config;
	const struct model *model;
	stage_logits_fn *on_logits;
	void *on_logits_arg;

	/* Stay from one assignment to the next. */
	struct backend *backend;	/* NULL: not open */
	enum cpu_isa isa;		/* of the open backend */
	uint32_t max_rows;		/* that the open backend has memory for */
	struct weights weights;

	/* Made for one assignment. */
	bool is_assigned;
	struct stage_assignment assignment;
	struct step_limits limits;
	bool is_first;
	bool is_last;
	uint64_t kv_bytes;
	struct kv_cache *caches[MODEL_MAX_GROUPS];	/* kept from the last assignment; else in
							 * forward */
	struct forward forward;
	struct sequences *sequences;
	struct past *past;		/* last stage */
	struct sampler *sampler;	/* last stage */
	float *host_logits;		/* logits of a group; NULL if operations use host memory */
};

/* A row that gives a record. */
struct wanted {
	const struct segment *segment;
	uint32_t position;	/* position of the token that the row gives */
	bool is_drawn;		/* if false, the token is known: */
	uint32_t token;
};

/* A group of wanted rows, as many as the logits have room for. */
struct drawing {
	uint32_t n;
	uint32_t rows[FORWARD_MAX_LOGIT_ROWS];
	struct wanted wanted[FORWARD_MAX_LOGIT_ROWS];
};

static enum sc_status check_range(const struct model *model, uint32_t first_layer,
				  uint32_t n_layers, struct error *err)
{
	uint32_t n = model->hparams.n_layers;

	if (!n_layers || first_layer >= n || n_layers > n - first_layer)
		return error_set(err, SC_E_INVALID, "%u layers from layer %u: the model has %u",
				 n_layers, first_layer, n);
	return SC_OK;
}

/* A shorter ring would lose positions that rows still see. */
static enum sc_status check_groups(const struct model *model, const struct step_limits *limits,
				   struct error *err)
{
	if (limits->n_groups < model->n_groups || limits->n_groups > model->n_groups + 1)
		return error_set(err, SC_E_INVALID, "limits: %u groups of blocks, expected %u or "
				 "one more", limits->n_groups, model->n_groups);
	for (uint32_t g = 0; g < model->n_groups; g++) {
		uint32_t least = kv_table_blocks(model->groups[g].window, limits->max_rows,
						 limits->block_length, limits->max_context);

		if (limits->table_blocks[g] < least)
			return error_set(err, SC_E_INVALID, "limits: tables of %u blocks in group "
					 "%u, expected %u for a window of %u",
					 limits->table_blocks[g], g, least,
					 model->groups[g].window);
	}
	return SC_OK;
}

static enum sc_status check_assignment(const struct model *model,
				       const struct stage_assignment *assignment, struct error *err)
{
	const struct hparams *h = &model->hparams;
	const struct step_limits *limits = &assignment->limits;
	enum sc_status status = step_limits_check(limits, err);

	if (status)
		return status;
	if (limits->dim != h->dim || limits->n_vocab != h->n_vocab)
		return error_set(err, SC_E_INVALID,
				 "limits: expected dimension %u and vocabulary %u, found %u and %u",
				 h->dim, h->n_vocab, limits->dim, limits->n_vocab);
	if (limits->max_context > model_max_positions(model))
		return error_set(err, SC_E_INVALID, "limits: a context of %u, expected at most %u, "
				 "the positions that the model has learned", limits->max_context,
				 model_max_positions(model));
	status = check_groups(model, limits, err);
	return status ? status : check_range(model, assignment->first_layer, assignment->n_layers, err);
}

static enum sc_status open_backend(struct stage *stage, enum cpu_isa isa, uint32_t max_rows,
				   struct error *err)
{
	const struct stage_config *config = &stage->config;
	const struct backend_config backend_config = stage_backend_config(config, isa, max_rows);
	enum sc_status status = config->backend->open(config->device, &backend_config,
						      &stage->backend, err);

	if (status)
		return status;
	stage->isa = isa;
	stage->max_rows = max_rows;
	status = weights_init(&stage->weights, stage->backend, stage->model, err);
	if (status) {
		stage->backend->ops->close(stage->backend);
		stage->backend = NULL;
	}
	return status;
}

static enum sc_status resize_backend(struct stage *stage, uint32_t max_rows, struct error *err)
{
	enum sc_status status;

	if (stage->max_rows == max_rows)
		return SC_OK;
	stage->max_rows = 0;
	status = stage->backend->ops->resize(stage->backend, max_rows, err);
	if (!status)
		stage->max_rows = max_rows;
	return status;
}

/* CPU_AUTO stands for the processor's best set, so that the same set has one name only. */
static enum sc_status find_isa(const struct stage *stage, enum cpu_isa *isa, struct error *err)
{
	return stage->config.backend->has_isa ? cpu_isa_select(*isa, isa, err) : SC_OK;
}

/* Opens the backend with the instruction set, unless it is open. max_rows 0: any. */
static enum sc_status prepare_backend(struct stage *stage, enum cpu_isa isa, uint32_t max_rows,
				      struct error *err)
{
	enum sc_status status = find_isa(stage, &isa, err);

	if (status)
		return status;
	if (stage->backend && stage->isa != isa)
		stage_drop(stage);
	if (!stage->backend)
		return open_backend(stage, isa, max_rows ? max_rows : 1, err);
	return max_rows ? resize_backend(stage, max_rows, err) : SC_OK;
}

/* Progress of loading: weights plus memory for keys and values. */
struct loading {
	const struct stage_config *config;
	uint64_t weight_bytes;
	uint64_t kv_bytes;
};

static bool tell_progress(const struct loading *l, uint64_t done_bytes)
{
	const struct stage_config *config = l->config;

	return !config->on_progress ||
	       config->on_progress(config->arg, done_bytes, l->weight_bytes + l->kv_bytes);
}

static bool on_weights(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct loading *l = arg;

	l->weight_bytes = total_bytes;
	return tell_progress(l, done_bytes);
}

static bool on_kv(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	const struct loading *l = arg;
	double part = (double)done_bytes / (double)total_bytes;

	return tell_progress(l, l->weight_bytes + (uint64_t)(part * (double)l->kv_bytes));
}

static enum sc_status load_weights(struct stage *stage, struct loading *loading,
				   uint32_t first_layer, uint32_t n_layers, struct error *err)
{
	const struct weights_range range = {
		.first_layer = first_layer,
		.n_layers = n_layers,
		.on_progress = on_weights,
		.arg = loading,
	};

	return weights_change(&stage->weights, &range, err);
}

/* All groups' caches are kept, or none. */
static bool has_caches(const struct stage *stage)
{
	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++)
		if (stage->caches[g])
			return true;
	return false;
}

static enum sc_status load(struct stage *stage, struct error *err)
{
	const struct stage_assignment *assignment = &stage->assignment;
	struct loading loading = {
		.config = &stage->config,
		.kv_bytes = has_caches(stage) ? 0 : stage->kv_bytes,
	};
	struct forward_config forward = {
		.backend = stage->backend,
		.model = stage->model,
		.weights = &stage->weights,
		.limits = &stage->limits,
		.first_layer = assignment->first_layer,
		.kv_type = assignment->kv_type,
		.kv_bytes = stage->kv_bytes,
		.on_progress = on_kv,
		.arg = &loading,
	};
	enum sc_status status = load_weights(stage, &loading, assignment->first_layer,
					     assignment->n_layers, err);

	if (status)
		return status;
	memcpy(forward.caches, stage->caches, sizeof forward.caches);
	memset(stage->caches, 0, sizeof stage->caches);
	return forward_init(&stage->forward, &forward, err);
}

/* The most rows whose logits exist at once. */
static uint32_t max_group(const struct stage *stage)
{
	return (uint32_t)min_of(stage->limits.max_rows, FORWARD_MAX_LOGIT_ROWS);
}

static enum sc_status create_sampler(struct stage *stage, struct error *err)
{
	uint32_t n_vocab = stage->limits.n_vocab, n_rows = max_group(stage);
	uint32_t n_positions = step_blocks_for(&stage->limits, stage->limits.max_context) *
			       stage->limits.block_length;
	enum sc_status status;

	if (!stage->is_last)
		return SC_OK;
	status = sampler_create(stage->backend, n_vocab, n_rows, n_positions, &stage->sampler);
	if (!status && !stage->backend->ops->is_host_memory) {
		stage->host_logits = calloc((size_t)n_rows * n_vocab, sizeof *stage->host_logits);
		if (!stage->host_logits)
			status = SC_E_NOMEM;
	}
	if (status)
		return error_set(err, SC_E_CAPACITY, "sampler: no memory for a vocabulary of %u",
				 n_vocab);
	return SC_OK;
}

static enum sc_status create_sequences(struct stage *stage, struct error *err)
{
	const struct step_limits *limits = &stage->limits;

	if (sequences_create(limits, &stage->sequences))
		return error_set(err, SC_E_CAPACITY, "sequences: no memory for %" PRIu64
				 " bytes: %u slots of %u positions", sequences_bytes(limits),
				 limits->max_sequences, limits->max_context);
	if (stage->is_last && past_create(limits, &stage->past))
		return error_set(err, SC_E_CAPACITY, "tokens: no memory for %u slots and %u blocks "
				 "of %u positions", limits->max_sequences,
				 limits->max_blocks[step_whole_group(limits)],
				 limits->block_length);
	return SC_OK;
}

enum sc_status stage_create(const struct stage_config *config, struct stage **stage_out,
			    struct error *err)
{
	struct stage *stage;

	if (!backend_is_complete(config->backend))
		return error_set(err, SC_E_UNSUPPORTED, "backend %s cannot run a model yet: use "
				 "--backend cpu", config->backend->name);
	stage = calloc(1, sizeof *stage);
	if (!stage)
		return error_set(err, SC_E_NOMEM, "no memory for a stage");
	stage->config = *config;
	stage->model = config->model;
	*stage_out = stage;
	return SC_OK;
}

void stage_destroy(struct stage *stage)
{
	if (!stage)
		return;
	stage_drop(stage);
	free(stage);
}

/* The parts of the last assignment except kept caches. */
static void end_assignment(struct stage *stage)
{
	forward_deinit(&stage->forward);
	sampler_destroy(stage->sampler);
	sequences_destroy(stage->sequences);
	past_destroy(stage->past);
	free(stage->host_logits);
	stage->sampler = NULL;
	stage->sequences = NULL;
	stage->past = NULL;
	stage->host_logits = NULL;
	stage->is_assigned = false;
}

void stage_release(struct stage *stage)
{
	end_assignment(stage);
	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++) {
		if (stage->caches[g])
			stage->backend->ops->kv_destroy(stage->backend, stage->caches[g]);
		stage->caches[g] = NULL;
	}
}

void stage_drop(struct stage *stage)
{
	stage_release(stage);
	weights_deinit(&stage->weights);
	if (stage->backend)
		stage->backend->ops->close(stage->backend);
	stage->backend = NULL;
}

/* The stage's layers of each group. */
static void count_layers(const struct stage *stage, const struct stage_assignment *assignment,
			 uint32_t n_out[MODEL_MAX_GROUPS])
{
	stage_count_layers(stage->model, assignment->first_layer, assignment->n_layers, n_out);
}

/* Taking the pages of KV caches again would cost about as much as loading as many bytes of weights.
 * No row reads a position that its own sequence has not written. Kept caches go with their backend,
 * if that is opened again. */
static bool can_keep_caches(const struct stage *stage, const struct stage_assignment *next)
{
	const struct stage_assignment *last = &stage->assignment;
	const struct step_limits *a = &last->limits, *b = &next->limits;
	uint32_t n_last[MODEL_MAX_GROUPS], n_next[MODEL_MAX_GROUPS];

	if (!stage->is_assigned)
		return false;
	count_layers(stage, last, n_last);
	count_layers(stage, next, n_next);
	for (uint32_t g = 0; g < stage->model->n_groups; g++)
		if (n_last[g] != n_next[g] || a->max_blocks[g] != b->max_blocks[g] ||
		    (stage->model->groups[g].window &&
		     a->table_blocks[g] != b->table_blocks[g]))
			return false;
	return last->kv_type == next->kv_type && a->block_length == b->block_length;
}

/* What stage_sizes' functions ask of an assignment, without threads and head. */
static struct stage_shape shape_of(const struct stage *stage,
				   const struct stage_assignment *assignment)
{
	const struct step_limits *limits = &assignment->limits;
	struct stage_shape shape = { .n_layers = assignment->n_layers };

	count_layers(stage, assignment, shape.group_layers);
	shape.pools.n = limits->n_groups;
	memcpy(shape.pools.n_blocks, limits->max_blocks, sizeof shape.pools.n_blocks);
	memcpy(shape.pools.table_blocks, limits->table_blocks, sizeof shape.pools.table_blocks);
	return shape;
}

static enum sc_status begin_assignment(struct stage *stage, struct error *err)
{
	const struct stage_assignment *assignment = &stage->assignment;
	const struct stage_shape shape = shape_of(stage, assignment);
	struct stage_sizes sizes;
	enum sc_status status = stage_sizes_of(&stage->config, assignment, &sizes, err);

	if (status)
		return status;
	stage->kv_bytes = stage_kv_bytes_of(&sizes, &shape);
	stage->limits = assignment->limits;
	stage->is_first = assignment->first_layer == 0;
	stage->is_last = assignment->first_layer + assignment->n_layers ==
			 stage->model->hparams.n_layers;
	status = prepare_backend(stage, assignment->isa, stage->limits.max_rows, err);
	if (!status)
		status = create_sequences(stage, err);
	if (!status)
		status = create_sampler(stage, err);
	return status ? status : load(stage, err);
}

enum sc_status stage_assign(struct stage *stage, const struct stage_assignment *assignment,
			    struct error *err)
{
	enum sc_status status = check_assignment(stage->model, assignment, err);

	if (!status && can_keep_caches(stage, assignment))
		forward_take_caches(&stage->forward, stage->caches);
	end_assignment(stage);
	stage->assignment = *assignment;
	if (!status)
		status = begin_assignment(stage, err);
	stage->is_assigned = !status;
	if (status)
		stage_release(stage);
	else
		stage->backend->ops->settle(stage->backend);
	return status;
}

enum sc_status stage_preload(struct stage *stage, enum cpu_isa isa, uint32_t first_layer,
			     uint32_t n_layers, struct error *err)
{
	enum sc_status status = check_range(stage->model, first_layer, n_layers, err);
	struct loading loading = { .config = &stage->config };

	stage_release(stage);
	if (!status)
		status = prepare_backend(stage, isa, 0, err);
	if (!status)
		status = load_weights(stage, &loading, first_layer, n_layers, err);
	if (!status)
		stage->backend->ops->settle(stage->backend);
	return status;
}

void stage_held(const struct stage *stage, uint32_t *first_out, uint32_t *n_out)
{
	weights_held(&stage->weights, first_out, n_out);
}

bool stage_is_first(const struct stage *stage)
{
	return stage->is_first;
}

bool stage_is_last(const struct stage *stage)
{
	return stage->is_last;
}

uint64_t stage_weight_bytes(const struct stage *stage)
{
	return stage->weights.n_bytes;
}

uint64_t stage_kv_bytes(const struct stage *stage)
{
	return stage->kv_bytes;
}

uint64_t stage_kv_saturated(const struct stage *stage, uint32_t *layer_out)
{
	return forward_kv_saturated(&stage->forward, layer_out);
}

const char *stage_not_finite(const struct stage *stage, uint32_t *n_out)
{
	const struct tensor *factors = stage->forward.ropes.not_finite;
	const struct tensor *first = weights_not_finite(&stage->weights, n_out);

	if (factors) {
		++*n_out;
		first = first ? first : factors;
	}
	return first ? first->name : NULL;
}

void stage_on_logits(struct stage *stage, stage_logits_fn *fn, void *arg)
{
	stage->on_logits = fn;
	stage->on_logits_arg = arg;
}

static enum sc_status check_activations(const struct stage *stage, const struct step *step,
					struct error *err)
{
	if (stage->is_first || !step->n_rows || (step->activations && step->dim))
		return SC_OK;
	return error_set(err, SC_E_PROTOCOL, "activations: expected %u rows of %u, found none",
			 step->n_rows, stage->limits.dim);
}

/* Returns a group's logits in host memory. */
static const float *download_logits(struct stage *stage, const float *logits, uint32_t n_rows)
{
	if (stage->backend->ops->is_host_memory)
		return logits;
	stage->backend->ops->download(stage->backend, stage->host_logits, logits,
				      (size_t)n_rows * stage->limits.n_vocab * sizeof *logits);
	return stage->host_logits;
}

static void tell_logits(const struct stage *stage, const struct drawing *group, const float *logits)
{
	for (uint32_t i = 0; stage->on_logits && i < group->n; i++)
		if (group->wanted[i].is_drawn)
			stage->on_logits(stage->on_logits_arg, group->wanted[i].segment->sequence,
					 group->wanted[i].position,
					 logits + (size_t)i * stage->limits.n_vocab,
					 stage->limits.n_vocab);
}

static struct sampler_row sampler_row_of(const struct stage *stage, const struct wanted *wanted,
					 struct token_record *record)
{
	uint32_t slot = wanted->segment->sequence;
	const struct sampling *sampling = past_sampling(stage->past, slot);

	*record = (struct token_record){
		.sequence = slot, .position = wanted->position, .token = wanted->token,
	};
	return (struct sampler_row){
		.sampling = wanted->is_drawn ? sampling : NULL,
		.record = record,
		.n_tops = sampling->n_tops,
		.past = past_view(stage->past, sequences_get(stage->sequences, slot)),
	};
}

/* Runs the group through the head and the sampler, and empties it. */
static void finish_group(struct stage *stage, struct drawing *group, struct stage_answer *answer)
{
	struct sampler_row rows[FORWARD_MAX_LOGIT_ROWS];
	const float *logits, *host_logits;

	if (!group->n)
		return;
	logits = forward_logits(&stage->forward, group->rows, group->n);
	host_logits = download_logits(stage, logits, group->n);
	tell_logits(stage, group, host_logits);
	for (uint32_t i = 0; i < group->n; i++)
		rows[i] = sampler_row_of(stage, &group->wanted[i],
					 &answer->records[answer->n_records++]);
	answer->n_tops += sampler_run(stage->sampler, logits, host_logits, rows, group->n,
				      answer->tops + answer->n_tops);
	group->n = 0;
}

/* What row `row` of the segment must give. tokens are the segment's tokens. */
static struct wanted wanted_of(const struct segment *segment, const uint32_t *tokens, uint32_t row)
{
	bool is_last = row + 1 == segment->n_rows;
	struct wanted wanted = {
		.segment = segment,
		.position = segment->first_position + row + 1,
		.is_drawn = is_last && (segment->flags & SEGMENT_SAMPLE),
	};

	if (!wanted.is_drawn)
		wanted.token = is_last ? segment->next_token : step_token(tokens[row + 1]);
	return wanted;
}

static void make_records(struct stage *stage, const struct step *step,
			 struct stage_answer *answer)
{
	struct drawing group = { .n = 0 };
	uint32_t start = 0;

	answer->n_records = answer->n_tops = 0;
	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];
		uint32_t first = segment_first_record(segment);

		for (uint32_t k = 0; k < segment_n_records(segment); k++) {
			group.rows[group.n] = start + first + k;
			group.wanted[group.n++] = wanted_of(segment, step->tokens + start,
							    first + k);
			if (group.n == FORWARD_MAX_LOGIT_ROWS)
				finish_group(stage, &group, answer);
		}
		start += segment->n_rows;
	}
	finish_group(stage, &group, answer);
}

enum sc_status stage_run(struct stage *stage, const struct step *step, float *activations_out,
			 struct stage_answer *answer, struct error *err)
{
	enum sc_status status = sequences_check(stage->sequences, step, err);

	if (!status)
		status = check_activations(stage, step, err);
	if (status)
		goto fail;
	sequences_apply(stage->sequences, step);
	if (step->n_rows)
		forward_run(&stage->forward, step, stage->sequences,
			    stage->is_last ? NULL : activations_out);
	if (stage->is_last) {
		past_apply(stage->past, step, stage->sequences);
		make_records(stage, step, answer);
	}
	return SC_OK;
fail:
	error_prefix(err, "step %" PRIu64, step->id);
	return status;
}
