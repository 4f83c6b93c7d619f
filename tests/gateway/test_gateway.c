/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway over real sockets, on a thread of its own, with our own client and with none. */
#include "gateway/gateway.h"

#include "base/clock.h"
#include "cli/client.h"
#include "gateway/admission.h"
#include "tests/gateway/fake_engine.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_CONNECTIONS 4
#define MAX_QUEUE 3

struct server {
	struct loop *loop;
	struct engine *engine;
	struct gateway *gateway;
	struct wake *wake;
	pthread_t thread;
	sem_t done;
	void (*command)(struct server *server);
	unsigned n_alive;	/* as the last count_alive found it */
	uint64_t n_refused;	/* connections, as the last count_refused found it */
	uint64_t last_client;	/* as the last note_client found it */
	bool is_awaited;	/* as the last look_who_waits found it */
	Stagecoach__V1__Phase phase;	/* as the last ask_phase found it */
	char directory[64];
	char socket[80];
	struct client *client;
	struct error err;
};

/* ---- the server's thread ---- */

static void on_wake(void *arg)
{
	struct server *server = arg;

	server->command(server);
	sem_post(&server->done);
}

/* Have command run on the loop's thread, and wait until it has. */
static void run_on_loop(struct server *server, void (*command)(struct server *))
{
	server->command = command;
	wake_send(server->wake);
	while (sem_wait(&server->done) != 0)
		;
}

static void count_alive(struct server *server)
{
	server->n_alive = fake_n_alive(server->engine);
}

static void note_client(struct server *server)
{
	server->last_client = fake_last_client(server->engine);
}

static void count_refused(struct server *server)
{
	const struct limit_counts *limits = engine_limits(server->engine);

	server->n_refused = limits->n[LIMIT_CONNECTIONS] + limits->n[LIMIT_PEER_CONNECTIONS] +
			    limits->n[LIMIT_RESERVE];
}

static void stop(struct server *server) { loop_stop(server->loop); }
static void close_gateway(struct server *server) { gateway_close(server->gateway); }

static void drain(struct server *server)
{
	fake_set_phase(server->engine, COORDINATOR_DRAINING);
	gateway_drain(server->gateway);
}

static void be_loading(struct server *server)
{
	fake_set_phase(server->engine, COORDINATOR_LOADING);
	gateway_phase_changed(server->gateway);
}

static void destroy_gateway(struct server *server)
{
	gateway_destroy(server->gateway);
	server->gateway = NULL;
}

static void *serve(void *arg)
{
	struct server *server = arg;

	loop_run(server->loop);
	return NULL;
}

static struct gateway_config config_of(const struct server *server)
{
	return (struct gateway_config){
		.loop = server->loop,
		.engine = server->engine,
		.socket_path = server->socket,
		.max_connections = MAX_CONNECTIONS,
		.max_peer_connections = MAX_CONNECTIONS,
		.max_streams = 100,
		.max_message = 1 << 16,
		.max_bytes = 256 << 20,
	};
}

static int setup(void **state)
{
	struct server *server = calloc(1, sizeof *server);
	struct fake_config fake = { .token_ms = 2, .max_queue = MAX_QUEUE };
	struct gateway_config config;

	assert_non_null(server);
	snprintf(server->directory, sizeof server->directory, "/tmp/stagecoach-test-XXXXXX");
	assert_non_null(mkdtemp(server->directory));
	snprintf(server->socket, sizeof server->socket, "%s/grpc.sock", server->directory);
	assert_int_equal(loop_create(&server->loop), SC_OK);
	fake.loop = server->loop;
	server->engine = fake_create(&fake);
	config = config_of(server);
	assert_int_equal(gateway_create(&config, &server->gateway, &server->err), SC_OK);
	assert_int_equal(wake_create(server->loop, on_wake, server, &server->wake), SC_OK);
	assert_int_equal(sem_init(&server->done, 0, 0), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
	*state = server;
	return 0;
}

static int teardown(void **state)
{
	struct server *server = *state;

	client_close(server->client);
	run_on_loop(server, stop);
	pthread_join(server->thread, NULL);
	gateway_destroy(server->gateway);
	wake_destroy(server->wake);
	fake_destroy(server->engine);
	loop_destroy(server->loop);
	sem_destroy(&server->done);
	unlink(server->socket);
	assert_int_equal(rmdir(server->directory), 0);
	free(server);
	return 0;
}

static void wait_until_none_is_alive(struct server *server)
{
	for (int i = 0; i < 2000; i++) {
		run_on_loop(server, count_alive);
		if (!server->n_alive)
			return;
		usleep(5000);
	}
	fail_msg("%u jobs are still alive", server->n_alive);
}

/* ---- the client's side ---- */

static void connect_client(struct server *server)
{
	struct client_target target = { .socket = server->socket };

	assert_int_equal(client_target_choose(&target, &server->err), SC_OK);
	assert_int_equal(client_open(&target, &server->client, &server->err), SC_OK);
}

struct story {
	struct server *server;
	unsigned n_started, n_tokens, n_finished, n_progress;
	bool wants_progress;		/* and ends with the second PromptProgress */
	uint64_t done_tokens, total_tokens;	/* of the last */
	char text[4096];
	char job_id[64];
	Stagecoach__V1__JobState state;
	unsigned stop_after;		/* tokens; 0: never */
	unsigned n_sequences;		/* of the request */
	void (*after_first)(struct server *server);	/* on the loop's thread */
	void (*pause)(struct server *server);		/* on ours */
};

static bool on_event(void *arg, ProtobufCMessage *message)
{
	const Stagecoach__V1__GenerateResponse *event = (void *)message;
	struct story *story = arg;

	switch ((int)event->event_case) {
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED:
		assert_int_equal(story->n_tokens, 0);
		story->n_started++;
		snprintf(story->job_id, sizeof story->job_id, "%s", event->started->job_id);
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN:
		if (!story->n_tokens++) {
			if (story->after_first)
				run_on_loop(story->server, story->after_first);
			if (story->pause)
				story->pause(story->server);
		}
		strncat(story->text, event->token->text,
			sizeof story->text - strlen(story->text) - 1);
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_PROMPT_PROGRESS:
		assert_int_equal(event->prompt_progress->state,
				 STAGECOACH__V1__JOB_STATE__JOB_STATE_RUNNING);
		assert_true(event->prompt_progress->done_tokens > story->done_tokens);
		story->done_tokens = event->prompt_progress->done_tokens;
		story->total_tokens = event->prompt_progress->total_tokens;
		story->n_progress++;
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED:
		story->n_finished++;
		story->state = event->finished->state;
		break;
	}
	protobuf_c_message_free_unpacked(message, NULL);
	if (story->n_progress == 2)
		return false;
	return !story->stop_after || story->n_tokens < story->stop_after;
}

static enum sc_status generate(struct server *server, const char *prompt, uint32_t max_tokens,
			       uint64_t timeout_ms, struct story *story)
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	const struct client_call call = {
		.method = "Generate",
		.request = &request.base,
		.response = &stagecoach__v1__generate_response__descriptor,
		.on_message = on_event,
		.arg = story,
		.timeout_ms = timeout_ms,
	};

	story->server = server;
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = (char *)(uintptr_t)prompt;
	if (max_tokens)		/* 0: until the context is full */
		request._max_tokens_case =
			STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
	request.max_tokens = max_tokens;
	request.n = story->n_sequences;
	request.prompt_progress = story->wants_progress;
	return client_run(server->client, &call, &server->err);
}

