/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/config_value.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64		/* of one name in a list; those of the tables are shorter */

enum sc_status hf_config_init(struct hf_config *config, const json_t *root, const char *folder,
			      struct error *err)
{
	json_t *text = json_object_get(root, "text_config");

	*config = (struct hf_config){
		.json = json_copy((json_t *)root), .folder = folder,
		.is_wrapped = json_is_object(text),
	};
	if (!config->json)
		return error_set(err, SC_E_NOMEM, "out of memory");
	if (!config->is_wrapped)
		return SC_OK;
	/* The wrapper's own model_type and architectures must not hide those of the text model. */
	json_object_del(config->json, "architectures");
	json_object_del(config->json, "model_type");
	if (json_object_update(config->json, text)) {
		hf_config_deinit(config);
		return error_set(err, SC_E_NOMEM, "out of memory");
	}
	json_object_del(config->json, "text_config");
	return SC_OK;
}

void hf_config_deinit(struct hf_config *config)
{
	json_decref(config->json);
	config->json = NULL;
}

/* Takes the next name off a list. Returns false at its end. */
static bool next_name(const char **list, char stop, char name_out[NAME_BYTES])
{
	const char *end = strchr(*list, stop);
	size_t n = end ? (size_t)(end - *list) : strlen(*list);

	if (!n)
		return false;
	snprintf(name_out, NAME_BYTES, "%.*s", (int)n, *list);
	*list += end ? n + 1 : n;
	return true;
}

static const json_t *get_path(const json_t *object, const char *path)
{
	char name[NAME_BYTES];

	while (object && next_name(&path, '.', name))
		object = json_object_get(object, name);
	return object;
}

const json_t *hf_json_get(const json_t *object, const char *names)
{
	char name[NAME_BYTES];

	while (next_name(&names, '|', name)) {
		const json_t *value = get_path(object, name);

		if (value && !json_is_null(value))
			return value;
	}
	return NULL;
}

const json_t *hf_config_get(const struct hf_config *config, const char *names)
{
	return hf_json_get(config->json, names);
}

bool hf_is_listed(const char *list, const char *word)
{
	char name[NAME_BYTES];

	while (list && next_name(&list, '|', name))
		if (!strcmp(name, word))
			return true;
	return false;
}

struct hf_text hf_json_text(const json_t *value)
{
	struct hf_text text;
	char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII |
				JSON_REAL_PRECISION(9));

	snprintf(text.text, sizeof text.text, "%s", dump ? dump : "?");
	free(dump);
	return text;
}

enum sc_status hf_config_error(const struct hf_config *config, enum sc_status status,
			       struct error *err, const char *format, ...)
{
	char message[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return error_set(err, status, "%s/config.json: %s", config->folder, message);
}

static enum sc_status missing(const struct hf_config *config, const char *names, struct error *err)
{
	char name[NAME_BYTES];
	bool has_others = strchr(names, '|');

	next_name(&names, '|', name);
	return hf_config_error(config, SC_E_FORMAT, err, "the key '%s' is missing%s%s%s", name,
			       has_others ? " (so is " : "", has_others ? names : "",
			       has_others ? ")" : "");
}

/* The first of the names that the object has. */
static struct hf_text found_name(const json_t *object, const char *names)
{
	struct hf_text found;
	char name[NAME_BYTES] = "";

	while (next_name(&names, '|', name) && !hf_json_get(object, name))
		continue;
	snprintf(found.text, sizeof found.text, "%s", name);
	return found;
}

enum sc_status hf_config_u32(const struct hf_config *config, const char *names, uint32_t min,
			     uint32_t max, uint32_t fallback, uint32_t *value_out,
			     struct error *err)
{
	const json_t *value = hf_config_get(config, names);
	double number = value && json_is_number(value) ? json_number_value(value) : -1;

	if (!value && fallback < min)
		return missing(config, names, err);
	if (value && !(number >= min && number <= max && number == floor(number)))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'%s' must be a whole number from %u to %u, found %s",
				       found_name(config->json, names).text, min, max,
				       hf_json_text(value).text);
	*value_out = value ? (uint32_t)number : fallback;
	return SC_OK;
}

enum sc_status hf_json_number(const struct hf_config *config, const json_t *object, const char *in,
			      const char *names, double fallback, double *value_out,
			      struct error *err)
{
	const json_t *value = hf_json_get(object, names);
	double number = fallback;

	if (!value && fallback == -HUGE_VAL)
		return missing(config, names, err);
	if (value) {
		if (json_is_boolean(value))
			number = json_is_true(value);
		else if (json_is_number(value))
			number = json_number_value(value);
		else
			number = HUGE_VAL;
		if (!(fabs(number) <= FLT_MAX))
			return hf_config_error(config, SC_E_FORMAT, err,
					       "'%s'%s%s must be a number, found %s",
					       found_name(object, names).text, in ? " in " : "", in ? in : "",
					       hf_json_text(value).text);
	}
	*value_out = number;
	return SC_OK;
}

enum sc_status hf_config_number(const struct hf_config *config, const char *names, double fallback,
				double *value_out, struct error *err)
{
	return hf_json_number(config, config->json, NULL, names, fallback, value_out, err);
}

bool hf_config_flag(const struct hf_config *config, const char *names, bool fallback)
{
	const json_t *value = hf_config_get(config, names);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const char *hf_config_string(const struct hf_config *config, const char *names)
{
	return json_string_value(hf_config_get(config, names));
}
