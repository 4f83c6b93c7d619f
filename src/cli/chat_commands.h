/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CHAT_COMMANDS_H
#define STAGECOACH_CLI_CHAT_COMMANDS_H
/*
 * chat_commands - what a person may tell `stagecoach chat` instead of the model: lines that begin
 * with a slash.
 * Thread: one.
 */
#include "cli/conversation.h"
#include "cli/talker.h"

#include <stdio.h>

/* Sums over the turns so far. */
struct chat_totals {
	uint32_t n_turns;
	uint64_t n_prompt;		/* tokens */
	uint64_t n_generated;
	struct turn_result last;	/* of the last turn */
};

/* Everything is borrowed. */
struct chat_commands {
	struct conversation *conversation;
	struct config *config;		/* /set changes it */
	const struct chat_totals *totals;
	FILE *out;			/* what a command tells */
};

enum command_result {
	COMMAND_NONE,		/* no command: text for the model */
	COMMAND_DONE,
	COMMAND_SEND,		/* the conversation, as it now is, to the model */
	COMMAND_QUIT,
	COMMAND_FAILED,		/* err says why; nothing has changed */
};

/* Does what line says. Two slashes begin a text with one: then *text_out is that text, else line. */
enum command_result chat_command_run(const struct chat_commands *commands, const char *line,
				     const char **text_out, struct error *err);

#endif
