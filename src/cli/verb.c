/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"

#include "cli/report.h"

#include "base/console.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int complain(const struct error *err)
{
	console_printf(CONSOLE_LAST_WORDS, "stagecoach: error: %s\n", err->text);
	return sc_status_exit_code(err->status);
}

static bool answer_question(const struct config *config, enum program program, const char *usage)
{
	if (config->is_help)
		config_print_help(stdout, program, usage);
	else if (config->is_version)
		printf("stagecoach %s\n", PACKAGE_VERSION);
	else if (config->is_print_config)
		config_print_effective(stdout, program, config);
	else if (config->is_print_options)
		config_print_man(stdout, PROGRAM_VERBS);
	else if (config->is_print_flags)
		config_print_flags(stdout, program);
	else
		return false;
	return true;
}

static int flush(void)
{
	struct error err;

	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_SUCCESS;
	error_errno(&err, SC_E_IO, errno, "standard output");
	return complain(&err);
}

bool verb_begin(struct config *config, enum program program, const char *usage, int argc,
		char **argv, int *exit_code_out)
{
	struct error err;

	if (config_load(config, program, NULL, argc, argv, &err) != SC_OK) {
		*exit_code_out = complain(&err);
		return false;
	}
	log_init((enum log_level)config_log_level(config), "");
	if (config->is_print_config)
		report_warnings(config);	/* of variables that are not among the settings */
	if (!answer_question(config, program, usage)) {
		report_warnings(config);
		return true;
	}
	*exit_code_out = flush();
	config_deinit(config);
	return false;
}
