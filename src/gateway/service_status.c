/* SPDX-License-Identifier: Apache-2.0 */
/* GetModel and GetStatus: the model, the stages and their state. */
#include "gateway/service.h"

#include "base/console.h"
#include "engine/engine.h"
#include "gateway/plain_text.h"
#include "gateway/proto_message.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdlib.h>

static void set_tokenizer(Stagecoach__V1__Tokenizer *message, const struct tokenizer *tokenizer)
{
	uint32_t bos = tokenizer_bos(tokenizer);
	uint32_t eos = tokenizer_eos(tokenizer);

	message->n_vocab = tokenizer_n_vocab(tokenizer);
	message->adds_bos = tokenizer_adds_bos(tokenizer);
	if (bos != TOKEN_NONE) {
		message->_bos_case = STAGECOACH__V1__TOKENIZER___BOS_BOS;
		message->bos = bos;
	}
	if (eos != TOKEN_NONE) {
		message->_eos_case = STAGECOACH__V1__TOKENIZER___EOS_EOS;
		message->eos = eos;
	}
}

static void get_model_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct service *service = grpc_call_context(call);
	const struct model *model = engine_model(service->engine);
	const struct hparams *h = &model->hparams;
	Stagecoach__V1__Model message = STAGECOACH__V1__MODEL__INIT;
	Stagecoach__V1__Tokenizer tokenizer = STAGECOACH__V1__TOKENIZER__INIT;
	char name[sizeof model->name];
	char path[4096];

	(void)bytes;	/* GetModelRequest has no fields */
	(void)n_bytes;
	plain_text_copy(model->name, name, sizeof name);
	plain_text_copy(gguf_path(model->gguf), path, sizeof path);
	message.name = name;
	message.architecture = proto_borrow(model->arch->name);
	message.path = path;
	message.file_bytes = gguf_n_bytes(model->gguf);
	message.n_parameters = model->n_params;
	message.fingerprint = model->fingerprint;
	message.n_layers = h->n_layers;
	message.dim = h->dim;
	message.ffn_dim = h->ffn_dim;
	message.n_heads = h->n_heads;
	message.n_kv_heads = h->n_kv_heads;
	message.head_dim = h->head_dim;
	message.n_context_trained = h->n_context;
	message.max_context = engine_max_context(service->engine);
	set_tokenizer(&tokenizer, engine_tokenizer(service->engine));
	message.tokenizer = &tokenizer;
	proto_reply(call, &message.base);
}

static Stagecoach__V1__Phase phase_message(enum coordinator_phase phase)
{
	static const Stagecoach__V1__Phase phases[] = {
		[COORDINATOR_CONNECTING] = STAGECOACH__V1__PHASE__PHASE_CONNECTING,
		[COORDINATOR_LOADING] = STAGECOACH__V1__PHASE__PHASE_LOADING,
		[COORDINATOR_PROBING] = STAGECOACH__V1__PHASE__PHASE_PROBING,
		[COORDINATOR_READY] = STAGECOACH__V1__PHASE__PHASE_READY,
		[COORDINATOR_RECOVERING] = STAGECOACH__V1__PHASE__PHASE_RECOVERING,
		[COORDINATOR_DRAINING] = STAGECOACH__V1__PHASE__PHASE_DRAINING,
		[COORDINATOR_STOPPED] = STAGECOACH__V1__PHASE__PHASE_STOPPED,
		[COORDINATOR_FAILED] = STAGECOACH__V1__PHASE__PHASE_FAILED,
	};

	return phases[phase];
}

static void set_stage(Stagecoach__V1__Stage *message, const struct stage_status *stage,
		      const struct plan_stage *plan)
{
	stagecoach__v1__stage__init(message);
	message->rank = stage->rank;
	message->pid = stage->pid;
	message->host = proto_borrow(stage->host);
	message->backend = proto_borrow(stage->backend);
	message->instruction_set = proto_borrow(stage->instruction_set);
	message->first_layer = stage->first_layer;
	message->n_layers = stage->n_layers;
	message->weight_bytes = stage->weight_bytes;
	message->kv_bytes = stage->kv_bytes;
	message->steps = stage->steps;
	message->rows = stage->rows;
	message->busy_seconds = stage->busy_seconds;
	message->waiting_seconds = stage->waiting_seconds;
	message->sending_seconds = stage->sending_seconds;
	message->bubble_ratio = stage->bubble_ratio;
	message->heard_seconds_ago = (double)stage->heard_ms_ago * 1e-3;
	message->has_embedding = plan->has_embedding;
	message->has_head = plan->has_head;
	message->kv_saturated = stage->kv_saturated;
}

static void set_counters(Stagecoach__V1__Status *message, const struct coordinator_status *status)
{
	message->phase = phase_message(status->phase);
	message->uptime_seconds = (double)status->uptime_ms * 1e-3;
	message->load_seconds = (double)status->load_ms * 1e-3;
	message->load_done_bytes = status->load_done_bytes;
	message->load_total_bytes = status->load_total_bytes;
	message->stages_wanted = status->n_stages;
	message->window = status->window;
	message->max_rows = status->max_rows;
	message->max_context = status->max_context;
	message->steps_in_flight = status->steps_in_flight;
	message->steps = status->steps;
	message->n_blocks = status->n_blocks;
	message->n_blocks_free = status->n_blocks_free;
	message->block_length = status->block_length;
	message->jobs_queued = status->jobs_queued;
	message->jobs_running = status->jobs_running;
	message->jobs_done = status->jobs_by_state[JOB_DONE];
	message->jobs_cancelled = status->jobs_by_state[JOB_CANCELLED];
	message->jobs_failed = status->jobs_by_state[JOB_FAILED];
	message->prompt_tokens = status->prompt_tokens;
	message->generated_tokens = status->generated_tokens;
	message->preemptions = status->preemptions;
	message->epoch = status->epoch;
	message->recoveries = status->recoveries;
	message->last_loss_seconds_ago = status->last_loss ? (double)status->lost_ms_ago * 1e-3
							   : 0.0;
	message->longest_turn_seconds = (double)status->longest_turn_ns * 1e-9;
}

