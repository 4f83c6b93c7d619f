/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/log.h"
#include "config/environment.h"
#include "config/file.h"
#include "config/flags.h"
#include "config/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum sc_status set_defaults(struct config *config)
{
	memset(config, 0, sizeof *config);
	for (unsigned i = 0; i < n_options; i++) {
		enum sc_status status = SC_OK;

		if (options[i].fallback)
			status = option_set(&options[i], config, options[i].fallback, NULL);
		if (status != SC_OK)
			return status;
	}
	return SC_OK;
}

void config_deinit(struct config *config)
{
	for (unsigned i = 0; i < n_options; i++) {
		option_deinit(&options[i], config);
		free(config->places[i]);
	}
	text_list_deinit(&config->arguments);
	text_list_deinit(&config->warnings);
	text_list_deinit(&config->notes);
	free(config->file_read);
	memset(config, 0, sizeof *config);
}

enum config_source config_source_of(const struct config *config, const char *name)
{
	unsigned char source = CONFIG_DEFAULT;

	/* Of rows of the same name only the one of this program was ever set. */
	for (unsigned i = 0; i < n_options; i++)
		if (!strcmp(options[i].name, name) && config->sources[i] > source)
			source = config->sources[i];
	return (enum config_source)source;
}

enum sc_status config_fault(const struct config *config, const char *name)
{
	enum config_source source = config_source_of(config, name);

	return source == CONFIG_FILE || source == CONFIG_ENVIRONMENT ? SC_E_CONFIG : SC_E_INVALID;
}

/* The file named by a flag or by the environment must be there; the default one need not. */
static enum sc_status choose_file(struct config *config, enum program program,
				  const char *default_file, int argc, char **argv,
				  const char **file_out, struct error *err)
{
	enum sc_status status = config_read_flags(config, program, argc, argv, err);
	const char *variable = getenv("STAGECOACH_CONFIG");

	if (status != SC_OK)
		return status;
	*file_out = NULL;
	if (*config->config_file)
		*file_out = config->config_file;
	else if (variable && *variable)
		*file_out = variable;
	else if (default_file && !access(default_file, F_OK))
		*file_out = default_file;
	return SC_OK;
}

static enum sc_status read_file(struct config *config, enum program program, const char *file,
				struct error *err)
{
	config->file_read = strdup(file);
	if (!config->file_read)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return config_file_read(config, program, file, err);
}

enum sc_status config_load(struct config *config, enum program program, const char *default_file,
			   int argc, char **argv, struct error *err)
{
	struct config flags_only;
	const char *file = NULL;
	enum sc_status status;

	memset(config, 0, sizeof *config);
	if (set_defaults(&flags_only) != SC_OK || set_defaults(config) != SC_OK)
		status = error_set(err, SC_E_NOMEM, "out of memory");
	else
		status = choose_file(&flags_only, program, default_file, argc, argv, &file, err);
	if (status == SC_OK && file)
		status = read_file(config, program, file, err);
	if (status == SC_OK)
		status = config_read_environment(config, program, &flags_only, err);
	if (status == SC_OK)
		status = config_read_flags(config, program, argc, argv, err);
	config_deinit(&flags_only);
	if (status != SC_OK)
		config_deinit(config);
	return status;
}

void config_reload(struct config *config, struct config *fresh,
		   void (*fn)(void *arg, const char *name, bool is_applied), void *arg)
{
	for (unsigned i = 0; i < n_options; i++) {
		bool is_applied = options[i].flags & OPTION_RELOADS;

		if (!(options[i].programs & PROGRAM_DAEMON) ||
		    option_is_equal(&options[i], config, fresh))
			continue;
		if (is_applied)
			option_swap(&options[i], config, fresh);
		fn(arg, options[i].name, is_applied);
	}
}

bool config_listen_is_word(const struct config *config)
{
	return !strcmp(config->listen, "none") || !strcmp(config->listen, "keys");
}

void config_listen_address(const struct config *config, char *out, size_t size)
{
	const bool has_keys = *config->api_key || *config->api_key_file;
	const bool is_word = config_listen_is_word(config);

	if (is_word && (!has_keys || !strcmp(config->listen, "none")))
		snprintf(out, size, "%s", "");
	else if (*config->listen && !is_word)
		snprintf(out, size, "%s", config->listen);
	else if (strchr(config->host, ':'))
		snprintf(out, size, "[%s]:%u", config->host, config->port);
	else
		snprintf(out, size, "%s:%u", config->host, config->port);
}

bool config_has_prompt(const struct config *config)
{
	return config->prompt || *config->prompt_file;
}

bool config_parses_special(const struct config *config)
{
	return config->special || config->parse_special;
}

bool config_logs_json(const struct config *config)
{
	return config->log_format && !strcmp(config->log_format, "json");
}

int config_log_level(const struct config *config)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (int level = LOG_LEVEL_ERROR; level < LOG_LEVEL_DEBUG; level++)
		if (!strcmp(config->log_level, names[level]))
			return level;
	return LOG_LEVEL_DEBUG;
}
