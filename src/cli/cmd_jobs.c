/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach jobs, watch, cancel - what the server has been asked for. */
#include "base/clock.h"
#include "cli/client_json.h"
#include "cli/client_stream.h"
#include "cli/client_verbs.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdio.h>
#include <string.h>

#define N_STATES 5

/* The states that --state names; n of them are written. The option table knows only these words. */
static size_t read_states(const struct text_list *words, Stagecoach__V1__JobState *states)
{
	size_t n = 0;
	char word[32];

	for (uint32_t i = 0; i < words->n; i++)
		for (int value = 1; value <= N_STATES; value++)
			if (!strcmp(client_json_word(&stagecoach__v1__job_state__descriptor, value,
						     word, sizeof word), words->texts[i]))
				states[n++] = (Stagecoach__V1__JobState)value;
	return n;
}

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

static enum sc_status print_jobs(struct client *client, const struct config *config,
				 struct error *err)
{
	Stagecoach__V1__ListRequest request = STAGECOACH__V1__LIST_REQUEST__INIT;
	Stagecoach__V1__JobState states[N_STATES];
	const Stagecoach__V1__ListResponse *list;
	ProtobufCMessage *answer;
	enum sc_status status;

	request.limit = config->list_limit;
	request.states = states;
	request.n_states = read_states(&config->states, states);
	status = client_ask(client, "List", &request.base, 0,
			    &stagecoach__v1__list_response__descriptor, &answer, err);
	if (status != SC_OK)
		return status;
	list = (const Stagecoach__V1__ListResponse *)answer;
	if (!config->is_json)
		printf("%-24s %-10s %8s %8s %5s %9s\n", "JOB", "STATE", "PROMPT", "NEW", "SEQ",
		       "SECONDS");
	for (size_t i = 0; i < list->n_jobs && status == SC_OK; i++) {
		if (config->is_json)
			status = client_print_json(&list->jobs[i]->base, err);
		else
			print_job_row(list->jobs[i]);
	}
	protobuf_c_message_free_unpacked(answer, NULL);
	return status == SC_OK ? client_flush(err) : status;
}

/* Read the flags, connect, and have fn do the rest with as many ids as it takes. */
static int run(enum program program, const char *usage, int argc, char **argv, uint32_t min_ids,
	       uint32_t max_ids, enum sc_status (*fn)(struct client *client,
						      const struct config *config,
						      struct error *err))
{
	struct config config;
	struct client *client = NULL;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&config, program, usage, argc, argv, &exit_code))
		return exit_code;
	if (config.arguments.n < min_ids || config.arguments.n > max_ids)
		status = error_set(&err, SC_E_INVALID, "expected %s job id, found %u words: "
				   "`stagecoach jobs` lists the ids", max_ids == 1 ? "the" : "an",
				   config.arguments.n);
	else
		status = client_begin(&config, &client, &err);
	if (status == SC_OK)
		status = fn(client, &config, &err);
	client_close(client);
	config_deinit(&config);
	return client_end(status, &err);
}

int cmd_jobs(int argc, char **argv)
{
	static const char usage[] = "usage: stagecoach jobs [OPTION...]\n\n"
				    "List the jobs that the server remembers, newest first.\n";

	return run(PROGRAM_JOBS, usage, argc, argv, 0, 0, print_jobs);
}

static enum sc_status watch_job(struct client *client, const struct config *config,
				struct error *err)
{
	Stagecoach__V1__WatchRequest request = STAGECOACH__V1__WATCH_REQUEST__INIT;

	request.id = config->arguments.texts[0];
	request.from_now = config->from_now;
	request.prompt_progress = !config->is_quiet;
	return client_stream(client, "Watch", &request.base, config, err);
}

int cmd_watch(int argc, char **argv)
{
	static const char usage[] =
		"usage: stagecoach watch [OPTION...] ID\n\n"
		"Print the text of a job from its beginning, and new text as it arrives, until the "
		"job ends.\nCtrl-C stops watching; the job continues.\n";

	return run(PROGRAM_WATCH, usage, argc, argv, 1, 1, watch_job);
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
static enum sc_status cancel_jobs(struct client *client, const struct config *config,
				  struct error *err)
{
	struct error last = { .status = SC_OK };

	for (uint32_t i = 0; i < config->arguments.n; i++) {
		enum sc_status status = cancel_job(client, config->arguments.texts[i],
						   config->is_json, err);

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
	static const char usage[] =
		"usage: stagecoach cancel [OPTION...] ID...\n\n"
		"Cancel jobs and print their states. Jobs that have ended already do not change.\n";

	return run(PROGRAM_CANCEL, usage, argc, argv, 1, UINT32_MAX, cancel_jobs);
}
