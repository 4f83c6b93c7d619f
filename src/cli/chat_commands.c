/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chat_commands.h"

#include "base/nearest.h"
#include "config/options.h"

#include <stdlib.h>
#include <string.h>

typedef enum command_result command_fn(const struct chat_commands *commands,
				       const char *argument, struct error *err);

static enum command_result done(enum sc_status status)
{
	return status == SC_OK ? COMMAND_DONE : COMMAND_FAILED;
}

static enum command_result refuse(const char *command, const char *expected, struct error *err)
{
	error_set(err, SC_E_INVALID, "%s: expected %s", command, expected);
	return COMMAND_FAILED;
}

/* --- the conversation --- */

static enum command_result set_system(const struct chat_commands *commands, const char *argument,
				      struct error *err)
{
	return done(conversation_set_system(commands->conversation, argument, strlen(argument),
					    err));
}

static enum command_result clear(const struct chat_commands *commands, const char *argument,
				 struct error *err)
{
	(void)argument;
	(void)err;
	conversation_clear(commands->conversation);
	return COMMAND_DONE;
}

static enum command_result regenerate(const struct chat_commands *commands, const char *argument,
				      struct error *err)
{
	(void)argument;
	if (conversation_drop_answer(commands->conversation))
		return COMMAND_SEND;
	return refuse("/regen", "a conversation that has begun", err);
}

static enum command_result save(const struct chat_commands *commands, const char *argument,
				struct error *err)
{
	enum sc_status status;

	if (!*argument)
		return refuse("/save", "the name of a file", err);
	status = conversation_save(commands->conversation, argument, err);
	if (status == SC_OK)
		fprintf(commands->out, "saved %zu messages in %s\n",
			conversation_n_messages(commands->conversation), argument);
	return done(status);
}

static enum command_result load(const struct chat_commands *commands, const char *argument,
				struct error *err)
{
	enum sc_status status;

	if (!*argument)
		return refuse("/load", "the name of a file", err);
	status = conversation_load(commands->conversation, argument, err);
	if (status == SC_OK)
		fprintf(commands->out, "loaded %zu messages from %s\n",
			conversation_n_messages(commands->conversation), argument);
	return done(status);
}

/* --- settings --- */

/* Flags that say how the answer is drawn and how long it may be. */
static bool is_setting(const struct option_info *option)
{
	static const char *const others[] = { "n-predict", "stop", "stop-token", "ignore-eos",
					      "timeout", "hide-reasoning" };

	if (!(option->programs & PROGRAM_CHAT))
		return false;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (!strcmp(option->name, others[i]))
			return true;
	return !strcmp(option->section, "Sampling");
}

static bool is_same_name(const char *name, const char *text, size_t n_bytes)
{
	if (!name || strlen(name) != n_bytes)
		return false;
	for (size_t i = 0; i < n_bytes; i++)
		if (name[i] != (text[i] == '_' ? '-' : text[i]))
			return false;
	return true;
}

static const struct option_info *find_setting(const char *text, size_t n_bytes)
{
	for (unsigned i = 0; i < n_options; i++)
		if (is_setting(&options[i]) &&
		    (is_same_name(options[i].name, text, n_bytes) ||
		     is_same_name(options[i].alias, text, n_bytes)))
			return &options[i];
	return NULL;
}

static void list_settings(const struct chat_commands *commands)
{
	for (unsigned i = 0; i < n_options; i++)
		if (is_setting(&options[i]))
			fprintf(commands->out, "  %s%s%s\n", options[i].name,
				options[i].value ? " " : "",
				options[i].value ? options[i].value : "on|off");
}

static enum command_result set(const struct chat_commands *commands, const char *argument,
			       struct error *err)
{
	size_t n_bytes = strcspn(argument, " \t=");
	const char *value = argument + n_bytes + strspn(argument + n_bytes, " \t=");
	const struct option_info *option = find_setting(argument, n_bytes);
	enum sc_status status;

	if (!*argument) {
		list_settings(commands);
		return COMMAND_DONE;
	}
	if (!option) {
		error_set(err, SC_E_INVALID, "/set: no such setting: %.*s. /set lists them",
			  n_bytes < 40 ? (int)n_bytes : 40, argument);
		return COMMAND_FAILED;
	}
	if (option->type == OPTION_LIST)
		option_deinit(option, commands->config);	/* the value replaces the list */
	status = option->type == OPTION_LIST && !*value
		 ? SC_OK : option_set(option, commands->config, value, err);
	if (status != SC_OK)
		error_prefix(err, "/set: %s", option->name);
	return done(status);
}

/* --- the rest --- */

static enum command_result show_stats(const struct chat_commands *commands, const char *argument,
				      struct error *err)
{
	const struct chat_totals *totals = commands->totals;
	const struct turn_result *last = &totals->last;

