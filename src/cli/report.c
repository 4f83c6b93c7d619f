/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include "base/console.h"
#include "base/log.h"
#include "base/nearest.h"
#include "model/quote.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 1048576.0

/* What all stages on a CPU compute with, and whose processors have more. */
static enum sc_status add_isa(const struct stage_status *stages, unsigned n_stages,
			      struct buf *out)
{
	const char *separator = ", the best one that all stages have; ";
	enum sc_status status;
	unsigned i = 0;

	while (i < n_stages && !*stages[i].instruction_set)
		i++;
	if (i == n_stages)
		return SC_OK;
	status = buf_add_format(out, "instruction set: %s", stages[i].instruction_set);
	for (; status == SC_OK && i < n_stages; i++) {
		if (!strcmp(stages[i].instruction_set, stages[i].best_instruction_set))
			continue;
		status = buf_add_format(out, "%sstage %u also has %s", separator, stages[i].rank,
					stages[i].best_instruction_set);
		separator = ", ";
	}
	return status == SC_OK ? buf_add_string(out, "\n") : status;
}

void report_plan(const struct engine *engine)
{
	const struct plan *plan = engine_plan(engine);
	const struct model *model = engine_model(engine);
	struct stage_status *stages = calloc(plan->n_stages, sizeof stages[0]);
	const char **where = calloc(plan->n_stages, sizeof where[0]);
	char (*names)[96] = calloc(plan->n_stages, sizeof names[0]);
	struct buf text = BUF_INIT;
	char head[512];

	for (unsigned i = 0; stages && where && names && i < plan->n_stages; i++) {
		engine_stage_status(engine, i, &stages[i]);
		snprintf(names[i], sizeof names[0], "%s:%u", stages[i].host, stages[i].pid);
		where[i] = names[i];
	}
	snprintf(head, sizeof head, "%s: %s, %u layers, %.1f million parameters, context %u, "
		 "keys and values in %s\n",
		 model->name, model->arch->name, model->hparams.n_layers,
		 (double)model->n_params / 1e6, engine_max_context(engine),
		 tensor_type_info(engine_kv_type(engine))->name);
	log_print(head);
	if (plan_format(plan, names ? where : NULL, &text) == SC_OK &&
	    (!stages || add_isa(stages, plan->n_stages, &text) == SC_OK))
		log_print(text.data);
	buf_deinit(&text);
	free(names);
	free(where);
	free(stages);
}

void report_loading(struct progress *progress, uint64_t now_ns, uint64_t done_bytes,
		    uint64_t total_bytes)
{
	if (total_bytes)
		progress_show(progress, now_ns, "loading %.0f %%: %.0f of %.0f MiB",
			      floor(100.0 * (double)done_bytes / (double)total_bytes),
			      (double)done_bytes / MIB, (double)total_bytes / MIB);
}

static void warn_of_key(const struct gguf *gguf, const char *key)
{
	char known[NEAREST_MAX_LENGTH + 1], near[NEAREST_MAX_LENGTH + 1] = "";
	struct nearest nearest;

	nearest_init(&nearest, key);
	for (size_t i = 0; i < gguf_n_keys(gguf); i++) {
		const struct gguf_string name = gguf_key(gguf, i);
		const size_t n_slips = nearest.n_slips;

		snprintf(known, sizeof known, "%.*s", (int)name.length, name.data);
		nearest_offer(&nearest, known);
		if (nearest.n_slips < n_slips)
			memcpy(near, known, sizeof near);
	}
	log_warning("ignore-key: the model file has no key %s%s%s%s", key,
		    *near ? "; did you mean " : "", *near ? quote(near, strlen(near)).text : "",
		    *near ? "?" : "");
}

void report_ignored_keys(const struct gguf *gguf, const char *ignored_keys)
{
	char key[128];

	for (const char *word = ignored_keys; *word; word += strspn(word, ", ")) {
		const size_t n = strcspn(word, ", ");

		if (n && !gguf_ignores(gguf, word, n)) {
			snprintf(key, sizeof key, "%.*s", (int)n, word);
			warn_of_key(gguf, key);
		}
		word += n;
	}
}

void report_warnings(const struct config *config)
{
	for (uint32_t i = 0; i < config->warnings.n; i++)
		log_warning("%s", config->warnings.texts[i]);
	for (uint32_t i = 0; i < config->notes.n; i++)
		log_debug("%s", config->notes.texts[i]);
}

enum sc_status report_fault(const struct config *config, enum sc_status status)
{
	static const char *const names[] = { "memory", "ctx-size", "kv-positions" };
	const char *last = names[0];

	for (int i = 1; i < 3; i++)
		if (config_source_of(config, names[i]) > config_source_of(config, last))
			last = names[i];
	if (status != SC_E_CAPACITY || config_source_of(config, last) == CONFIG_DEFAULT)
		return status;
	return config_fault(config, last);
}

void report_length(const struct opened_model *opened, uint32_t n_positions)
{
	const uint32_t n_trained = opened->model->hparams.n_context;

	if (n_trained && n_positions > n_trained)
		log_warning("the context is %u tokens, but the model was trained for %u: text "
			    "beyond that may be of low quality. Lower --ctx-size to avoid this",
			    n_positions, n_trained);
}

int report_flush(void)
{
	struct error err;

	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_SUCCESS;
	error_errno(&err, SC_E_IO, errno, "standard output");
	report_error(&err);
	return sc_status_exit_code(err.status);
}

void report_error(const struct error *err)
{
	console_printf(CONSOLE_LAST_WORDS, "%s: error: %s\n", program_invocation_short_name,
		       err->text);
}
