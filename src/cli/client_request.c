/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_request.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Longer prompts fit no context; the server has its own limit. */
#define MAX_PROMPT ((size_t)64 << 20)

enum {
	KEY_TEMP = 0x500, KEY_TOP_K, KEY_TOP_P, KEY_MIN_P, KEY_STOP, KEY_IGNORE_EOS,
	KEY_PARSE_SPECIAL, KEY_SEQUENCES, KEY_TIMEOUT, KEY_LOGPROBS,
};

static const struct argp_option request_options[] = {
	{ "prompt", 'p', "TEXT", 0, "what to continue; -: standard input", 0 },
	{ "file", 'f', "FILE", 0, "the prompt is in FILE", 0 },
	{ "n-predict", 'n', "N", 0, "new tokens at most (until the context is full)", 0 },
	{ "predict", 0, NULL, OPTION_ALIAS, NULL, 0 },
	{ "sequences", KEY_SEQUENCES, "N", 0, "continue the prompt N times (1)", 0 },
	{ "temp", KEY_TEMP, "T", 0, "temperature; 0: the likeliest token always (0.8)", 0 },
	{ "top-k", KEY_TOP_K, "K", 0, "only the K likeliest tokens; 0: all (40)", 0 },
	{ "top-p", KEY_TOP_P, "P", 0, "only tokens that together have probability P (0.95)", 0 },
	{ "min-p", KEY_MIN_P, "P", 0, "only tokens P times as likely as the likeliest (0.05)", 0 },
	{ "seed", 's', "N", 0, "repeatable choices; -1: random (-1)", 0 },
	{ "stop", KEY_STOP, "TEXT", 0, "end before TEXT appears; may be given again", 0 },
	{ "ignore-eos", KEY_IGNORE_EOS, NULL, 0, "go on after an end token", 0 },
	{ "parse-special", KEY_PARSE_SPECIAL, NULL, 0,
	  "control tokens written out in the prompt count as such", 0 },
	{ "logprobs", KEY_LOGPROBS, NULL, 0,
	  "compute log-probabilities of the new tokens; --json shows them", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "cancel the job after so long", 0 },
	{ 0 },
};

static double number(const char *name, const char *text, double min, double max,
		     const struct argp_state *state)
{
	double value = 0;

	if (!parse_f64(text, &value) || value < min || value > max)
		argp_error(state, "--%s: expected a number from %g to %g, found '%s'", name, min,
			   max, text);
	return value;
}

static uint32_t whole(const char *name, const char *text, uint32_t max,
		      const struct argp_state *state)
{
	uint64_t value = 0;

	if (!parse_u64(text, &value) || value > max)
		argp_error(state, "--%s: expected a whole number from 0 to %u, found '%s'", name,
			   max, text);
	return (uint32_t)value;
}

static void set_seed(Stagecoach__V1__Sampling *sampling, const char *text,
		     const struct argp_state *state)
{
	uint64_t value;

	if (strcmp(text, "-1") == 0)
		return;
	if (!parse_u64(text, &value))
		argp_error(state, "--seed: expected a whole number or -1, found '%s'", text);
	sampling->_seed_case = STAGECOACH__V1__SAMPLING___SEED_SEED;
	sampling->seed = value;
}

/* -1 and -2 are llama.cpp's words for no limit. */
static uint32_t n_predict(const char *text, const struct argp_state *state)
{
	if (strcmp(text, "-1") == 0 || strcmp(text, "-2") == 0)
		return 0;
	return whole("n-predict", text, UINT32_MAX, state);
}

static void add_stop(struct client_request *request, char *text, const struct argp_state *state)
{
	if (request->message.n_stop == CLIENT_MAX_STOPS)
		argp_error(state, "--stop: expected at most %d", CLIENT_MAX_STOPS);
	request->stops[request->message.n_stop++] = text;
}

