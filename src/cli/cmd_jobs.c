/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach jobs, watch, cancel - what the server has been asked for. */
#include "base/clock.h"
#include "base/parse.h"
#include "cli/client_json.h"
#include "cli/client_stream.h"
#include "cli/client_verbs.h"
#include "cli/verbs.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdio.h>
#include <string.h>

#define MAX_IDS 64

/* The flags and arguments of the three verbs; each uses its part. */
struct jobs_input {
	struct client_target target;
	Stagecoach__V1__ListRequest list;
	Stagecoach__V1__JobState states[5];
	char *ids[MAX_IDS];
	unsigned n_ids;
	bool from_now;
};

enum { KEY_LIMIT = 0x600, KEY_STATE, KEY_FROM_NOW };

static void add_state(struct jobs_input *input, const char *text, const struct argp_state *state)
{
	for (int value = 1; value <= 5; value++) {
		char word[32];

		client_json_word(&stagecoach__v1__job_state__descriptor, value, word, sizeof word);
		if (strcmp(word, text) != 0)
			continue;
		if (input->list.n_states == 5)
			argp_error(state, "--state: there are only five");
		input->states[input->list.n_states++] = (Stagecoach__V1__JobState)value;
		return;
	}
	argp_error(state, "--state: expected queued, running, done, cancelled or failed, "
		   "found '%s'", text);
}

static error_t parse_jobs(int key, char *arg, struct argp_state *state)
{
	struct jobs_input *input = state->input;
	uint64_t limit;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &input->target;
		return 0;
	case KEY_LIMIT:
		if (!parse_u64(arg, &limit) || limit < 1 || limit > 1000)
			argp_error(state, "--limit: expected a whole number from 1 to 1000, found "
				   "'%s'", arg);
		input->list.limit = (uint32_t)limit;
		return 0;
	case KEY_STATE:
		add_state(input, arg, state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_ids(int key, char *arg, struct argp_state *state)
{
	struct jobs_input *input = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &input->target;
		return 0;
	case KEY_FROM_NOW:
		input->from_now = true;
		return 0;
	case ARGP_KEY_ARG:
		if (input->n_ids == MAX_IDS)
			argp_error(state, "expected at most %d ids", MAX_IDS);
		input->ids[input->n_ids++] = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "expected the id of a job");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ &client_target_argp, 0, NULL, 0 },
	{ 0 },
};

static double job_seconds(const Stagecoach__V1__Job *job)
{
	uint64_t end_ms = job->ended_unix_ms ? job->ended_unix_ms : clock_unix_ms();

	if (!job->submitted_unix_ms || end_ms < job->submitted_unix_ms)
		return 0.0;
	return (double)(end_ms - job->submitted_unix_ms) * 1e-3;
}

static void print_job_row(const Stagecoach__V1__Job *job)
{
	char word[32];

	printf("%-24s %-10s %8u %8u %5u %9.1f%s%s\n", job->id,
	       client_json_word(&stagecoach__v1__job_state__descriptor, (int)job->state, word,
				sizeof word), job->n_prompt_tokens, job->n_generated_tokens,
	       job->n_sequences, job_seconds(job), job->error ? "  " : "",
	       job->error ? job->error->message : "");
}

static enum sc_status print_jobs(struct client *client, const struct jobs_input *input,
				 struct error *err)
{
	ProtobufCMessage *answer;
	const Stagecoach__V1__ListResponse *list;
	enum sc_status status = client_ask(client, "List", &input->list.base, 0,
					   &stagecoach__v1__list_response__descriptor, &answer,
					   err);

	if (status != SC_OK)
		return status;
	list = (const Stagecoach__V1__ListResponse *)answer;
	if (!input->target.is_json)
		printf("%-24s %-10s %8s %8s %5s %9s\n", "JOB", "STATE", "PROMPT", "NEW", "SEQ",
		       "SECONDS");
	for (size_t i = 0; i < list->n_jobs && status == SC_OK; i++) {
		if (input->target.is_json)
			status = client_print_json(&list->jobs[i]->base, err);
		else
			print_job_row(list->jobs[i]);
	}
	protobuf_c_message_free_unpacked(answer, NULL);
	return status == SC_OK ? client_flush(err) : status;
}

