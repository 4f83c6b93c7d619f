/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/one_shot.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/console.h"
#include "cli/wiring.h"
#include "coordinator/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PROMPT_BYTES (16u << 20)

struct one_shot {
	struct job *job;
	struct job_watcher watcher;
	size_t n_printed;
	uint64_t started_ns;
	uint64_t first_ns;	/* when the first token came */
	struct error write_error;	/* SC_OK as long as the text can be written */
	bool is_told;		/* on_end was called */
	void (*on_end)(void *arg, const struct error *err);
	void *arg;
};

static void print_news(struct one_shot *one_shot)
{
	const struct output *output = job_output(one_shot->job, 0);
	size_t n = output->text.length - one_shot->n_printed;

	if (!n)
		return;
	one_shot->n_printed = output->text.length;
	if (fwrite(output->text.data + one_shot->n_printed - n, 1, n, stdout) == n &&
	    !fflush(stdout))
		return;
	/* Nobody reads any more: there is no point in going on. */
	error_errno(&one_shot->write_error, SC_E_IO, errno, "standard output");
	job_cancel(one_shot->job);
}

static void print_speed(const struct one_shot *one_shot)
{
	uint64_t now_ns = clock_ns();
	uint32_t n_prompt = job_n_prompt_tokens(one_shot->job);
	uint32_t n_tokens = job_output(one_shot->job, 0)->n_tokens;
	double prompt_seconds = clock_seconds(one_shot->first_ns - one_shot->started_ns);
	double seconds = clock_seconds(now_ns - one_shot->first_ns);

	if (!one_shot->first_ns)
		return;
	console_printf(CONSOLE_ANY, "prompt: %u tokens in %.3f s, %.1f tokens/s\n", n_prompt,
		       prompt_seconds, n_prompt / prompt_seconds);
	if (n_tokens > 1 && seconds > 0.0)
		console_printf(CONSOLE_ANY, "generated: %u tokens in %.3f s, %.1f tokens/s\n",
			       n_tokens, seconds, (n_tokens - 1) / seconds);
}

static void on_change(void *arg, struct job *job)
{
	struct one_shot *one_shot = arg;

	if (one_shot->is_told)
		return;
	if (!one_shot->first_ns && job_output(job, 0)->n_tokens)
		one_shot->first_ns = clock_ns();
	print_news(one_shot);
	if (!job_is_ended(job))
		return;
	one_shot->is_told = true;
	putchar('\n');
	fflush(stdout);
	print_speed(one_shot);
	if (one_shot->write_error.status != SC_OK)
		one_shot->on_end(one_shot->arg, &one_shot->write_error);
	else if (job_state(job) == JOB_DONE)
		one_shot->on_end(one_shot->arg, NULL);
	else
		one_shot->on_end(one_shot->arg, job_error(job));
}

static enum sc_status read_input(struct buf *text, struct error *err)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
		if (text->length + (size_t)n > MAX_PROMPT_BYTES)
			return error_set(err, SC_E_TOO_LARGE,
					 "standard input: more than %u bytes of prompt",
					 MAX_PROMPT_BYTES);
		if (buf_add(text, chunk, (size_t)n) != SC_OK)
			return error_set(err, SC_E_NOMEM, "out of memory for the prompt");
	}
	if (n < 0)
		return error_errno(err, SC_E_IO, errno, "standard input");
	return SC_OK;
}

enum sc_status one_shot_read_prompt(const struct config *config,
				    const struct tokenizer *tokenizer, struct token_list *prompt,
				    struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = SC_OK;

	if (!config->prompt)
		return SC_OK;
	if (!strcmp(config->prompt, "-"))
		status = read_input(&text, err);
	else if (buf_add_string(&text, config->prompt) != SC_OK)
		status = error_set(err, SC_E_NOMEM, "out of memory for the prompt");
	if (status == SC_OK)
		status = tokenizer_encode(tokenizer, text.data, text.length,
					  TOKENIZE_ADD_SPECIAL |
					  (config->parse_special ? TOKENIZE_PARSE_SPECIAL : 0),
					  prompt, err);
	buf_deinit(&text);
	return status;
}

static enum sc_status submit(struct coordinator *coordinator, const struct config *config,
			     const struct token_list *prompt, struct job **job_out,
			     struct error *err)
{
	struct job_request request = {
		.prompt_tokens = prompt->ids,
		.n_prompt_tokens = prompt->n,
		.max_tokens = config->n_predict > 0 ? (uint32_t)config->n_predict : 0,
		.ignore_end = config->ignore_eos,
		.temperature = (float)config->temperature,
		.top_k = config->top_k,
		.top_p = (float)config->top_p,
		.min_p = (float)config->min_p,
		.seed = wire_seed(config),
		.is_attached = true,
	};

	return job_submit(coordinator, &request, job_out, err);
}

enum sc_status one_shot_start(struct coordinator *coordinator, const struct config *config,
			      const struct token_list *prompt,
			      void (*on_end)(void *arg, const struct error *err), void *arg,
			      struct one_shot **one_shot_out, struct error *err)
{
	struct one_shot *one_shot = calloc(1, sizeof *one_shot);
	enum sc_status status;

	if (!one_shot)
		return error_set(err, SC_E_NOMEM, "out of memory");
	one_shot->on_end = on_end;
	one_shot->arg = arg;
	one_shot->started_ns = clock_ns();
	status = submit(coordinator, config, prompt, &one_shot->job, err);
	if (status != SC_OK) {
		free(one_shot);
		return status;
	}
	one_shot->watcher.on_change = on_change;
	one_shot->watcher.arg = one_shot;
	job_watch(one_shot->job, &one_shot->watcher);
	*one_shot_out = one_shot;
	return SC_OK;
}

void one_shot_destroy(struct one_shot *one_shot)
{
	if (!one_shot)
		return;
	one_shot->is_told = true;
	job_unwatch(one_shot->job, &one_shot->watcher);
	job_release(one_shot->job);
	free(one_shot);
}
