/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach generate, submit - have the server continue a prompt. */
#include "cli/client_request.h"
#include "cli/client_stream.h"
#include "cli/client_verbs.h"
#include "cli/verbs.h"

#include <stdio.h>

static error_t parse_job(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = state->input;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ &client_request_argp, 0, NULL, 0 },
	{ 0 },
};

typedef enum sc_status job_fn(struct client *client, const struct client_request *request,
			      struct error *err);

/* Read the flags and the prompt, connect, and have fn do the rest. */
static int run(const struct argp *argp, const char *verb, int argc, char **argv, job_fn *fn)
{
	struct client_request request;
	struct client *client = NULL;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	client_request_init(&request);
	client_parse(argp, verb, argc, argv, &request);
	status = client_request_read(&request, &err);
	if (status == SC_OK)
		status = client_begin(&request.target, &client, &err);
	if (status == SC_OK)
		status = fn(client, &request, &err);
	client_close(client);
	client_request_deinit(&request);
	return client_end(status, &err);
}

static enum sc_status generate(struct client *client, const struct client_request *request,
			       struct error *err)
{
	return client_stream(client, "Generate", &request->message.base, request->target.is_json,
			     err);
}

int cmd_generate(int argc, char **argv)
{
	static const struct argp argp = {
		NULL, parse_job, NULL,
		"Have a running server continue a prompt and print the text as it comes; the speed "
		"goes to standard error. Ctrl-C cancels the job.", children, NULL, NULL,
	};

	return run(&argp, "generate", argc, argv, generate);
}

static enum sc_status submit(struct client *client, const struct client_request *request,
			     struct error *err)
{
	ProtobufCMessage *answer;
	enum sc_status status = client_ask(client, "Submit", &request->message.base, 0,
					   &stagecoach__v1__job__descriptor, &answer, err);

	if (status != SC_OK)
		return status;
	if (request->target.is_json)
		status = client_print_json(answer, err);
	else
		printf("%s\n", ((Stagecoach__V1__Job *)answer)->id);
	protobuf_c_message_free_unpacked(answer, NULL);
	return status == SC_OK ? client_flush(err) : status;
}

int cmd_submit(int argc, char **argv)
{
	static const struct argp argp = {
		NULL, parse_job, NULL,
		"Queue a job that runs by itself and print its id, for `stagecoach watch`, `jobs` "
		"and `cancel`.", children, NULL, NULL,
	};

	return run(&argp, "submit", argc, argv, submit);
}