static void a_job_is_streamed_from_start_to_end(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };

	connect_client(server);
	assert_int_equal(generate(server, "hello", 5, 0, &story), SC_OK);
	assert_int_equal(story.n_started, 1);
	assert_int_equal(story.n_tokens, 5);
	assert_int_equal(story.n_finished, 1);
	assert_string_equal(story.text, "w0 w1 w2 w3 w4 ");
	assert_int_equal(story.state, STAGECOACH__V1__JOB_STATE__JOB_STATE_DONE);
}

static void one_connection_serves_many_calls(void **state)
{
	struct server *server = *state;

	connect_client(server);
	for (unsigned i = 0; i < 20; i++) {
		struct story story = { 0 };

		assert_int_equal(generate(server, "burst", 300, 0, &story), SC_OK);
		assert_int_equal(story.n_tokens, 300);
	}
}

static void take_a_while(struct server *server)
{
	(void)server;
	usleep(200000);
}

/* Some 900 KB: more than the socket takes, so that the server has to wait in between. */
static void a_client_that_pauses_gets_every_token(void **state)
{
	struct server *server = *state;
	struct story story = { .n_sequences = 64, .pause = take_a_while };

	connect_client(server);
	assert_int_equal(generate(server, "burst", 512, 0, &story), SC_OK);
	assert_int_equal(story.n_tokens, 64 * 512);
	assert_int_equal(story.n_finished, 1);
}

static void a_call_that_is_cancelled_cancels_its_job(void **state)
{
	struct server *server = *state;
	struct story story = { .stop_after = 3 };

	connect_client(server);
	assert_int_equal(generate(server, "hello", 0, 0, &story), SC_E_CANCELLED);
	assert_int_equal(story.n_tokens, 3);
	wait_until_none_is_alive(server);
}

static void a_deadline_ends_call_and_job(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };

	connect_client(server);
	assert_int_equal(generate(server, "stall", 0, 50, &story), SC_E_DEADLINE);
	wait_until_none_is_alive(server);
}

/* The server answers pings, so the client waits for its job beyond the silence that it allows. */
static void a_quiet_job_is_no_quiet_server(void **state)
{
	struct server *server = *state;
	struct client_target target = { .socket = server->socket, .silence_ms = 1000 };
	struct story story = { 0 };

	assert_int_equal(client_target_choose(&target, &server->err), SC_OK);
	assert_int_equal(client_open(&target, &server->client, &server->err), SC_OK);
	assert_int_equal(generate(server, "stall", 0, 1600, &story), SC_E_DEADLINE);
}

static void a_lost_stage_reaches_the_client(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };

	connect_client(server);
	assert_int_equal(generate(server, "fail", 0, 0, &story), SC_E_UNAVAILABLE);
	assert_string_equal(server->err.text, "stage 1: link closed: connection reset");
	assert_int_equal(story.n_tokens, 3);
	assert_int_equal(story.state, STAGECOACH__V1__JOB_STATE__JOB_STATE_FAILED);
}

static void nul_in_output_becomes_a_replacement_character(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };

	connect_client(server);
	assert_int_equal(generate(server, "nul", 2, 0, &story), SC_OK);
	assert_string_equal(story.text, "a\xef\xbf\xbd" "bw1 ");
}

