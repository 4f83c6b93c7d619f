/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach chat - a conversation with a model, of a server or in this process. */
#include "cli/chat_local.h"
#include "cli/chat_remote.h"
#include "cli/client_signal.h"
#include "cli/dialog.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include <signal.h>

static const char usage[] =
	"usage: stagecoach chat [-m FILE] [OPTION...]\n\n"
	"Talk with the model of a running server or, with -m, with a model in this process. What "
	"is\ntyped goes to the model, and the answers to standard output. Without a terminal each "
	"line of\nstandard input is a message. /help lists the commands.\n";

/* The file and the environment may name the model of a daemon: only the flag means this process. */
static bool is_local(const struct config *config)
{
	return config_source_of(config, "model") == CONFIG_FLAG;
}

/* The exit code where there is nobody to talk with. */
static int fail(const struct config *config, const struct error *err)
{
	int signum = is_local(config) ? 0 : client_signal_caught();

	if (signum)
		return 128 + signum;
	if (err->status == SC_E_CANCELLED)
		return session_exit_code(err);
	report_error(err);
	return sc_status_exit_code(err->status);
}

int cmd_chat(int argc, char **argv)
{
	struct config config;
	struct talker talker;
	struct error err;
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&config, PROGRAM_CHAT, usage, argc, argv, &exit_code))
		return exit_code;
	signal(SIGPIPE, SIG_IGN);	/* a reader that leaves is an error of write */
	status = is_local(&config) ? chat_local_open(&config, &talker, &err)
				   : chat_remote_open(&config, &talker, &err);
	if (status == SC_OK) {
		exit_code = dialog_run(&config, &talker);
		talker.ops->destroy(talker.self);
	} else {
		exit_code = fail(&config, &err);
	}
	config_deinit(&config);
	return exit_code;
}