int cmd_jobs(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "limit", KEY_LIMIT, "N", 0, "the N newest (100)", 0 },
		{ "state", KEY_STATE, "STATE", 0, "only queued, running, done, cancelled or failed "
		  "ones; may be given again", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, parse_jobs, NULL, "List the jobs that the server remembers, newest first.",
		children, NULL, NULL,
	};
	struct jobs_input input = { .list = STAGECOACH__V1__LIST_REQUEST__INIT };
	struct client *client = NULL;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	input.list.states = input.states;
	client_parse(&argp, "jobs", argc, argv, &input);
	status = client_begin(&input.target, &client, &err);
	if (status == SC_OK)
		status = print_jobs(client, &input, &err);
	client_close(client);
	return client_end(status, &err);
}

int cmd_watch(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "from-now", KEY_FROM_NOW, NULL, 0, "leave out what is there already", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, parse_ids, "ID",
		"Print a job's text from the beginning and as it comes, until the job ends. "
		"Ctrl-C ends the watching, not the job.", children, NULL, NULL,
	};
	struct jobs_input input = { .n_ids = 0 };
	Stagecoach__V1__WatchRequest request = STAGECOACH__V1__WATCH_REQUEST__INIT;
	struct client *client = NULL;
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;

	client_parse(&argp, "watch", argc, argv, &input);
	if (input.n_ids != 1)
		status = error_set(&err, SC_E_INVALID, "watch: expected one id, found %u",
				   input.n_ids);
	request.id = input.ids[0];
	request.from_now = input.from_now;
	if (status == SC_OK)
		status = client_begin(&input.target, &client, &err);
	if (status == SC_OK)
		status = client_stream(client, "Watch", &request.base, input.target.is_json, &err);
	client_close(client);
	return client_end(status, &err);
}

static enum sc_status cancel_job(struct client *client, char *id, bool is_json,
				 struct error *err)
{
	Stagecoach__V1__CancelRequest request = STAGECOACH__V1__CANCEL_REQUEST__INIT;
	ProtobufCMessage *answer;
	enum sc_status status;
	char word[32];

	request.id = id;
	status = client_ask(client, "Cancel", &request.base, 0,
			    &stagecoach__v1__job__descriptor, &answer, err);
	if (status != SC_OK)
		return status;
	if (is_json)
		status = client_print_json(answer, err);
	else
		printf("%s %s\n", id,
		       client_json_word(&stagecoach__v1__job_state__descriptor,
					(int)((Stagecoach__V1__Job *)answer)->state, word,
					sizeof word));
	protobuf_c_message_free_unpacked(answer, NULL);
	return status == SC_OK ? client_flush(err) : status;
}

/* All of them, also behind one that is not there. err tells of the last failure, the others are
 * told at once. */
static enum sc_status cancel_jobs(struct client *client, const struct jobs_input *input,
				  struct error *err)
{
	struct error last = { .status = SC_OK };

	for (unsigned i = 0; i < input->n_ids; i++) {
		enum sc_status status = cancel_job(client, input->ids[i], input->target.is_json,
						   err);

		if (status == SC_OK)
			continue;
		if (last.status != SC_OK)
			client_complain(&last);
		last = *err;
		if (status != SC_E_NOT_FOUND)
			break;
	}
	*err = last;
	return last.status;
}

int cmd_cancel(int argc, char **argv)
{
	static const struct argp argp = {
		NULL, parse_ids, "ID...",
		"Cancel jobs, and print each with the state that it has then. One that has ended "
		"stays as it is.", children, NULL, NULL,
	};
	struct jobs_input input = { .n_ids = 0 };
	struct client *client = NULL;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	client_parse(&argp, "cancel", argc, argv, &input);
	status = client_begin(&input.target, &client, &err);
	if (status == SC_OK)
		status = cancel_jobs(client, &input, &err);
	client_close(client);
	return client_end(status, &err);
}