static void jobs_are_refused_while_the_model_loads(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };

	run_on_loop(server, be_loading);
	connect_client(server);
	assert_int_equal(generate(server, "hello", 5, 0, &story), SC_E_UNAVAILABLE);
	assert_string_equal(server->err.text, "not ready: loading");
}

static Stagecoach__V1__Job *ask_for_job(struct server *server, const char *method,
					const ProtobufCMessage *request)
{
	ProtobufCMessage *answer = NULL;

	if (client_ask(server->client, method, request, 0, &stagecoach__v1__job__descriptor,
		       &answer, &server->err) != SC_OK)
		return NULL;
	return (Stagecoach__V1__Job *)answer;
}

static Stagecoach__V1__Job *submit(struct server *server, const char *prompt)
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;

	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = (char *)(uintptr_t)prompt;
	return ask_for_job(server, "Submit", &request.base);
}

static void a_full_queue_refuses_one_job_more(void **state)
{
	struct server *server = *state;

	connect_client(server);
	for (unsigned i = 0; i < MAX_QUEUE; i++) {
		Stagecoach__V1__Job *job = submit(server, "stall");

		assert_non_null(job);
		stagecoach__v1__job__free_unpacked(job, NULL);
	}
	assert_null(submit(server, "stall"));
	assert_int_equal(server->err.status, SC_E_OVERLOADED);
}

/* The client id that a job gets from a new call on the open connection. */
static uint64_t client_of_generate(struct server *server)
{
	struct story story = { 0 };

	assert_int_equal(generate(server, "hello", 1, 0, &story), SC_OK);
	run_on_loop(server, note_client);
	return server->last_client;
}

static uint64_t client_of_submit(struct server *server)
{
	Stagecoach__V1__Job *job = submit(server, "hello");

	assert_non_null(job);
	stagecoach__v1__job__free_unpacked(job, NULL);
	run_on_loop(server, note_client);
	return server->last_client;
}

static void jobs_of_a_connection_have_one_client_and_connections_differ(void **state)
{
	struct server *server = *state;
	uint64_t first;

	connect_client(server);
	first = client_of_generate(server);
	assert_int_not_equal(first, 0);
	assert_int_equal(client_of_submit(server), first);
	client_close(server->client);
	connect_client(server);
	assert_int_not_equal(client_of_generate(server), first);
	assert_int_not_equal(client_of_submit(server), 0);
}

static void a_submitted_job_is_found_and_cancelled_by_its_id(void **state)
{
	struct server *server = *state;
	Stagecoach__V1__GetRequest get = STAGECOACH__V1__GET_REQUEST__INIT;
	Stagecoach__V1__CancelRequest cancel = STAGECOACH__V1__CANCEL_REQUEST__INIT;
	Stagecoach__V1__Job *submitted;
	Stagecoach__V1__Job *job;

	connect_client(server);
	submitted = submit(server, "stall");
	assert_non_null(submitted);
	get.id = submitted->id;
	cancel.id = submitted->id;
	job = ask_for_job(server, "Cancel", &cancel.base);
	assert_non_null(job);
	stagecoach__v1__job__free_unpacked(job, NULL);
	job = ask_for_job(server, "Get", &get.base);
	assert_non_null(job);
	assert_int_equal(job->state, STAGECOACH__V1__JOB_STATE__JOB_STATE_CANCELLED);
	assert_int_equal(job->n_outputs, 1);
	assert_int_equal(job->outputs[0]->finish_reason,
			 STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CANCELLED);
	stagecoach__v1__job__free_unpacked(job, NULL);
	stagecoach__v1__job__free_unpacked(submitted, NULL);
	get.id = (char *)(uintptr_t)"nobody";
	assert_null(ask_for_job(server, "Get", &get.base));
	assert_int_equal(server->err.status, SC_E_NOT_FOUND);
}

static void tokens_become_text_again(void **state)
{
	struct server *server = *state;
	Stagecoach__V1__TokenizeRequest request = STAGECOACH__V1__TOKENIZE_REQUEST__INIT;
	Stagecoach__V1__DetokenizeRequest back = STAGECOACH__V1__DETOKENIZE_REQUEST__INIT;
	Stagecoach__V1__TokenizeResponse *tokens;
	Stagecoach__V1__DetokenizeResponse *text;
	ProtobufCMessage *answer;

	connect_client(server);
	request.input_case = STAGECOACH__V1__TOKENIZE_REQUEST__INPUT_RAW_TEXT;
	request.raw_text = (ProtobufCBinaryData){ 4, (uint8_t[]){ 'a', 0, 0xff, 'b' } };
	request.add_special = true;
	request.with_pieces = true;
	assert_int_equal(client_ask(server->client, "Tokenize", &request.base, 0,
				    &stagecoach__v1__tokenize_response__descriptor, &answer,
				    &server->err), SC_OK);
	tokens = (Stagecoach__V1__TokenizeResponse *)answer;
	assert_int_equal(tokens->n_ids, 5);
	assert_int_equal(tokens->n_pieces, 5);
	assert_int_equal(tokens->pieces[0].len, 3);
	assert_memory_equal(tokens->pieces[0].data, "<s>", 3);
	assert_int_equal(tokens->pieces[3].data[0], 0xff);
	back.ids = tokens->ids;
	back.n_ids = tokens->n_ids;
	assert_int_equal(client_ask(server->client, "Detokenize", &back.base, 0,
				    &stagecoach__v1__detokenize_response__descriptor, &answer,
				    &server->err), SC_OK);
	text = (Stagecoach__V1__DetokenizeResponse *)answer;
	assert_int_equal(text->raw_text.len, 4);
	assert_memory_equal(text->raw_text.data, "a\0\xff" "b", 4);
	assert_string_equal(text->text, "a\xef\xbf\xbd\xef\xbf\xbd" "b");
	protobuf_c_message_free_unpacked(answer, NULL);
	stagecoach__v1__tokenize_response__free_unpacked(tokens, NULL);
}

