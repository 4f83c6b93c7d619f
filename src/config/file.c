/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include "config/options.h"

#include <errno.h>
#include <libconfig.h>
#include <string.h>

static const struct option_info *find_option(const char *key)
{
	char known[OPTION_NAME_MAX];

	for (unsigned i = 0; i < n_options; i++) {
		if (options[i].flags & OPTION_FLAG_ONLY)
			continue;
		option_file_key(&options[i], known);
		if (!strcmp(known, key))
			return &options[i];
	}
	return NULL;
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
		return type != CONFIG_TYPE_BOOL && type != CONFIG_TYPE_FLOAT;
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

static enum sc_status apply(struct config *config, enum program program,
			    const config_setting_t *setting, struct error *err)
{
	const char *key = config_setting_name(setting);
	const struct option_info *option = find_option(key);
	char scratch[64];
	const char *text = value_text(setting, scratch, sizeof scratch);

	if (!option)
		return error_set(err, SC_E_CONFIG, "%s: no such setting", key);
	if (!text || !is_right_kind(option, config_setting_type(setting)))
		return error_set(err, SC_E_CONFIG, "%s: expected %s", key, kind_wanted(option));
	if (!(option->programs & program))
		return SC_OK;
	if (option_set(option, config, text, err) != SC_OK) {
		error_prefix(err, "%s", key);
		return err ? err->status = SC_E_CONFIG : SC_E_CONFIG;
	}
	return SC_OK;
}

enum sc_status config_file_read(struct config *config, enum program program, const char *path,
				struct error *err)
{
	enum sc_status status = SC_OK;
	config_t file;
	FILE *stream = fopen(path, "r");

	if (!stream)
		return error_errno(err, SC_E_CONFIG, errno, "%s", path);
	config_init(&file);
	if (!config_read(&file, stream)) {
		status = error_set(err, SC_E_CONFIG, "%s:%d: %s", path, config_error_line(&file),
				   config_error_text(&file));
		goto out;
	}
	for (int i = 0; i < config_setting_length(config_root_setting(&file)); i++) {
		const config_setting_t *setting =
			config_setting_get_elem(config_root_setting(&file), (unsigned)i);

		status = apply(config, program, setting, err);
		if (status != SC_OK) {
			error_prefix(err, "%s:%u", path, config_setting_source_line(setting));
			break;
		}
	}
out:
	config_destroy(&file);
	fclose(stream);
	return status;
}
