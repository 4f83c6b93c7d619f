/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/stage.h"

#include "base/integers.h"
#include "stage/forward.h"
#include "stage/sampler.h"
#include "stage/sequences.h"
#include "stage/weights.h"

#include <inttypes.h>
#include <stdlib.h>

struct stage {
	const struct model *model;
	struct step_limits limits;
	uint32_t first_layer;
	bool is_first;
	bool is_last;
	struct backend *backend;
	struct weights weights;
	struct forward forward;
	struct sequences *sequences;
	struct sampler *sampler;	/* last stage */
	float *host_logits;		/* logits of a group; NULL if operations use host memory */
	stage_logits_fn *on_logits;
	void *on_logits_arg;
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

static enum sc_status check_config(const struct stage_config *config, struct error *err)
{
	const struct hparams *h = &config->model->hparams;
	const struct step_limits *limits = &config->limits;
	enum sc_status status = step_limits_check(limits, err);

	if (status)
		return status;
	if (limits->dim != h->dim || limits->n_vocab != h->n_vocab)
		return error_set(err, SC_E_INVALID,
				 "limits: expected dimension %u and vocabulary %u, found %u and %u",
				 h->dim, h->n_vocab, limits->dim, limits->n_vocab);
	if (!config->n_layers || config->first_layer >= h->n_layers ||
	    config->n_layers > h->n_layers - config->first_layer)
		return error_set(err, SC_E_INVALID, "%u layers from layer %u: the model has %u",
				 config->n_layers, config->first_layer, h->n_layers);
	if (!backend_is_complete(config->backend))
		return error_set(err, SC_E_UNSUPPORTED, "backend %s cannot run a model yet: use "
				 "--backend cpu",
				 config->backend->name);
	return SC_OK;
}

static enum sc_status open_backend(struct stage *stage, const struct stage_config *config,
				   struct error *err)
{
	const struct backend_config backend_config = {
		.isa = config->isa,
		.n_threads = config->n_threads,
		.place = config->place,
		.max_rows = config->limits.max_rows,
		.max_width = forward_max_width(config->model),
	};

	return config->backend->open(config->device, &backend_config, &stage->backend, err);
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

/* The backend's numbers include its overhead. */
static bool on_kv(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	const struct loading *l = arg;
	double part = (double)done_bytes / (double)total_bytes;

	return tell_progress(l, l->weight_bytes + (uint64_t)(part * (double)l->kv_bytes));
}

static enum sc_status load(struct stage *stage, const struct stage_config *config,
			   struct error *err)
{
	struct loading loading = {
		.config = config,
		.kv_bytes = forward_kv_bytes(config->model, config->n_layers, &config->limits,
					     config->kv_type),
	};
	const struct weights_config weights = {
		.model = config->model,
		.first_layer = config->first_layer,
		.n_layers = config->n_layers,
		.on_progress = on_weights,
		.arg = &loading,
	};
	const struct forward_config forward = {
		.backend = stage->backend,
		.model = config->model,
		.weights = &stage->weights,
		.limits = &config->limits,
		.kv_type = config->kv_type,
		.on_progress = on_kv,
		.arg = &loading,
	};
	enum sc_status status = weights_init(&stage->weights, stage->backend, &weights, err);

	return status ? status : forward_init(&stage->forward, &forward, err);
}

/* The most rows whose logits exist at once. */
static uint32_t max_group(const struct stage *stage)
{
	return (uint32_t)min_of(stage->limits.max_rows, FORWARD_MAX_LOGIT_ROWS);
}

static enum sc_status create_sampler(struct stage *stage, struct error *err)
{
	uint32_t n_vocab = stage->limits.n_vocab, n_rows = max_group(stage);
	enum sc_status status;

	if (!stage->is_last)
		return SC_OK;
	status = sampler_create(stage->backend, n_vocab, n_rows, &stage->sampler);
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
	if (!sequences_create(&stage->limits, &stage->sequences))
		return SC_OK;
	return error_set(err, SC_E_CAPACITY,
			 "sequences: no memory for %" PRIu64 " bytes: %u slots of %u positions",
			 sequences_bytes(&stage->limits), stage->limits.max_sequences,
			 stage->limits.max_context);
}

enum sc_status stage_create(const struct stage_config *config, struct stage **stage_out,
			    struct error *err)
{
	enum sc_status status = check_config(config, err);
	struct stage *stage;

