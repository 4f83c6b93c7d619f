/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/coordinator/stage_double.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define EPOCH 1

enum {
	CONNECT = STAGECOACH__CLUSTER__V1__CONTROL__BODY_CONNECT,
};

static struct buf file = BUF_INIT;
static struct model *model;
static struct tokenizer *tokenizer;

int stage_double_open_model(void **state)
{
	struct tiny_model tiny = tiny_llama;
	struct error err;

	(void)state;
	tiny.n_layers = 2;
	model = tiny_model_open(&tiny, &file);
	assert_int_equal(tokenizer_create(model->gguf, &tokenizer, &err), SC_OK);
	return 0;
}

int stage_double_close_model(void **state)
{
	(void)state;
	tokenizer_destroy(tokenizer);
	model_close(model);
	buf_deinit(&file);
	return 0;
}

struct coordinator_config stage_double_config(void)
{
	return (struct coordinator_config){
		.model = model,
		.tokenizer = tokenizer,
		.n_stages = 1,
		.has_fixed_workers = true,
		.window = 2,
		.max_rows = 16,
		.max_sequences = 4,
		.max_queue = 8,
		.max_context = 64,
		.kv_positions = 256,
		.block_length = 4,
		.heartbeat_ms = 20,
		.deadline_ms = 60000,
		.start_ms = 60000,
		.keep_jobs = 10,
	};
}

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct stage_double *d = arg;

	d->phase = phase;
	d->n_phases++;
	if (err)
		d->error = *err;
	if (d->drain_at && phase == d->drain_at)
		coordinator_drain(d->coordinator, 0);
}

static void create_coordinator(struct stage_double *d, const struct coordinator_config *config)
{
	struct coordinator_config own = *config;
	struct error err;

	d->port = (struct loopback_port){ d->loop, d->hub };
	own.loop = d->loop;
	own.fabrics = loopback_source(&d->port);
	own.on_phase = on_phase;
	own.arg = d;
	if (coordinator_create(&own, &d->coordinator, &err) != SC_OK)
		fail_msg("%s", err.text);
	coordinator_accept(d->coordinator, peer_dial(&d->peer));
}

/* in: what the stage receives; 0: plenty. */
static void create(struct stage_double *d, const struct coordinator_config *config,
		   struct link_config in)
{
	*d = (struct stage_double){ 0 };
	assert_int_equal(manual_clock_create(&d->clock), SC_OK);
	assert_int_equal(loop_create_on(d->clock, &d->loop), SC_OK);
	assert_int_equal(loopback_hub_create(&d->hub), SC_OK);
	peer_open(&d->peer, d->loop, d->hub);
	if (in.max_payload)
		d->peer.in.max_payload = in.max_payload;
	if (in.credits)
		d->peer.in.credits = in.credits;
	d->peer.joins_epochs = true;
	d->peer.answers_steps = true;
	d->peer.limits = (struct step_limits){
		.max_rows = config->max_rows,
		.max_sequences = config->max_sequences,
		.n_groups = 1,
		.max_blocks = { (config->kv_positions + config->block_length - 1) /
				config->block_length },
		.table_blocks = { (config->max_context + config->block_length - 1) /
				  config->block_length },
		.block_length = config->block_length,
		.max_context = config->max_context,
		.n_vocab = model->hparams.n_vocab,
		.dim = model->hparams.dim,
	};
	create_coordinator(d, config);
}

void stage_double_create(struct stage_double *d, const struct coordinator_config *config,
			 size_t max_payload)
{
	create(d, config, (struct link_config){ .max_payload = max_payload });
}

void stage_double_create_narrow(struct stage_double *d, const struct coordinator_config *config,
				unsigned credits)
{
	create(d, config, (struct link_config){ .credits = credits });
}

void stage_double_come_up(struct stage_double *d)
{
	peer_say_hello(&d->peer, CONTROL_PROTOCOL_VERSION, model->fingerprint);
	peer_wait(d->loop, d->peer.n_controls[CONNECT]);
	peer_say_ready(&d->peer, EPOCH);
	peer_wait(d->loop, d->phase == COORDINATOR_READY);
}

void stage_double_destroy(struct stage_double *d)
{
	coordinator_destroy(d->coordinator);
	peer_close(&d->peer);
	manual_clock_settle(d->clock);
	loopback_hub_destroy(d->hub);
	loop_destroy(d->loop);
	manual_clock_destroy(d->clock);
}

struct job_request stage_double_request(uint32_t n_prompt, uint32_t max_tokens)
{
	static uint32_t prompt[1024];

	for (uint32_t i = 0; i < n_prompt; i++)
		prompt[i] = 'A' + i % 26;
	return (struct job_request){
		.prompt_tokens = prompt,
		.n_prompt_tokens = n_prompt,
		.max_tokens = max_tokens,
		.top_p = 1.0f,
	};
}

struct job *stage_double_submit(struct stage_double *d, const struct job_request *request)
{
	struct error err;
	struct job *job;

	if (job_submit(d->coordinator, request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

void stage_double_run_for(struct stage_double *d, unsigned ms)
{
	manual_clock_pass(d->clock, ms);
}
