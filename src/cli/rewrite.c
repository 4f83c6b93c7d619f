/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rewrite.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/resources.h"
#include "cli/client_signal.h"
#include "cli/client_verbs.h"
#include "cli/json_text.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "hf/hf.h"
#include "hf/source.h"
#include "quant/quantize.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

struct rewrite_input {
	const struct rewrite *rewrite;
	struct config config;
	const char *from, *to;
	const char *type;	/* or NULL */
	struct progress progress;
};

static bool on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct rewrite_input *input = arg;

	if (total_bytes)
		progress_show(&input->progress, clock_ns(), "%s %.0f %%: %.0f of %.0f MiB",
			      input->rewrite->verb, floor(100.0 * (double)done_bytes / (double)total_bytes),
			      (double)done_bytes / MIB, (double)total_bytes / MIB);
	return !client_signal_sleep(0);
}

static enum sc_status print_json(const struct rewrite_input *input, const struct gguf *gguf,
				 const struct quant_mix *mix,
				 const struct quantize_result *result, double bits,
				 double seconds, struct error *err)
{
	json_t *json = json_pack("{s:o, s:o, s:s, s:I, s:I, s:f, s:i, s:f}",
				 "input", json_text(input->from, strlen(input->from)),
				 "output", json_text(input->to, strlen(input->to)),
				 "type", mix ? mix->name : "as stored", "input_bytes", (json_int_t)gguf_n_bytes(gguf),
				 "output_bytes", (json_int_t)result->file_bytes,
				 "bits_per_weight", bits,
				 "fallbacks", (int)result->n_fallbacks, "seconds", seconds);

	if (!json)
		return error_set(err, SC_E_NOMEM, "out of memory");
	json_dumpf(json, stdout, JSON_COMPACT | json_text_flags());
	putchar('\n');
	json_decref(json);
	return SC_OK;
}

static enum sc_status print_summary(const struct rewrite_input *input, const struct gguf *gguf,
				    const struct quant_mix *mix,
				    const struct quantize_result *result, double seconds,
				    struct error *err)
{
	const double bits = 8.0 * (double)result->tensor_bytes / (double)result->n_elements;

	if (result->n_fallbacks)
		fprintf(stderr, "stagecoach: %u tensors got a larger type, because the length of "
			"their rows is not a multiple of the block of the smaller type\n",
			result->n_fallbacks);
	if (input->config.is_json)
		return print_json(input, gguf, mix, result, bits, seconds, err);
	printf("%s: %.1f MiB -> %s: %.1f MiB, %s, %.2f bits per weight, %.1f s\n", input->from,
	       (double)gguf_n_bytes(gguf) / MIB, input->to, (double)result->file_bytes / MIB,
	       mix ? mix->name : "types as stored", bits, seconds);
	return SC_OK;
}

/* Opens the model. The output must not replace a file of its folder, weights or not. */
static enum sc_status open_input(const struct rewrite_input *input, struct gguf **gguf_out,
				 struct error *err)
{
	struct gguf *gguf;
	enum sc_status status = source_open(input->from, 0, &gguf, err);

	if (status)
		return status;
	if (hf_is_folder(gguf_path(gguf)) && !hf_is_folder(input->to) &&
	    hf_is_file_of(gguf_path(gguf), input->to)) {
		gguf_close(gguf);
		return error_set(err, SC_E_INVALID, "%s: expected another file than those of the "
				 "input: give a new name", input->to);
	}
	*gguf_out = gguf;
	return SC_OK;
}

static enum sc_status run(struct rewrite_input *input, struct error *err)
{
	struct quantize_options choice = {
		.to = input->to,
		.n_threads = input->config.threads ? input->config.threads
						   : resources_processor_count(),
		.allows_requantize = input->config.allows_requantize,
		.on_progress = on_progress, .arg = input,
	};
	const uint64_t start_ns = clock_ns();
	struct quantize_result result;
	struct gguf *gguf = NULL;
	enum sc_status status;

	status = input->type ? quant_mix_require(input->type, "TYPE", &choice.mix, err)
			     : SC_OK;
	if (status == SC_OK)
		status = open_input(input, &gguf, err);
	if (status != SC_OK)
		return status;
	progress_init(&input->progress, input->config.is_quiet);
	choice.kernels = quant_kernels(cpu_isa_best());
	status = quantize(gguf, &choice, &result, err);
	progress_end(&input->progress);
	if (status == SC_OK) {
		status = print_summary(input, gguf, choice.mix, &result,
				       clock_seconds(clock_ns() - start_ns), err);
	}
	if (status == SC_OK)
		status = client_flush(err);
	gguf_close(gguf);
	return status;
}

/* Takes INPUT, OUTPUT and TYPE from the words. */
static enum sc_status take_words(struct rewrite_input *input, struct error *err)
{
	const struct text_list *words = &input->config.arguments;
	const bool is_optional = input->rewrite->is_type_optional;
	const char *expected = is_optional ? "INPUT, OUTPUT and perhaps TYPE"
					   : "INPUT, OUTPUT and TYPE";

	if (words->n > 3)
		return error_set(err, SC_E_INVALID, "expected %s only, found '%s' too", expected,
				 words->texts[3]);
	if (words->n < 2 || (words->n == 2 && !is_optional))
		return error_set(err, SC_E_INVALID, "expected %s", expected);
	input->from = words->texts[0];
	input->to = words->texts[1];
	input->type = words->n == 3 ? words->texts[2] : NULL;
	return SC_OK;
}

int rewrite_main(const struct rewrite *rewrite, int argc, char **argv)
{
	struct rewrite_input input = { .rewrite = rewrite };
	struct error err = { .status = SC_OK };
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&input.config, rewrite->program, rewrite->usage, argc, argv, &exit_code))
		return exit_code;
	client_signal_catch();
	/* A file over the limit of ulimit is an error like a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	status = take_words(&input, &err);
	if (status == SC_OK)
		status = run(&input, &err);
	config_deinit(&input.config);
	return client_end(status, &err);
}