/* ---- long requests and large answers ---- */

enum { MANY_OUTPUTS = 64, MANY_TOKENS = 300 };

static char *submit_large(struct server *server)
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Job *job;
	char *id;

	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = (char *)(uintptr_t)"burst";
	request.n = MANY_OUTPUTS;
	request._max_tokens_case = STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
	request.max_tokens = MANY_TOKENS;
	job = ask_for_job(server, "Submit", &request.base);
	assert_non_null(job);
	id = strdup(job->id);
	stagecoach__v1__job__free_unpacked(job, NULL);
	wait_until_none_is_alive(server);
	return id;
}

static void a_large_answer_arrives_whole(void **state)
{
	struct server *server = *state;
	Stagecoach__V1__GetRequest get = STAGECOACH__V1__GET_REQUEST__INIT;
	Stagecoach__V1__Job *job;

	connect_client(server);
	get.id = submit_large(server);
	job = ask_for_job(server, "Get", &get.base);
	assert_non_null(job);
	assert_int_equal(job->n_outputs, MANY_OUTPUTS);
	for (size_t i = 0; i < MANY_OUTPUTS; i++) {
		assert_int_equal(job->outputs[i]->n_tokens, MANY_TOKENS);
		assert_int_equal(job->outputs[i]->tokens[1], 1000 * i + 1);
		assert_memory_equal(job->outputs[i]->text, "w0 w1 ", 6);
	}
	stagecoach__v1__job__free_unpacked(job, NULL);
	free(get.id);
}

static void a_client_may_leave_while_its_answer_is_made(void **state)
{
	struct server *server = *state;
	Stagecoach__V1__GetRequest get = STAGECOACH__V1__GET_REQUEST__INIT;
	struct story story = { 0 };
	ProtobufCMessage *answer;

	connect_client(server);
	get.id = submit_large(server);
	for (uint64_t timeout_ms = 1; timeout_ms < 5; timeout_ms++)
		if (client_ask(server->client, "Get", &get.base, timeout_ms,
			       &stagecoach__v1__job__descriptor, &answer,
			       &server->err) == SC_OK)
			protobuf_c_message_free_unpacked(answer, NULL);
	assert_int_equal(generate(server, "hello", 5, 0, &story), SC_OK);
	free(get.id);
}

enum { LONG_BYTES = 20000 };

/* A client on a thread of its own, whose long text is tokenized until somebody lets go. */
struct patient {
	struct server *server;
	pthread_t thread;
	uint64_t timeout_ms;
	enum sc_status status;
	size_t n_ids;
};

static void *ask_for_tokens(void *arg)
{
	struct patient *patient = arg;
	Stagecoach__V1__TokenizeRequest request = STAGECOACH__V1__TOKENIZE_REQUEST__INIT;
	struct client_target target = { .socket = patient->server->socket };
	ProtobufCMessage *answer = NULL;
	struct client *client = NULL;
	char text[LONG_BYTES + 1];
	struct error err;

	memset(text, 'x', LONG_BYTES);
	memcpy(text, "hold", 4);
	text[LONG_BYTES] = '\0';
	request.input_case = STAGECOACH__V1__TOKENIZE_REQUEST__INPUT_TEXT;
	request.text = text;
	patient->status = client_target_choose(&target, &err);
	if (patient->status == SC_OK)
		patient->status = client_open(&target, &client, &err);
	if (patient->status == SC_OK)
		patient->status = client_ask(client, "Tokenize", &request.base,
					     patient->timeout_ms,
					     &stagecoach__v1__tokenize_response__descriptor,
					     &answer, &err);
	if (patient->status == SC_OK) {
		patient->n_ids = ((Stagecoach__V1__TokenizeResponse *)answer)->n_ids;
		protobuf_c_message_free_unpacked(answer, NULL);
	}
	client_close(client);
	return NULL;
}

static void start_patient(struct server *server, struct patient *patient)
{
	patient->server = server;
	fake_hold_tokenizer();
	assert_int_equal(pthread_create(&patient->thread, NULL, ask_for_tokens, patient), 0);
	while (!fake_is_tokenizer_reached())
		usleep(1000);
}

static void the_loop_goes_on_while_a_long_text_is_tokenized(void **state)
{
	struct server *server = *state;
	struct patient patient = { 0 };
	struct story story = { 0 };

	start_patient(server, &patient);
	connect_client(server);
	assert_int_equal(generate(server, "hello", 5, 0, &story), SC_OK);
	assert_int_equal(story.n_tokens, 5);
	fake_release_tokenizer();
	pthread_join(patient.thread, NULL);
	assert_int_equal(patient.status, SC_OK);
	assert_int_equal(patient.n_ids, LONG_BYTES);
}