	if (status)
		return status;
	stage = calloc(1, sizeof *stage);
	if (!stage)
		return error_set(err, SC_E_NOMEM, "no memory for a stage");
	stage->model = config->model;
	stage->limits = config->limits;
	stage->first_layer = config->first_layer;
	stage->is_first = config->first_layer == 0;
	stage->is_last = config->first_layer + config->n_layers == config->model->hparams.n_layers;
	status = create_sequences(stage, err);
	if (!status)
		status = open_backend(stage, config, err);
	if (!status)
		status = create_sampler(stage, err);
	if (!status)
		status = load(stage, config, err);
	if (status) {
		stage_destroy(stage);
		return status;
	}
	if (!stage->forward.is_rope_finite && config->model->rope_factors)
		weights_note_not_finite(&stage->weights, config->model->rope_factors);
	*stage_out = stage;
	return SC_OK;
}

void stage_destroy(struct stage *stage)
{
	if (!stage)
		return;
	forward_deinit(&stage->forward);
	weights_deinit(&stage->weights);
	sampler_destroy(stage->sampler);
	if (stage->backend)
		stage->backend->ops->close(stage->backend);
	sequences_destroy(stage->sequences);
	free(stage->host_logits);
	free(stage);
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
	return stage->forward.kv_bytes;
}

uint64_t stage_kv_saturated(const struct stage *stage, uint32_t *layer_out)
{
	unsigned layer = 0;
	uint64_t n = stage->backend->ops->kv_saturated(stage->forward.cache, &layer);

	*layer_out = stage->first_layer + layer;
	return n;
}

const char *stage_not_finite(const struct stage *stage, uint32_t *n_out)
{
	*n_out = stage->weights.n_not_finite;
	return *n_out ? stage->weights.not_finite->name : NULL;
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

/* Runs the group through the head and the sampler, and empties it. */
static void finish_group(struct stage *stage, struct drawing *group,
			 struct token_record *records_out, uint32_t *n_records)
{
	struct sampler_row rows[FORWARD_MAX_LOGIT_ROWS];
	const float *logits, *host_logits;

	if (!group->n)
		return;
	logits = forward_logits(&stage->forward, group->rows, group->n);
	host_logits = download_logits(stage, logits, group->n);
	tell_logits(stage, group, host_logits);
	for (uint32_t i = 0; i < group->n; i++) {
		const struct wanted *wanted = &group->wanted[i];
		uint32_t slot = wanted->segment->sequence;

		rows[i].record = &records_out[(*n_records)++];
		*rows[i].record = (struct token_record){
			.sequence = slot, .position = wanted->position, .token = wanted->token,
		};
		rows[i].sampling = wanted->is_drawn ?
				   &sequences_get(stage->sequences, slot)->sampling : NULL;
	}
	sampler_run(stage->sampler, logits, host_logits, rows, group->n);
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
		wanted.token = is_last ? segment->next_token : tokens[row + 1];
	return wanted;
}

static uint32_t make_records(struct stage *stage, const struct step *step,
			     struct token_record *records_out)
{
	struct drawing group = { .n = 0 };
	uint32_t n_records = 0, start = 0;

	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];
		uint32_t first = segment_first_record(segment);

		for (uint32_t k = 0; k < segment_n_records(segment); k++) {
			group.rows[group.n] = start + first + k;
			group.wanted[group.n++] = wanted_of(segment, step->tokens + start,
							    first + k);
			if (group.n == FORWARD_MAX_LOGIT_ROWS)
				finish_group(stage, &group, records_out, &n_records);
		}
		start += segment->n_rows;
	}
	finish_group(stage, &group, records_out, &n_records);
	return n_records;
}

enum sc_status stage_run(struct stage *stage, const struct step *step, float *activations_out,
			 struct token_record *records_out, uint32_t *n_records_out,
			 struct error *err)
{
	enum sc_status status = sequences_check(stage->sequences, step, err);
	uint32_t n_records = 0;

	if (!status)
		status = check_activations(stage, step, err);
	if (status)
		goto fail;
	sequences_apply(stage->sequences, step);
	if (step->n_rows)
		forward_run(&stage->forward, step, stage->sequences,
			    stage->is_last ? NULL : activations_out);
	if (stage->is_last)
		n_records = make_records(stage, step, records_out);
	if (n_records_out)
		*n_records_out = n_records;
	return SC_OK;
fail:
	error_prefix(err, "step %" PRIu64, step->id);
	return status;
}