static error_t parse_sampling(int key, const char *arg, const struct argp_state *state)
{
	struct client_request *request = state->input;
	Stagecoach__V1__Sampling *sampling = &request->sampling;

	switch (key) {
	case KEY_TEMP:
		sampling->_temperature_case = STAGECOACH__V1__SAMPLING___TEMPERATURE_TEMPERATURE;
		sampling->temperature = (float)number("temp", arg, 0, 1000, state);
		return 0;
	case KEY_TOP_K:
		sampling->_top_k_case = STAGECOACH__V1__SAMPLING___TOP_K_TOP_K;
		sampling->top_k = whole("top-k", arg, UINT32_MAX, state);
		return 0;
	case KEY_TOP_P:
		sampling->_top_p_case = STAGECOACH__V1__SAMPLING___TOP_P_TOP_P;
		sampling->top_p = (float)number("top-p", arg, 0, 1, state);
		return 0;
	case KEY_MIN_P:
		sampling->_min_p_case = STAGECOACH__V1__SAMPLING___MIN_P_MIN_P;
		sampling->min_p = (float)number("min-p", arg, 0, 1, state);
		return 0;
	case 's':
		set_seed(sampling, arg, state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_request(int key, char *arg, struct argp_state *state)
{
	struct client_request *request = state->input;
	Stagecoach__V1__GenerateRequest *message = &request->message;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &request->target;
		return 0;
	case 'p':
		request->prompt = arg;
		return 0;
	case 'f':
		request->file = arg;
		return 0;
	case 'n':
		message->max_tokens = n_predict(arg, state);
		return 0;
	case KEY_SEQUENCES:
		message->n = whole("sequences", arg, 64, state);
		return 0;
	case KEY_STOP:
		add_stop(request, arg, state);
		return 0;
	case KEY_IGNORE_EOS:
		message->ignore_end = true;
		return 0;
	case KEY_PARSE_SPECIAL:
		message->parse_special = true;
		return 0;
	case KEY_LOGPROBS:
		message->logprobs = true;
		return 0;
	case KEY_TIMEOUT:
		message->timeout_ms = (uint64_t)(number("timeout", arg, 0.001, 1e9, state) * 1e3);
		return 0;
	case ARGP_KEY_END:
		if (!request->prompt == !request->file)
			argp_error(state, "expected either --prompt or --file");
		return 0;
	}
	return parse_sampling(key, arg, state);
}

static const struct argp_child request_children[] = {
	{ &client_target_argp, 0, NULL, 0 },
	{ 0 },
};

const struct argp client_request_argp = { request_options, parse_request, NULL, NULL,
					  request_children, NULL, NULL };

void client_request_init(struct client_request *request)
{
	*request = (struct client_request){
		.message = STAGECOACH__V1__GENERATE_REQUEST__INIT,
		.sampling = STAGECOACH__V1__SAMPLING__INIT,
	};
	request->message.sampling = &request->sampling;
	request->message.stop = request->stops;
	buf_init(&request->text);
}

void client_request_deinit(struct client_request *request)
{
	buf_deinit(&request->text);
}

static enum sc_status read_file(FILE *file, const char *name, struct buf *text, struct error *err)
{
	char bytes[65536];
	size_t n;

	while ((n = fread(bytes, 1, sizeof bytes, file)) > 0) {
		if (text->length + n > MAX_PROMPT)
			return error_set(err, SC_E_TOO_LARGE, "%s: the prompt is longer than %zu "
					 "bytes", name, MAX_PROMPT);
		if (buf_add(text, bytes, n) != SC_OK)
			return error_set(err, SC_E_NOMEM, "%s: out of memory", name);
	}
	if (ferror(file))
		return error_errno(err, SC_E_IO, errno, "%s", name);
	return SC_OK;
}

enum sc_status client_request_read(struct client_request *request, struct error *err)
{
	enum sc_status status = SC_OK;
	FILE *file;

	if (request->file) {
		file = fopen(request->file, "re");
		if (!file)
			return error_errno(err, SC_E_NOT_FOUND, errno, "%s", request->file);
		status = read_file(file, request->file, &request->text, err);
		fclose(file);
	} else if (strcmp(request->prompt, "-") == 0) {
		status = read_file(stdin, "standard input", &request->text, err);
	} else if (buf_add_string(&request->text, request->prompt) != SC_OK) {
		status = error_set(err, SC_E_NOMEM, "out of memory");
	}
	if (status != SC_OK)
		return status;
	/* Raw, so that a file may hold any bytes. */
	request->message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_RAW_TEXT;
	request->message.raw_text.data = (uint8_t *)request->text.data;
	request->message.raw_text.len = request->text.length;
	return SC_OK;
}
