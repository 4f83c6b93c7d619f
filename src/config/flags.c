/* SPDX-License-Identifier: Apache-2.0 */
#include "config/flags.h"

#include "config/foreign.h"
#include "config/names.h"

#include <stdio.h>
#include <string.h>

/* Whose words that are no flags mean something: ids, files. */
#define TAKES_ARGUMENTS (PROGRAM_WATCH | PROGRAM_CANCEL | PROGRAM_QUANTIZE | PROGRAM_CONVERT | \
			 PROGRAM_INSPECT)
/* Who is told where the prompt belongs when it stands alone. */
#define TAKES_PROMPT (PROGRAM_RUN | PROGRAM_GENERATE | PROGRAM_SUBMIT)

/* The command line under way. */
struct reader {
	struct config *config;
	enum program program;
	char **next;		/* words that are left */
	char **end;
	struct error *err;
};

static bool is_name(const char *name, const char *text, size_t n)
{
	return name && !strncmp(name, text, n) && !name[n];
}

static bool begins(const char *name, const char *text, size_t n)
{
	return name && !strncmp(name, text, n);
}

static const struct option_info *find_exact(enum program program, const char *name, size_t n)
{
	for (unsigned i = 0; i < n_options; i++)
		if (options[i].programs & program &&
		    (is_name(options[i].name, name, n) || is_name(options[i].alias, name, n)))
			return &options[i];
	return NULL;
}

static const struct option_info *find_letter(enum program program, char letter)
{
	for (unsigned i = 0; i < n_options; i++)
		if (options[i].letter == letter && options[i].programs & program)
			return &options[i];
	return NULL;
}

/* --- what is no flag here --- */

static enum sc_status refuse_foreign(const struct foreign_flag *flag, const char *word, size_t n,
				     struct error *err)
{
	return error_set(err, SC_E_INVALID, "%.*s is a flag of %s (%s). %s", (int)n, word,
			 flag->owner, flag->meaning, flag->advice);
}

/* A flag of another program of ours. */
static enum sc_status refuse_misplaced(const struct reader *reader, unsigned others,
				       const char *word, size_t n)
{
	char names[256], own[PROGRAM_NAME_MAX];

	program_list_format(others, names, sizeof names);
	return error_set(reader->err, SC_E_INVALID, "%.*s: %s has no such option; it belongs to %s",
			 (int)n, word, program_name(reader->program, own), names);
}

/* "--max-gap-ms, --max-num-seqs": the options that begin like that. They are suggested, not taken:
 * a new option would give a shortened name another meaning. */
static void list_longer(const struct reader *reader, const char *name, size_t n, char *names,
			size_t n_bytes)
{
	size_t length = 0;

	*names = '\0';
	for (unsigned i = 0; i < n_options && n && length < n_bytes; i++) {
		const struct option_info *option = &options[i];
		const char *full = begins(option->name, name, n) ? option->name : option->alias;

		if (option->programs & reader->program && !(option->flags & OPTION_HIDDEN) &&
		    begins(full, name, n))
			length += (size_t)snprintf(names + length, n_bytes - length, "%s--%s",
						   length ? ", " : "", full);
	}
}

/* word: with its dashes, n characters before any '='. */
static enum sc_status refuse_long(const struct reader *reader, const char *word, size_t n)
{
	const struct foreign_flag *foreign = foreign_flag_find(word, n);
	char name[NEAREST_MAX_LENGTH + 1], longer[256];
	const char *near;
	unsigned others = 0;

	if (foreign)
		return refuse_foreign(foreign, word, n, reader->err);
	for (unsigned i = 0; i < n_options; i++)
		if (is_name(options[i].name, word + 2, n - 2) ||
		    is_name(options[i].alias, word + 2, n - 2))
			others |= options[i].programs;
	if (others)
		return refuse_misplaced(reader, others, word, n);
	list_longer(reader, word + 2, n - 2, longer, sizeof longer);
	if (*longer)
		return error_set(reader->err, SC_E_INVALID, "%.*s: no such option; did you mean "
				 "%s?", (int)n, word, longer);
	snprintf(name, sizeof name, "%.*s", (int)(n - 2), word + 2);
	if (n - 2 < sizeof name && option_nearest(name, reader->program, 0, &near))
		return error_set(reader->err, SC_E_INVALID, "%.*s: no such option; did you mean "
				 "--%s?", (int)n, word, near);
	return error_set(reader->err, SC_E_INVALID, "%.*s: no such option, see --help", (int)n,
			 word);
}

