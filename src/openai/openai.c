/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai.h"

#include "base/clock.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

/* Names that are listed before those that are merely known: NAME, FILE.gguf, FILE, PATH. */
#define N_KNOWN 4

static enum sc_status add_name(struct openai *openai, const char *name, size_t n)
{
	while (n && *name == ' ') {
		name++;
		n--;
	}
	while (n && name[n - 1] == ' ')
		n--;
	if (!n)
		return SC_OK;
	openai->names[openai->n_names] = strndup(name, n);
	return openai->names[openai->n_names++] ? SC_OK : SC_E_NOMEM;
}

static enum sc_status add_told_names(struct openai *openai, const char *names, struct error *err)
{
	const char *at = names ? names : "";
	enum sc_status status = SC_OK;

	while (*at && status == SC_OK) {
		size_t n = strcspn(at, ",");

		if (openai->n_names == OPENAI_MAX_NAMES - N_KNOWN)
			return error_set(err, SC_E_CONFIG, "alias: expected at most %u names",
					 OPENAI_MAX_NAMES - N_KNOWN);
		status = add_name(openai, at, n);
		at += n + (at[n] == ',');
	}
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory");
}

/* What people may call the model without looking it up. */
static enum sc_status add_known_names(struct openai *openai, const struct model *model)
{
	const char *path = gguf_path(model->gguf);
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	size_t n = strlen(file);
	enum sc_status status = add_name(openai, model->name, strlen(model->name));

	if (!openai->n_told)
		openai->n_told = openai->n_names;
	if (status == SC_OK)
		status = add_name(openai, file, n);
	if (status == SC_OK && n > 5 && strcmp(file + n - 5, ".gguf") == 0)
		status = add_name(openai, file, n - 5);
	return status == SC_OK ? add_name(openai, path, strlen(path)) : status;
}

enum sc_status openai_create(const struct openai_config *config, struct openai **openai_out,
			     struct error *err)
{
	struct openai *openai = calloc(1, sizeof *openai);
	enum sc_status status;

	if (!openai)
		return error_set(err, SC_E_NOMEM, "out of memory");
	openai->loop = config->loop;
	openai->engine = config->engine;
	openai->chat = config->chat;
	openai->ping_ms = config->ping_ms;
	openai->n_slots = config->n_slots;
	openai->created = clock_unix_ms() / 1000;
	status = add_told_names(openai, config->names, err);
	openai->n_told = openai->n_names;
	if (status == SC_OK && config->engine &&
	    add_known_names(openai, engine_model(config->engine)) != SC_OK)
		status = error_set(err, SC_E_NOMEM, "out of memory");
	if (status != SC_OK) {
		openai_destroy(openai);
		return status;
	}
	*openai_out = openai;
	return SC_OK;
}

void openai_use_pool(struct openai *openai, struct work_pool *pool)
{
	openai->pool = pool;
}

void openai_destroy(struct openai *openai)
{
	if (!openai)
		return;
	for (unsigned i = 0; i < openai->n_names; i++)
		free(openai->names[i]);
	free(openai);
}

void openai_drain(struct openai *openai)
{
	openai->is_draining = true;
}

const char *openai_model_name(const struct openai *openai)
{
	return openai->n_names ? openai->names[0] : "";
}

bool openai_is_model(const struct openai *openai, const char *name)
{
	if (!*name || strcmp(name, "default") == 0)
		return true;
	for (unsigned i = 0; i < openai->n_names; i++)
		if (strcmp(openai->names[i], name) == 0)
			return true;
	return false;
}