/* All limits in one allocation. */
struct limit_page {
	Stagecoach__V1__LimitCount *list[N_LIMITS];
	Stagecoach__V1__LimitCount rows[N_LIMITS];
};

static void add_limits(Stagecoach__V1__Status *message, const struct limit_counts *counts,
		       struct limit_page *page)
{
	message->limits = page->list;
	message->n_limits = N_LIMITS;
	for (unsigned i = 0; i < N_LIMITS; i++) {
		stagecoach__v1__limit_count__init(&page->rows[i]);
		page->rows[i].name = proto_borrow(limit_table[i].name);
		page->rows[i].count = counts->n[i];
		page->rows[i].value = counts->value[i];
		page->list[i] = &page->rows[i];
	}
}

/* All stages of a plan in one allocation. */
struct stage_page {
	Stagecoach__V1__Stage *list[PLAN_MAX_STAGES];
	Stagecoach__V1__Stage stages[PLAN_MAX_STAGES];
};

static void add_plan(Stagecoach__V1__Status *message, const struct engine *engine,
		     const struct plan *plan, struct stage_page *page)
{
	message->stages = page->list;
	message->n_stages = plan->n_stages;
	for (unsigned i = 0; i < plan->n_stages; i++) {
		struct stage_status status;

		engine_stage_status(engine, i, &status);
		set_stage(&page->stages[i], &status, &plan->stages[i]);
		page->list[i] = &page->stages[i];
	}
}

/* All groups of blocks in one allocation. */
struct group_page {
	Stagecoach__V1__KvGroup *list[KV_MAX_POOLS];
	Stagecoach__V1__KvGroup groups[KV_MAX_POOLS];
};

static void add_groups(Stagecoach__V1__Status *message, const struct coordinator_status *status,
		       struct group_page *page)
{
	message->kv_groups = page->list;
	message->n_kv_groups = status->n_groups;
	for (uint32_t g = 0; g < status->n_groups; g++) {
		stagecoach__v1__kv_group__init(&page->groups[g]);
		page->groups[g].n_layers = status->groups[g].n_layers;
		page->groups[g].window = status->groups[g].window;
		page->groups[g].n_blocks = status->groups[g].n_blocks;
		page->groups[g].n_blocks_free = status->groups[g].n_blocks_free;
		page->list[g] = &page->groups[g];
	}
}

/* A call whose answer waits for the stages' counters. */
struct status_call {
	struct grpc_call *call;
	struct counters_wait wait;
	bool is_starting;
	bool is_current;
};

static void answer_status(struct grpc_call *call)
{
	struct service *service = grpc_call_context(call);
	const struct engine *engine = service->engine;
	const struct plan *plan = engine_plan(engine);
	Stagecoach__V1__Status message = STAGECOACH__V1__STATUS__INIT;
	struct stage_page *page = plan ? malloc(sizeof *page) : NULL;
	struct limit_page limit_page;
	struct group_page group_page;
	struct coordinator_status status;
	char name[sizeof ((struct model *)0)->name];
	char last_loss[ERROR_TEXT_MAX];

	engine_status(engine, &status);
	set_counters(&message, &status);
	add_groups(&message, &status, &group_page);
	plain_text_copy(status.last_loss ? status.last_loss : "", last_loss, sizeof last_loss);
	message.last_loss = last_loss;
	message.version = proto_borrow(PACKAGE_VERSION);
	plain_text_copy(engine_model(engine)->name, name, sizeof name);
	message.model = name;
	message.log_lines_dropped = console_n_dropped();
	add_limits(&message, engine_limits(service->engine), &limit_page);
	if (page)
		add_plan(&message, engine, plan, page);
	if (plan && !page)
		grpc_call_fail(call, SC_E_NOMEM, NULL);
	else
		proto_reply(call, &message.base);
	free(page);
}

static void on_current(void *arg)
{
	struct status_call *status = arg;

	status->is_current = true;
	if (!status->is_starting)
		grpc_call_wake(status->call);
}

static void get_status_pull(struct grpc_call *call)
{
	const struct status_call *status = grpc_call_state(call);

	if (status && status->is_current)
		answer_status(call);
}

static void get_status_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct service *service = grpc_call_context(call);
	struct status_call *status = calloc(1, sizeof *status);

	(void)bytes;	/* GetStatusRequest has no fields */
	(void)n_bytes;
	if (!status) {
		grpc_call_fail(call, SC_E_NOMEM, NULL);
		return;
	}
	*status = (struct status_call){
		.call = call, .wait = { .on_current = on_current, .arg = status },
		.is_starting = true,
	};
	grpc_call_set_state(call, status);
	engine_await_counters(service->engine, &status->wait);
	status->is_starting = false;
	get_status_pull(call);
}

static void get_status_close(struct grpc_call *call)
{
	struct status_call *status = grpc_call_state(call);

	if (status)
		counters_forget(&status->wait);
	free(status);
	grpc_call_set_state(call, NULL);
}

const struct grpc_call_ops service_get_model = { .start = get_model_start };
const struct grpc_call_ops service_get_status = {
	.start = get_status_start, .pull = get_status_pull, .close = get_status_close,
	.is_vital = true, .is_light = true,
};