static enum sc_status refuse_letter(const struct reader *reader, char letter)
{
	const char word[3] = { '-', letter, '\0' };
	const struct foreign_flag *foreign = foreign_flag_find(word, 2);
	unsigned others = 0;

	if (foreign)
		return refuse_foreign(foreign, word, 2, reader->err);
	for (unsigned i = 0; i < n_options; i++)
		if (options[i].letter == letter)
			others |= options[i].programs;
	if (others)
		return refuse_misplaced(reader, others, word, 2);
	return error_set(reader->err, SC_E_INVALID, "%s: no such option, see --help", word);
}

/* --- what is one --- */

static enum sc_status set(const struct reader *reader, const struct option_info *option,
			  const char *value)
{
	enum sc_status status;

	/* --api-key "$KEY" without the variable would serve everybody. */
	if (option->flags & OPTION_GUARDS && !*value)
		return error_set(reader->err, SC_E_INVALID, "--%s: the value is empty: leave the "
				 "flag out if you mean none", option->name);
	status = option_set(option, reader->config, value, reader->err);
	if (status != SC_OK)
		error_prefix(reader->err, "--%s", option->name);
	else
		reader->config->sources[option - options] = CONFIG_FLAG;
	return status;
}

/* With the word behind it as its value. flag: as typed, for the message. */
static enum sc_status set_next(struct reader *reader, const struct option_info *option,
			       const char *flag, size_t n)
{
	if (reader->next == reader->end)
		return error_set(reader->err, SC_E_INVALID, "%.*s: a value is missing", (int)n,
				 flag);
	return set(reader, option, *reader->next++);
}

static enum sc_status read_long(struct reader *reader, const char *word)
{
	const char *equals = strchr(word, '=');
	const size_t n = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_info *option = find_exact(reader->program, word + 2, n - 2);

	if (!option)
		return refuse_long(reader, word, n);
	if (equals)
		return set(reader, option, equals + 1);
	if (option->type == OPTION_BOOL)
		return set(reader, option, "on");
	return set_next(reader, option, word, n);
}

/* Letters in one word, the last one perhaps with its value. A word such as -ngl is not taken for
 * -n with the value "gl", nor is -temp for -t with "emp". */
static enum sc_status read_letters(struct reader *reader, const char *word)
{
	const size_t n = strcspn(word, "=");
	const struct foreign_flag *foreign = n > 2 ? foreign_flag_find(word, n) : NULL;
	enum sc_status status = SC_OK;

	if (foreign)
		return refuse_foreign(foreign, word, n, reader->err);
	if (n > 2 && find_exact(reader->program, word + 1, n - 1))
		return error_set(reader->err, SC_E_INVALID, "%.*s: write it with two dashes: "
				 "-%.*s", (int)n, word, (int)n, word);
	for (const char *letter = word + 1; *letter && status == SC_OK; letter++) {
		const struct option_info *option = find_letter(reader->program, *letter);
		const char flag[3] = { '-', *letter, '\0' };

		if (!option)
			return refuse_letter(reader, *letter);
		if (option->type == OPTION_BOOL)
			status = set(reader, option, "on");
		else if (letter[1])
			return set(reader, option, letter + 1);
		else
			return set_next(reader, option, flag, 2);
	}
	return status;
}

/* A word that is no flag. */
static enum sc_status read_argument(struct reader *reader, const char *word)
{
	if (reader->program & TAKES_ARGUMENTS)
		return text_list_add(&reader->config->arguments, word) == SC_OK ? SC_OK :
		       error_set(reader->err, SC_E_NOMEM, "out of memory");
	if (reader->program & TAKES_PROMPT)
		return error_set(reader->err, SC_E_INVALID, "unexpected argument '%s': the prompt "
				 "is given with -p TEXT or -f FILE", word);
	return error_set(reader->err, SC_E_INVALID, "unexpected argument '%s', see --help", word);
}

enum sc_status config_read_flags(struct config *config, enum program program, int argc,
				 char **argv, struct error *err)
{
	struct reader reader = { config, program, argv + (argc > 0), argv + argc, err };
	enum sc_status status = SC_OK;
	bool is_over = false;

	while (reader.next < reader.end && status == SC_OK) {
		const char *word = *reader.next++;

		if (is_over || word[0] != '-' || !word[1])
			status = read_argument(&reader, word);
		else if (!strcmp(word, "--"))
			is_over = true;
		else if (word[1] == '-')
			status = read_long(&reader, word);
		else
			status = read_letters(&reader, word);
	}
	return status;
}
