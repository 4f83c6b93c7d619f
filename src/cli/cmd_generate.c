/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach generate, submit - have the server continue a prompt. */
#include "cli/client_request.h"
#include "cli/client_stream.h"
#include "cli/client_verbs.h"
#include "cli/prompt_text.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include <stdio.h>

typedef enum sc_status job_fn(struct client *client, const struct client_request *request,
			      const struct config *config, struct error *err);

/* Read the flags and the prompt, connect, and have fn do the rest. */
static int run(enum program program, const char *usage, int argc, char **argv, job_fn *fn)
{
	struct config config;
	struct client_request request;
	struct client *client = NULL;
	struct buf text = BUF_INIT;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&config, program, usage, argc, argv, &exit_code))
		return exit_code;
	status = client_request_init(&request, &config, &err);
	if (status == SC_OK)
		status = prompt_text_read(&config, &text, &err);
	client_request_set_text(&request, &text);
	if (status == SC_OK)
		status = client_begin(&config, &client, &err);
	if (status == SC_OK)
		status = fn(client, &request, &config, &err);
	client_close(client);
	buf_deinit(&text);
	config_deinit(&config);
	return client_end(status, &err);
}

static enum sc_status generate(struct client *client, const struct client_request *request,
			       const struct config *config, struct error *err)
{
	return client_stream(client, "Generate", &request->message.base, config, err);
}

int cmd_generate(int argc, char **argv)
{
	static const char usage[] =
		"usage: stagecoach generate -p TEXT [OPTION...]\n\n"
		"Continue TEXT on a running server and print the new text as it arrives. The speed "
		"goes to\nstandard error. Ctrl-C cancels the job.\n";

	return run(PROGRAM_GENERATE, usage, argc, argv, generate);
}

static enum sc_status submit(struct client *client, const struct client_request *request,
			     const struct config *config, struct error *err)
{
	const Stagecoach__V1__Job *job;
	ProtobufCMessage *answer;
	enum sc_status status = client_ask(client, "Submit", &request->message.base, 0,
					   &stagecoach__v1__job__descriptor, &answer, err);

	if (status != SC_OK)
		return status;
	job = (const Stagecoach__V1__Job *)answer;
	client_warn(job->warnings, job->n_warnings);
	if (config->is_json)
		status = client_print_json(answer, err);
	else
		printf("%s\n", job->id);
	protobuf_c_message_free_unpacked(answer, NULL);
	return status == SC_OK ? client_flush(err) : status;
}

int cmd_submit(int argc, char **argv)
{
	static const char usage[] =
		"usage: stagecoach submit -p TEXT [OPTION...]\n\n"
		"Queue a job on a running server, print the id of the job, and return at once. The "
		"id is for\n`stagecoach watch`, `jobs` and `cancel`.\n";

	return run(PROGRAM_SUBMIT, usage, argc, argv, submit);
}
