/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach inspect - what a model file holds, and whether it fits here. */
#include "cli/client_verbs.h"
#include "cli/inspection.h"
#include "cli/json_text.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "model/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An argument, or --model; NULL: neither, or too many. */
static const char *find_path(const struct config *config)
{
	const struct text_list *words = &config->arguments;

	if (words->n)
		return words->n == 1 ? words->texts[0] : NULL;
	return *config->model ? config->model : NULL;
}

/* The default template, or else the first. As it is, but for a terminal, which could obey it. */
static enum sc_status add_template(const struct inspection *inspection, struct buf *out,
				   struct error *err)
{
	const struct summary *summary = &inspection->summary;
	struct gguf_string text;
	enum sc_status status;
	size_t i = 0;

	if (!summary->n_templates)
		return error_set(err, SC_E_NOT_FOUND, "%s: the file has no chat template",
				 gguf_path(inspection->gguf));
	while (i < summary->n_templates && summary->templates[i].name.length)
		i++;
	text = summary->templates[i < summary->n_templates ? i : 0].text;
	status = isatty(STDOUT_FILENO) ? printable_add_lines(out, text.data, text.length)
				       : buf_add(out, text.data, text.length);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory");
}

static enum sc_status add_json(const struct inspection *inspection, const struct config *config,
			       struct buf *out, struct error *err)
{
	json_t *json = inspection_json(inspection,
				       (config->shows_keys ? INSPECTION_KEYS : 0) |
				       (config->shows_tensors ? INSPECTION_TENSORS : 0) |
				       (config->shows_template ? INSPECTION_TEMPLATES : 0));
	char *text = json ? json_dumps(json, JSON_COMPACT | json_text_flags()) : NULL;
	enum sc_status status = text ? buf_add_format(out, "%s\n", text) : SC_E_NOMEM;

	free(text);
	json_decref(json);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory");
}

static enum sc_status add_lines(const struct inspection *inspection, const struct config *config,
				struct buf *out, struct error *err)
{
	enum sc_status status = inspection_print(inspection, out);

	if (status == SC_OK && config->shows_keys)
		status = buf_add_string(out, "\n");
	if (status == SC_OK && config->shows_keys)
		status = inspection_print_keys(inspection, out);
	if (status == SC_OK && config->shows_tensors)
		status = buf_add_string(out, "\n");
	if (status == SC_OK && config->shows_tensors)
		status = inspection_print_tensors(inspection, out);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory");
}

static enum sc_status print(const struct inspection *inspection, const struct config *config,
			    struct error *err)
{
	struct buf out = BUF_INIT;
	enum sc_status status;

	if (config->is_json)
		status = add_json(inspection, config, &out, err);
	else if (config->shows_template)
		status = add_template(inspection, &out, err);
	else
		status = add_lines(inspection, config, &out, err);
	if (status == SC_OK)
		fwrite(out.data, 1, out.length, stdout);
	buf_deinit(&out);
	return status == SC_OK ? client_flush(err) : status;
}

/* A model that is well formed, but nothing that we serve, is an answer. A broken one is an error,
 * told behind what could be read of it. */
static enum sc_status judge(const struct inspection *inspection, struct error *err)
{
	const struct error *why_not = &inspection->why_not;

	if (why_not->status == SC_OK || why_not->status == SC_E_UNSUPPORTED)
		return SC_OK;
	*err = *why_not;
	return err->status;
}

static enum sc_status inspect(const struct config *config, struct error *err)
{
	struct inspection inspection = { .gguf = NULL };
	const char *path = find_path(config);
	enum sc_status status;

	if (!path)
		return error_set(err, SC_E_INVALID, "expected one model file, as in stagecoach "
				 "inspect FILE");
	status = inspection_open(&inspection, path, config, err);
	if (status == SC_OK)
		status = print(&inspection, config, err);
	if (status == SC_OK)
		status = judge(&inspection, err);
	inspection_close(&inspection);
	return status;
}

static const char usage[] =
	"usage: stagecoach inspect [OPTION...] FILE\n\n"
	"Show what a model file contains: architecture, shape, tensor types, tokenizer and chat\n"
	"template. Then show whether stagecoach can serve the model, and with which context and\n"
	"how many stages it fits into the memory of this machine. The weights are not read. For\n"
	"a sharded model, FILE is the first file.\n";

int cmd_inspect(int argc, char **argv)
{
	struct config config;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&config, PROGRAM_INSPECT, usage, argc, argv, &exit_code))
		return exit_code;
	status = inspect(&config, &err);
	config_deinit(&config);
	return client_end(status, &err);
}