	(void)argument;
	(void)err;
	fprintf(commands->out, "%u turns, %llu prompt tokens, %llu generated tokens\n",
		totals->n_turns, (unsigned long long)totals->n_prompt,
		(unsigned long long)totals->n_generated);
	if (!totals->n_turns)
		return COMMAND_DONE;
	fprintf(commands->out, "last turn: %u prompt tokens, %u generated tokens in %.2f s",
		last->n_prompt, last->n_generated, last->total_seconds);
	if (last->first_token_seconds > 0.0)
		fprintf(commands->out, "; first token after %.3f s", last->first_token_seconds);
	if (last->tokens_per_second > 0.0)
		fprintf(commands->out, ", then %.1f tokens/s", last->tokens_per_second);
	fputc('\n', commands->out);
	if (last->n_context)
		fprintf(commands->out, "context: %u of %u tokens\n",
			last->n_prompt + last->n_generated, last->n_context);
	return COMMAND_DONE;
}

static enum command_result quit(const struct chat_commands *commands, const char *argument,
				struct error *err)
{
	(void)commands;
	(void)argument;
	(void)err;
	return COMMAND_QUIT;
}

static command_fn help;

static const struct {
	const char *name;
	const char *argument;
	command_fn *run;
	const char *help;
} table[] = {
	{ "/help", "", help, "show this list" },
	{ "/system", " TEXT", set_system, "replace the system message; without TEXT: remove it" },
	{ "/clear", "", clear, "forget the conversation, but not the system message" },
	{ "/regen", "", regenerate, "have the last message answered again" },
	{ "/save", " FILE", save, "write the conversation to FILE, as JSON" },
	{ "/load", " FILE", load, "read a conversation from FILE" },
	{ "/set", " NAME VALUE", set, "change a setting, as in /set temp 0.5; alone: list them" },
	{ "/stats", "", show_stats, "show tokens and speed" },
	{ "/quit", "", quit, "end; so do /exit and Ctrl-D" },
	{ "/exit", "", quit, NULL },
};
enum { N_COMMANDS = sizeof table / sizeof table[0] };

static enum command_result help(const struct chat_commands *commands, const char *argument,
				struct error *err)
{
	(void)argument;
	(void)err;
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (table[i].help)
			fprintf(commands->out, "  %s%-*s %s\n", table[i].name,
				17 - (int)strlen(table[i].name), table[i].argument,
				table[i].help);
	fputs("A backslash at the end of a line continues it in the next one. Lines between "
	      "\"\"\" and \"\"\" are one text.\n// begins a text with a slash. Ctrl-C stops an "
	      "answer.\n", commands->out);
	return COMMAND_DONE;
}

static enum command_result refuse_command(const char *line, size_t n_bytes, struct error *err)
{
	struct nearest nearest;
	char name[32];

	snprintf(name, sizeof name, "%.*s", n_bytes < sizeof name ? (int)n_bytes : 31, line);
	nearest_init(&nearest, name);
	for (size_t i = 0; i < N_COMMANDS; i++)
		nearest_offer(&nearest, table[i].name);
	if (nearest.best)
		error_set(err, SC_E_INVALID, "%s: no such command; did you mean %s?", name,
			  nearest.best);
	else
		error_set(err, SC_E_INVALID, "%s: no such command. /help lists the commands; // "
			  "begins a text with a slash", name);
	return COMMAND_FAILED;
}

/* Without the blanks at its end, in place. */
static const char *trim(char *text)
{
	size_t n = strlen(text);

	while (n && strchr(" \t\r", text[n - 1]))
		text[--n] = '\0';
	return text;
}

static enum command_result run(const struct chat_commands *commands, command_fn *fn,
			       const char *argument, struct error *err)
{
	char *copy = strdup(argument);
	enum command_result result;

	if (!copy) {
		error_set(err, SC_E_NOMEM, "out of memory");
		return COMMAND_FAILED;
	}
	result = fn(commands, trim(copy), err);
	free(copy);
	return result;
}

enum command_result chat_command_run(const struct chat_commands *commands, const char *line,
				     const char **text_out, struct error *err)
{
	size_t n_bytes = strcspn(line, " \t\r\n");

	*text_out = line;
	if (line[0] != '/')
		return COMMAND_NONE;
	if (line[1] == '/') {
		*text_out = line + 1;
		return COMMAND_NONE;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strlen(table[i].name) == n_bytes && !strncmp(table[i].name, line, n_bytes))
			return run(commands, table[i].run,
				   line + n_bytes + strspn(line + n_bytes, " \t\r\n"), err);
	return refuse_command(line, n_bytes, err);
}