static void a_client_may_leave_while_its_text_is_tokenized(void **state)
{
	struct server *server = *state;
	struct patient patient = { .timeout_ms = 50 };
	struct story story = { 0 };

	start_patient(server, &patient);
	pthread_join(patient.thread, NULL);
	assert_int_equal(patient.status, SC_E_DEADLINE);
	fake_release_tokenizer();
	connect_client(server);
	assert_int_equal(generate(server, "hello", 5, 0, &story), SC_OK);
}

static void the_gateway_may_go_while_a_text_is_tokenized(void **state)
{
	struct server *server = *state;
	struct patient patient = { 0 };

	start_patient(server, &patient);
	fake_release_tokenizer();
	run_on_loop(server, destroy_gateway);
	pthread_join(patient.thread, NULL);
	/* The answer may have come first. */
	assert_true(patient.status == SC_E_UNAVAILABLE || patient.status == SC_OK);
}

static void a_prompt_that_cannot_fit_is_refused_before_it_is_tokenized(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };
	char text[LONG_BYTES + 1];

	memset(text, 'x', LONG_BYTES);
	memcpy(text, "hold", 4);
	text[LONG_BYTES] = '\0';
	fake_hold_tokenizer();
	connect_client(server);
	assert_int_equal(generate(server, text, 1, 0, &story), SC_E_INVALID);
	assert_non_null(strstr(server->err.text, "20000 bytes are at least 20000 tokens"));
	assert_false(fake_is_tokenizer_reached());
	fake_release_tokenizer();
}

static void a_prompt_of_too_many_tokens_is_refused_before_they_are_copied(void **state)
{
	struct server *server = *state;
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Tokens tokens = STAGECOACH__V1__TOKENS__INIT;
	uint32_t ids[LONG_BYTES] = { 0 };

	tokens.ids = ids;
	tokens.n_ids = LONG_BYTES;
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TOKENS;
	request.tokens = &tokens;
	connect_client(server);
	assert_null(ask_for_job(server, "Submit", &request.base));
	assert_int_equal(server->err.status, SC_E_INVALID);
	assert_string_equal(server->err.text, "prompt: 20000 tokens, but the context holds 4096. "
			    "The prompt is too long: shorten it or raise --ctx-size");
}

/* 20,000 bytes of ids stand for 20 MB of text. */
static void text_that_no_answer_can_hold_is_not_made(void **state)
{
	struct server *server = *state;
	Stagecoach__V1__DetokenizeRequest request = STAGECOACH__V1__DETOKENIZE_REQUEST__INIT;
	ProtobufCMessage *answer;
	uint32_t ids[LONG_BYTES];

	for (size_t i = 0; i < LONG_BYTES; i++)
		ids[i] = FAKE_EOS;
	request.ids = ids;
	request.n_ids = LONG_BYTES;
	request.with_special = true;
	connect_client(server);
	assert_int_equal(client_ask(server->client, "Detokenize", &request.base, 0,
				    &stagecoach__v1__detokenize_response__descriptor, &answer,
				    &server->err), SC_E_OVERLOADED);
	assert_non_null(strstr(server->err.text, "exceeds the limit of 16777216 bytes"));
	request.n_ids = 1000;
	assert_int_equal(client_ask(server->client, "Detokenize", &request.base, 0,
				    &stagecoach__v1__detokenize_response__descriptor, &answer,
				    &server->err), SC_OK);
	assert_int_equal(((Stagecoach__V1__DetokenizeResponse *)answer)->raw_text.len,
			 1000 * FAKE_EOS_BYTES);
	protobuf_c_message_free_unpacked(answer, NULL);
}

static void a_long_prompt_becomes_a_job(void **state)
{
	struct server *server = *state;
	struct story story = { 0 };
	char text[4095];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	connect_client(server);
	assert_int_equal(generate(server, text, 5, 0, &story), SC_OK);
	assert_int_equal(story.n_tokens, 5);
}

static Stagecoach__V1__Phase phase_of(struct server *server, struct client *client)
{
	Stagecoach__V1__GetStatusRequest request = STAGECOACH__V1__GET_STATUS_REQUEST__INIT;
	Stagecoach__V1__Phase phase;
	ProtobufCMessage *answer;

	assert_int_equal(client_ask(client, "GetStatus", &request.base, 0,
				    &stagecoach__v1__status__descriptor, &answer, &server->err),
			 SC_OK);
	phase = ((Stagecoach__V1__Status *)answer)->phase;
	protobuf_c_message_free_unpacked(answer, NULL);
	return phase;
}

static void workers_are_listed_with_their_stages_and_losses(void **state)
{
	Stagecoach__V1__ListWorkersRequest request = STAGECOACH__V1__LIST_WORKERS_REQUEST__INIT;
	const Stagecoach__V1__ListWorkersResponse *list;
	struct server *server = *state;
	ProtobufCMessage *answer;

	connect_client(server);
	assert_int_equal(client_ask(server->client, "ListWorkers", &request.base, 0,
				    &stagecoach__v1__list_workers_response__descriptor, &answer,
				    &server->err), SC_OK);
	list = (const Stagecoach__V1__ListWorkersResponse *)answer;
	assert_int_equal(list->n_workers, 3);
	assert_string_equal(list->workers[0]->id, "node-a");
	assert_int_equal(list->workers[0]->state,
			 STAGECOACH__V1__WORKER_STATE__WORKER_STATE_READY);
	assert_int_equal(list->workers[0]->stage, 1);
	assert_int_equal(list->workers[0]->n_layers, 4);
	assert_int_equal(list->workers[1]->state,
			 STAGECOACH__V1__WORKER_STATE__WORKER_STATE_QUARANTINED);
	assert_int_equal(list->workers[1]->stage, 0);
	assert_int_equal(list->workers[1]->losses, 3);
	assert_true(list->workers[1]->quarantine_seconds == 200);
	assert_int_equal(list->workers[2]->state,
			 STAGECOACH__V1__WORKER_STATE__WORKER_STATE_GONE);
	protobuf_c_message_free_unpacked(answer, NULL);
}

