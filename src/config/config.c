/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/log.h"
#include "config/file.h"
#include "config/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whose words that are no flags mean something: ids, files. */
#define TAKES_ARGUMENTS (PROGRAM_WATCH | PROGRAM_CANCEL | PROGRAM_QUANTIZE | PROGRAM_INSPECT)
/* Who is told where the prompt belongs when it stands alone. */
#define TAKES_PROMPT (PROGRAM_RUN | PROGRAM_GENERATE | PROGRAM_SUBMIT)
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
		option_deinit(&options[i], config);
	text_list_deinit(&config->arguments);
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
		config->sources[i] = CONFIG_ENVIRONMENT;
	}
	return SC_OK;
}

/* --- flags --- */

struct flags {
	struct option longs[2 * CONFIG_MAX_OPTIONS + 1];
	char shorts[2 * CONFIG_MAX_OPTIONS + 2];
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

/* The row of what getopt_long found. */
static unsigned find_row(int c, enum program program)
{
	unsigned i = 0;

	if (c >= FIRST_LONG)
		return (unsigned)c - FIRST_LONG;
	while (options[i].letter != c || !(options[i].programs & program))
		i++;
	return i;
}

/* What is left behind the flags. */
static enum sc_status read_words(struct config *config, enum program program, int argc,
				 char **argv, struct error *err)
{
	for (int i = optind; i < argc; i++) {
		if (program & TAKES_ARGUMENTS) {
			if (text_list_add(&config->arguments, argv[i]) != SC_OK)
				return error_set(err, SC_E_NOMEM, "out of memory");
			continue;
		}
		if (program & TAKES_PROMPT)
			return error_set(err, SC_E_INVALID, "unexpected argument '%s': the prompt "
					 "is given with -p TEXT or -f FILE", argv[i]);
		return error_set(err, SC_E_INVALID, "unexpected argument '%s', see --help",
				 argv[i]);
	}
	return SC_OK;
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
	enum sc_status status;
	struct flags flags;
	unsigned row;
	int c;

	build_flags(&flags, program);
	optind = 0;	/* start over, also within a program's second reading */
	opterr = 0;
	while ((c = getopt_long(argc, argv, flags.shorts, flags.longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return bad_flag(c, argv, err);
		row = find_row(c, program);
		status = option_set(&options[row], config, optarg ? optarg : "on", err);
		if (status) {
			error_prefix(err, "--%s", options[row].name);
			return status;
		}
		config->sources[row] = CONFIG_FLAG;
	}
	return read_words(config, program, argc, argv, err);
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

		if (!(options[i].programs & PROGRAM_DAEMON) ||
		    option_is_equal(&options[i], config, fresh))
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

bool config_has_prompt(const struct config *config)
{
	return config->prompt || *config->prompt_file;
}

bool config_parses_special(const struct config *config)
{
	return config->special || config->parse_special;
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
