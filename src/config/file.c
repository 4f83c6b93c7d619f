/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include "base/buf.h"
#include "config/foreign.h"
#include "config/names.h"
#include "config/wide_numbers.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (1u << 20)

/* The program's own row, or else another program's. */
static const struct option_info *find_option(const char *key, enum program program)
{
	const struct option_info *found = NULL;
	char known[OPTION_NAME_MAX];

	for (unsigned i = 0; i < n_options; i++) {
		if (options[i].flags & OPTION_FLAG_ONLY)
			continue;
		option_file_key(&options[i], known);
		if (!strcmp(known, key) && (!found || options[i].programs & program))
			found = &options[i];
	}
	return found;
}

/* The value as someone would type it as a flag. NULL: a list, an array or a group. */
static const char *value_text(const config_setting_t *setting, char *scratch, size_t size)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(scratch, size, "%lld", config_setting_get_int64(setting));
		return scratch;
	case CONFIG_TYPE_FLOAT:
		snprintf(scratch, size, "%.17g", config_setting_get_float(setting));
		return scratch;
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(setting) ? "on" : "off";
	case CONFIG_TYPE_STRING:
		return config_setting_get_string(setting);
	default:
		return NULL;
	}
}

/* Numbers are not quoted and texts are: a value of the wrong kind is a slip that would otherwise
 * surface much later. */
static bool is_right_kind(const struct option_info *option, int type)
{
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_CHOICE:
		return type == CONFIG_TYPE_STRING;
	case OPTION_BOOL:
		return type == CONFIG_TYPE_BOOL;
	case OPTION_BYTES:
		return type != CONFIG_TYPE_BOOL;
	default:
		return type != CONFIG_TYPE_STRING && type != CONFIG_TYPE_BOOL;
	}
}

static const char *kind_wanted(const struct option_info *option)
{
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_CHOICE:
		return "a text in double quotes";
	case OPTION_BOOL:
		return "true or false";
	case OPTION_BYTES:
		return "a whole number, or a text such as \"512M\"";
	default:
		return "a number";
	}
}

/* A key that no setting has: a flag that is none, one of another program's, or near to a key. */
static enum sc_status refuse_key(const char *key, struct error *err)
{
	const struct option_info *flag = option_nearest(key, ~0u, 0, NULL);
	const struct option_info *near = option_nearest(key, ~0u, OPTION_FLAG_ONLY, NULL);
	const struct foreign_flag *foreign;
	char known[OPTION_NAME_MAX + 2];

	snprintf(known, sizeof known, "--%s", key);
	foreign = foreign_flag_find(known, strlen(known));
	if (foreign)
		return error_set(err, SC_E_CONFIG, "%s: no such setting: it is a flag of %s (%s). "
				 "%s", key, foreign->owner, foreign->meaning, foreign->advice);
	if (flag)
		option_file_key(flag, known);
	if (flag && flag->flags & OPTION_FLAG_ONLY && !strcmp(known, key))
		return error_set(err, SC_E_CONFIG, "%s: no such setting: there is only the flag "
				 "--%s", key, flag->name);
	if (near)
		option_file_key(near, known);
	return error_set(err, SC_E_CONFIG, "%s: no such setting%s%s%s", key,
			 near ? "; did you mean " : "", near ? known : "", near ? "?" : "");
}

static enum sc_status remember_place(struct config *config, const struct option_info *option,
				     const char *path, const config_setting_t *setting,
				     struct error *err)
{
	char **place = &config->places[option - options];

	free(*place);
	if (asprintf(place, "%s:%u", path, config_setting_source_line(setting)) < 0) {
		*place = NULL;
		return error_set(err, SC_E_NOMEM, "out of memory");
	}
	config->sources[option - options] = CONFIG_FILE;
	return SC_OK;
}