static void whoever_asks_is_told_how_far_the_prompt_is(void **state)
{
	struct server *server = *state;
	struct story story = { .wants_progress = true, .n_sequences = 3 };
	struct story other = { 0 };
	char text[4000];

	memset(text, 'x', sizeof text - 1);
	memcpy(text, "stall", 5);
	text[sizeof text - 1] = '\0';
	connect_client(server);
	assert_int_equal(generate(server, text, 0, 0, &story), SC_E_CANCELLED);
	assert_int_equal(story.n_progress, 2);
	assert_int_equal(story.total_tokens, 3 * sizeof text);
	assert_int_equal(generate(server, text, 0, 700, &other), SC_E_DEADLINE);
	assert_int_equal(other.n_progress, 0);
}

static void hold_counters(struct server *server)
{
	fake_hold_counters(server->engine);
}

static void release_counters(struct server *server)
{
	fake_release_counters(server->engine);
}

static void look_who_waits(struct server *server)
{
	server->is_awaited = fake_is_awaited(server->engine);
}

static void wait_until_awaited(struct server *server, bool is_awaited)
{
	for (int i = 0; i < 2000; i++) {
		run_on_loop(server, look_who_waits);
		if (server->is_awaited == is_awaited)
			return;
		usleep(5000);
	}
	fail_msg("is_awaited stays %d", !is_awaited);
}

static void *ask_phase(void *arg)
{
	struct server *server = arg;

	server->phase = phase_of(server, server->client);
	return NULL;
}

static void a_status_is_answered_when_the_counters_have_come(void **state)
{
	struct server *server = *state;
	pthread_t thread;

	connect_client(server);
	run_on_loop(server, hold_counters);
	assert_int_equal(pthread_create(&thread, NULL, ask_phase, server), 0);
	wait_until_awaited(server, true);
	run_on_loop(server, release_counters);
	pthread_join(thread, NULL);
	assert_int_equal(server->phase, STAGECOACH__V1__PHASE__PHASE_READY);
}

static void a_client_that_leaves_does_not_wait_for_counters(void **state)
{
	Stagecoach__V1__GetStatusRequest request = STAGECOACH__V1__GET_STATUS_REQUEST__INIT;
	struct server *server = *state;
	ProtobufCMessage *answer;

	connect_client(server);
	run_on_loop(server, hold_counters);
	assert_int_equal(client_ask(server->client, "GetStatus", &request.base, 50,
				    &stagecoach__v1__status__descriptor, &answer, &server->err),
			 SC_E_DEADLINE);
	wait_until_awaited(server, false);
	run_on_loop(server, release_counters);
	assert_int_equal(phase_of(server, server->client), STAGECOACH__V1__PHASE__PHASE_READY);
}

/* Old and new clients learn how it stands; new jobs are refused, old ones go on. */
static void watch_the_end(struct server *server)
{
	struct client_target target = { .socket = server->socket };
	struct client *stream = server->client;
	struct client *other;

	run_on_loop(server, drain);
	assert_int_equal(client_target_choose(&target, &server->err), SC_OK);
	assert_int_equal(client_open(&target, &other, &server->err), SC_OK);
	assert_int_equal(phase_of(server, other), STAGECOACH__V1__PHASE__PHASE_DRAINING);
	server->client = other;
	assert_null(submit(server, "hello"));
	assert_int_equal(server->err.status, SC_E_UNAVAILABLE);
	server->client = stream;
	client_close(other);
}

/* `status` shows the value beside the count. The settings are the caller's. */
static void every_constant_limit_of_the_gateway_has_its_value(void **state)
{
	struct server *server = *state;
	const struct limit_counts *limits = engine_limits(server->engine);

	for (unsigned i = 0; i < LIMIT_QUEUE; i++)
		if (!limit_table[i].setting && !limits->value[i])
			fail_msg("%s has no value", limit_table[i].name);
}

static void a_draining_server_still_says_how_it_is(void **state)
{
	struct server *server = *state;
	struct story story = { .pause = watch_the_end };

	connect_client(server);
	assert_int_equal(generate(server, "hello", 100, 0, &story), SC_OK);
	assert_int_equal(story.n_tokens, 100);
	/* The connection that had the stream is as good as before. */
	assert_int_equal(phase_of(server, server->client),
			 STAGECOACH__V1__PHASE__PHASE_DRAINING);
}

static void a_closed_server_ends_streams_well_and_takes_no_clients(void **state)
{
	struct server *server = *state;
	struct client_target target = { .socket = server->socket };
	struct story story = { .after_first = close_gateway };
	struct client *other;

	connect_client(server);
	assert_int_equal(generate(server, "hello", 100, 0, &story), SC_OK);
	assert_int_equal(story.n_tokens, 100);
	assert_int_equal(client_target_choose(&target, &server->err), SC_OK);
	assert_int_equal(client_open(&target, &other, &server->err), SC_E_UNAVAILABLE);
}

