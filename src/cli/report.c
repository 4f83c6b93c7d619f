/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include "base/console.h"
#include "base/log.h"

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

void report_plan(const struct coordinator *coordinator)
{
	const struct plan *plan = coordinator_plan(coordinator);
	const struct model *model = coordinator_model(coordinator);
	struct stage_status *stages = calloc(plan->n_stages, sizeof stages[0]);
	const char **where = calloc(plan->n_stages, sizeof where[0]);
	char (*names)[96] = calloc(plan->n_stages, sizeof names[0]);
	struct buf text = BUF_INIT;

	for (unsigned i = 0; stages && where && names && i < plan->n_stages; i++) {
		coordinator_stage_status(coordinator, i, &stages[i]);
		snprintf(names[i], sizeof names[0], "%s:%u", stages[i].host, stages[i].pid);
		where[i] = names[i];
	}
	console_printf(CONSOLE_ANY, "%s: %s, %u layers, %.1f million parameters, context %u, "
		       "keys and values in %s\n",
		       model->name, model->arch->name, model->hparams.n_layers,
		       (double)model->n_params / 1e6, coordinator_max_context(coordinator),
		       tensor_type_info(coordinator_kv_type(coordinator))->name);
	if (plan_format(plan, names ? where : NULL, &text) == SC_OK &&
	    (!stages || add_isa(stages, plan->n_stages, &text) == SC_OK))
		console_print(text.data);
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

void report_warnings(const struct config *config)
{
	for (uint32_t i = 0; i < config->warnings.n; i++)
		log_warning("%s", config->warnings.texts[i]);
	for (uint32_t i = 0; i < config->notes.n; i++)
		log_debug("%s", config->notes.texts[i]);
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