/* path: of the file that the setting stands in. */
static enum sc_status apply(struct config *config, enum program program, const char *path,
			    const config_setting_t *setting, struct error *err)
{
	const char *key = config_setting_name(setting);
	const struct option_info *option = find_option(key, program);
	char scratch[64];
	const char *text = value_text(setting, scratch, sizeof scratch);
	enum sc_status status;

	if (!option)
		return refuse_key(key, err);
	if (!text || !is_right_kind(option, config_setting_type(setting)))
		return error_set(err, SC_E_CONFIG, "%s: expected %s", key, kind_wanted(option));
	if (!(option->programs & program))
		return SC_OK;
	status = option_set_in(option, config, text, key, err);
	return status == SC_OK ? remember_place(config, option, path, setting, err) : status;
}

/* libconfig's own reading ends the program when a read fails, as it does for a directory. */
static enum sc_status read_text(const char *path, struct buf *text, struct error *err)
{
	enum sc_status status = SC_OK;
	FILE *stream = fopen(path, "r");
	size_t n;

	if (!stream)
		return error_errno(err, SC_E_CONFIG, errno, "%s", path);
	do {
		if (buf_reserve(text, BUFSIZ)) {
			status = error_set(err, SC_E_NOMEM, "%s: no memory", path);
			goto out;
		}
		n = fread(text->data + text->length, 1, BUFSIZ, stream);
		text->length += n;
		text->data[text->length] = '\0';
	} while (n && text->length <= MAX_FILE_BYTES);
	if (ferror(stream))
		status = error_errno(err, SC_E_CONFIG, errno, "%s", path);
	else if (text->length > MAX_FILE_BYTES)
		status = error_set(err, SC_E_CONFIG, "%s: expected at most %u bytes, found more",
				   path, MAX_FILE_BYTES);
	else if (strlen(text->data) < text->length)
		status = error_set(err, SC_E_CONFIG, "%s: expected text, found a NUL byte at %zu",
				   path, strlen(text->data));
out:
	fclose(stream);
	return status;
}

/* libconfig reads included files itself, so their numbers cannot be rewritten. */
static enum sc_status check_included(const char *path, struct error *err)
{
	struct buf text = BUF_INIT, rewritten = BUF_INIT;
	enum sc_status status = read_text(path, &text, err);

	if (status == SC_OK && wide_numbers_rewrite(text.data, &rewritten) != SC_OK)
		status = error_set(err, SC_E_NOMEM, "%s: no memory", path);
	else if (status == SC_OK && strcmp(text.data, rewritten.data))
		status = error_set(err, SC_E_CONFIG, "%s: found a whole number of more than 32 "
				   "bits in an included file: put an L behind it, or move it to "
				   "the file that includes this one", path);
	buf_deinit(&text);
	buf_deinit(&rewritten);
	return status;
}

/* The settings of a file that libconfig has read. */
static enum sc_status apply_all(struct config *config, enum program program, const char *path,
				const config_t *file, struct error *err)
{
	const config_setting_t *root = config_root_setting(file);
	const char *checked = path;
	enum sc_status status = SC_OK;

	for (int i = 0; status == SC_OK && i < config_setting_length(root); i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
		const char *source = config_setting_source_file(setting);

		source = source ? source : path;
		if (strcmp(source, path) && strcmp(source, checked)) {
			status = check_included(source, err);
			checked = source;
		}
		if (status != SC_OK)
			break;
		status = apply(config, program, source, setting, err);
		if (status != SC_OK)
			error_prefix(err, "%s:%u", source, config_setting_source_line(setting));
	}
	return status;
}

enum sc_status config_file_read(struct config *config, enum program program, const char *path,
				struct error *err)
{
	struct buf text = BUF_INIT, rewritten = BUF_INIT;
	enum sc_status status = read_text(path, &text, err);
	config_t file;

	config_init(&file);
	if (status)
		goto out;
	if (wide_numbers_rewrite(text.data, &rewritten) != SC_OK) {
		status = error_set(err, SC_E_NOMEM, "%s: no memory", path);
		goto out;
	}
	if (!config_read_string(&file, rewritten.data)) {
		status = error_set(err, SC_E_CONFIG, "%s:%d: %s", config_error_file(&file) ?
				   config_error_file(&file) : path, config_error_line(&file),
				   config_error_text(&file));
		goto out;
	}
	status = apply_all(config, program, path, &file, err);
out:
	config_destroy(&file);
	buf_deinit(&text);
	buf_deinit(&rewritten);
	return status;
}