static void destroying_the_gateway_ends_calls_and_cancels_their_jobs(void **state)
{
	struct server *server = *state;
	struct story story = { .after_first = destroy_gateway };
	enum sc_status status;

	connect_client(server);
	status = generate(server, "hello", 0, 0, &story);
	/* The client reads nothing while the gateway ends. If the socket is full of tokens by then,
	 * it takes no last words. */
	if (status != SC_E_CLOSED) {
		assert_int_equal(status, SC_E_UNAVAILABLE);
		assert_string_equal(server->err.text, "the server is stopping");
	}
	wait_until_none_is_alive(server);
}

/* ---- clients that speak no gRPC ---- */

static int connect_raw(const struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", server->socket);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void an_http_1_client_is_told_what_this_is(void **state)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct server *server = *state;
	char answer[4096], expected[128];
	int fd = connect_raw(server);
	size_t length = 0;
	ssize_t n;

	assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
	while ((n = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0)
		length += (size_t)n;
	assert_int_equal(n, 0);
	answer[length] = '\0';
	assert_int_equal(strncmp(answer, "HTTP/1.1 200 OK\r\n", 17), 0);
	snprintf(expected, sizeof expected, "generate --socket %s -p", server->socket);
	if (!strstr(answer, expected))
		fail_msg("expected '%s', found: %s", expected, answer);
	close(fd);
}

static bool has_closed_one(const int *fds, unsigned n)
{
	struct pollfd poll_fds[16];
	char bytes[256];

	assert_true(n <= 16);
	for (unsigned i = 0; i < n; i++)
		poll_fds[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	(void)poll(poll_fds, n, 100);
	for (unsigned i = 0; i < n; i++)
		while (recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT) >= 0 &&
		       (poll_fds[i].revents & POLLHUP))
			return true;
	return false;
}

/* Which of them: test_admission.c. */
static void of_connections_over_the_limit_one_is_closed(void **state)
{
	struct server *server = *state;
	int fds[MAX_CONNECTIONS + ADMISSION_RESERVE + 1];
	unsigned n = sizeof fds / sizeof fds[0];
	struct story story = { 0 };
	enum sc_status status = SC_E_CLOSED;

	for (unsigned i = 0; i < n; i++)
		fds[i] = connect_raw(server);
	while (!has_closed_one(fds, n))
		;
	run_on_loop(server, count_refused);
	assert_int_equal(server->n_refused, 1);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	/* Those that left make room, as soon as the server has seen it. */
	for (unsigned i = 0; i < 1000 && status != SC_OK; i++) {
		usleep(5000);
		client_close(server->client);
		connect_client(server);
		status = generate(server, "hello", 1, 0, &story);
	}
	assert_int_equal(status, SC_OK);
}

/* Pings until the server's answers fill the socket and it has had enough. */
static void a_client_that_breaks_the_rules_and_reads_nothing_is_closed(void **state)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\0\4\0\0\0\0\0";
	static const char ping[] = "\0\0\x08\6\0\0\0\0\0" "pingping";
	struct server *server = *state;
	uint64_t end_ns = clock_ns() + 20 * NS_PER_SECOND;
	int fd = connect_raw(server);
	ssize_t n = send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);

	while (n > 0 && clock_ns() < end_ns)
		n = send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL);
	assert_true(n < 0);
	close(fd);
}

/* ---- addresses ---- */

static enum sc_status try_create(struct server *server, const char *listen,
				 const char *socket_path)
{
	struct gateway_config config = config_of(server);
	struct gateway *gateway = NULL;
	enum sc_status status;

	config.listen = listen;
	config.socket_path = socket_path;
	config.engine = NULL;
	status = gateway_create(&config, &gateway, &server->err);
	gateway_destroy(gateway);
	return status;
}

static int setup_without_thread(void **state)
{
	struct server *server = calloc(1, sizeof *server);

	assert_non_null(server);
	snprintf(server->directory, sizeof server->directory, "/tmp/stagecoach-test-XXXXXX");
	assert_non_null(mkdtemp(server->directory));
	snprintf(server->socket, sizeof server->socket, "%s/grpc.sock", server->directory);
	assert_int_equal(loop_create(&server->loop), SC_OK);
	*state = server;
	return 0;
}

static int teardown_without_thread(void **state)
{
	struct server *server = *state;

	loop_destroy(server->loop);
	assert_int_equal(rmdir(server->directory), 0);
	free(server);
	return 0;
}

