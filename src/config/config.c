/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/log.h"
#include "config/file.h"
#include "config/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OPTIONS 128
#define FIRST_LONG 1000		/* getopt_long's values: FIRST_LONG + index in the table */

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
	for (unsigned i = 0; i < n_options; i++)
		if (options[i].type == OPTION_STRING || options[i].type == OPTION_CHOICE)
			free(*(char **)((char *)config + options[i].offset));
	memset(config, 0, sizeof *config);
}

static enum sc_status read_environment(struct config *config, enum program program,
				       struct error *err)
{
	char variable[OPTION_NAME_MAX];

	for (unsigned i = 0; i < n_options; i++) {
		enum sc_status status;
		const char *text;

		if (!(options[i].programs & program) || options[i].flags & OPTION_FLAG_ONLY)
			continue;
		option_variable(&options[i], variable);
		text = getenv(variable);
		if (!text)
			continue;
		status = option_set_in(&options[i], config, text, variable, err);
		if (status) {
			error_prefix(err, "environment");
			return status;
		}
	}
	return SC_OK;
}

/* --- flags --- */

struct flags {
	struct option longs[2 * MAX_OPTIONS + 1];
	char shorts[2 * MAX_OPTIONS + 2];
};

static void add_long(struct flags *flags, unsigned *n, const char *name, unsigned index)
{
	flags->longs[(*n)++] = (struct option){
		.name = name,
		.has_arg = options[index].type == OPTION_BOOL ? optional_argument
							      : required_argument,
		.val = (int)(FIRST_LONG + index),
	};
}

static void build_flags(struct flags *flags, enum program program)
{
	char *shorts = flags->shorts;
	unsigned n = 0;

	memset(flags, 0, sizeof *flags);
	*shorts++ = ':';	/* tell a missing value from an unknown flag */
	for (unsigned i = 0; i < n_options; i++) {
		if (!(options[i].programs & program))
			continue;
		add_long(flags, &n, options[i].name, i);
		if (options[i].alias)
			add_long(flags, &n, options[i].alias, i);
		if (!options[i].letter)
			continue;
		*shorts++ = options[i].letter;
		if (options[i].type != OPTION_BOOL)
			*shorts++ = ':';
	}
}

static const struct option_info *find_letter(int letter, enum program program)
{
	for (unsigned i = 0; i < n_options; i++)
		if (options[i].letter == letter && options[i].programs & program)
			return &options[i];
	return NULL;
}

static enum sc_status bad_flag(int c, char **argv, struct error *err)
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (optopt > 0 && optopt < FIRST_LONG)
		word = letter;
	return error_set(err, SC_E_INVALID, "%s: %s", word,
			 c == ':' ? "a value is missing" : "no such option, see --help");
}

static enum sc_status read_arguments(struct config *config, enum program program, int argc,
				     char **argv, struct error *err)
{
	const struct option_info *option;
	enum sc_status status;
	struct flags flags;
	int c;

	build_flags(&flags, program);
	optind = 0;	/* start over, also within a program's second reading */
	opterr = 0;
	while ((c = getopt_long(argc, argv, flags.shorts, flags.longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return bad_flag(c, argv, err);
		option = c >= FIRST_LONG ? &options[c - FIRST_LONG] : find_letter(c, program);
		status = option_set(option, config, optarg ? optarg : "on", err);
		if (status) {
			error_prefix(err, "--%s", option->name);
			return status;
		}
	}
	if (optind < argc)
		return error_set(err, SC_E_INVALID, "unexpected argument '%s', see --help",
				 argv[optind]);
	return SC_OK;
}

/* --- all sources --- */

/* The file named by a flag or by the environment must be there; the default one need not. */
static enum sc_status choose_file(struct config *config, enum program program,
				  const char *default_file, int argc, char **argv,
				  const char **file_out, struct error *err)
{
	enum sc_status status = read_arguments(config, program, argc, argv, err);
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
		status = config_file_read(config, program, file, err);
	if (status == SC_OK)
		status = read_environment(config, program, err);
	if (status == SC_OK)
		status = read_arguments(config, program, argc, argv, err);
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

		if (option_is_equal(&options[i], config, fresh))
			continue;
		if (is_applied)
			option_swap(&options[i], config, fresh);
		fn(arg, options[i].name, is_applied);
	}
}

void config_listen_address(const struct config *config, char *out, size_t size)
{
	if (!strcmp(config->listen, "none"))
		snprintf(out, size, "%s", "");
	else if (*config->listen)
		snprintf(out, size, "%s", config->listen);
	else if (strchr(config->host, ':'))
		snprintf(out, size, "[%s]:%u", config->host, config->port);
	else
		snprintf(out, size, "%s:%u", config->host, config->port);
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