static void the_socket_is_for_its_group_and_goes_with_the_gateway(void **state)
{
	struct server *server = *state;
	struct gateway_config config = config_of(server);
	struct gateway *gateway;
	struct stat st;

	assert_int_equal(gateway_create(&config, &gateway, &server->err), SC_OK);
	assert_int_equal(stat(server->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	gateway_destroy(gateway);
	assert_int_not_equal(stat(server->socket, &st), 0);
}

static void a_live_socket_is_not_replaced(void **state)
{
	struct server *server = *state;
	struct gateway_config config = config_of(server);
	struct gateway *gateway;
	struct stat st;

	assert_int_equal(gateway_create(&config, &gateway, &server->err), SC_OK);
	assert_int_equal(try_create(server, NULL, server->socket), SC_E_IO);
	assert_non_null(strstr(server->err.text, "grpc.sock: Address already in use"));
	assert_int_equal(stat(server->socket, &st), 0);
	gateway_destroy(gateway);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct server *server = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", server->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	assert_int_equal(try_create(server, NULL, server->socket), SC_OK);
}

static void a_file_of_that_name_is_left_alone(void **state)
{
	struct server *server = *state;
	FILE *file = fopen(server->socket, "w");

	assert_non_null(file);
	fclose(file);
	assert_int_equal(try_create(server, NULL, server->socket), SC_E_IO);
	assert_non_null(strstr(server->err.text, "grpc.sock: exists and is not a socket"));
	assert_int_equal(unlink(server->socket), 0);
}

static void a_missing_directory_is_an_error_and_not_made(void **state)
{
	struct server *server = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/run/grpc.sock", server->directory);
	assert_int_equal(try_create(server, NULL, path), SC_E_IO);
	assert_non_null(strstr(server->err.text, "/run/grpc.sock: the directory does not exist"));
	/* The teardown finds the directory empty. */
}

static void a_busy_port_is_named(void **state)
{
	struct server *server = *state;
	struct gateway_config config = config_of(server);
	struct gateway *gateway;
	char expected[300];

	config.listen = "127.0.0.1:0";
	config.socket_path = NULL;
	assert_int_equal(gateway_create(&config, &gateway, &server->err), SC_OK);
	assert_int_equal(strncmp(gateway_address(gateway), "127.0.0.1:", 10), 0);
	assert_int_equal(try_create(server, gateway_address(gateway), NULL), SC_E_IO);
	snprintf(expected, sizeof expected, "%s: Address already in use",
		 gateway_address(gateway));
	assert_string_equal(server->err.text, expected);
	gateway_destroy(gateway);
}

static void addresses_that_make_no_sense_are_refused(void **state)
{
	static const char *const rows[] = {
		"nowhere", ":8080", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http", "::1:80",
		"[::1:80", "[]:80",
	};
	struct server *server = *state;
	char path[200];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(try_create(server, rows[i], NULL), SC_E_INVALID);
		assert_int_equal(strncmp(server->err.text, rows[i], strlen(rows[i])), 0);
	}
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = '\0';
	assert_int_equal(try_create(server, NULL, path), SC_E_INVALID);
	assert_non_null(strstr(server->err.text, "expected a socket path of 1 to 107 bytes, "
						 "found 199"));
}

#define SERVED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ALONE(name) \
	cmocka_unit_test_setup_teardown(name, setup_without_thread, teardown_without_thread)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(a_job_is_streamed_from_start_to_end),
		SERVED(one_connection_serves_many_calls),
		SERVED(workers_are_listed_with_their_stages_and_losses),
		SERVED(whoever_asks_is_told_how_far_the_prompt_is),
		SERVED(a_status_is_answered_when_the_counters_have_come),
		SERVED(a_client_that_leaves_does_not_wait_for_counters),
		SERVED(a_client_that_pauses_gets_every_token),
		SERVED(a_call_that_is_cancelled_cancels_its_job),
		SERVED(a_deadline_ends_call_and_job),
		SERVED(a_quiet_job_is_no_quiet_server),
		SERVED(a_lost_stage_reaches_the_client),
		SERVED(nul_in_output_becomes_a_replacement_character),
		SERVED(jobs_are_refused_while_the_model_loads),
		SERVED(a_full_queue_refuses_one_job_more),
		SERVED(jobs_of_a_connection_have_one_client_and_connections_differ),
		SERVED(a_submitted_job_is_found_and_cancelled_by_its_id),
		SERVED(tokens_become_text_again),
		SERVED(a_large_answer_arrives_whole),
		SERVED(a_client_may_leave_while_its_answer_is_made),
		SERVED(the_loop_goes_on_while_a_long_text_is_tokenized),
		SERVED(a_client_may_leave_while_its_text_is_tokenized),
		SERVED(the_gateway_may_go_while_a_text_is_tokenized),
		SERVED(a_prompt_that_cannot_fit_is_refused_before_it_is_tokenized),
		SERVED(a_prompt_of_too_many_tokens_is_refused_before_they_are_copied),
		SERVED(text_that_no_answer_can_hold_is_not_made),
		SERVED(a_long_prompt_becomes_a_job),
		SERVED(every_constant_limit_of_the_gateway_has_its_value),
		SERVED(a_draining_server_still_says_how_it_is),
		SERVED(a_closed_server_ends_streams_well_and_takes_no_clients),
		SERVED(destroying_the_gateway_ends_calls_and_cancels_their_jobs),
		SERVED(an_http_1_client_is_told_what_this_is),
		SERVED(of_connections_over_the_limit_one_is_closed),
		SERVED(a_client_that_breaks_the_rules_and_reads_nothing_is_closed),
		ALONE(the_socket_is_for_its_group_and_goes_with_the_gateway),
		ALONE(a_live_socket_is_not_replaced),
		ALONE(a_stale_socket_is_replaced),
		ALONE(a_file_of_that_name_is_left_alone),
		ALONE(a_missing_directory_is_an_error_and_not_made),
		ALONE(a_busy_port_is_named),
		ALONE(addresses_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
