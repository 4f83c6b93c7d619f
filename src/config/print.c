/* SPDX-License-Identifier: Apache-2.0 */
/* What people read of the option table: help, an example file, manual page source. */
#include "config/limits.h"
#include "config/names.h"

#include <ctype.h>
#include <string.h>

#define TEXT_COLUMN 30
#define LINE_WIDTH 96

/* Print text in lines of at most LINE_WIDTH, each after the first begun with `indent`. */
static void print_wrapped(FILE *file, const char *text, int column, const char *indent)
{
	const char *space = "";

	while (*text) {
		size_t n = strcspn(text, " ");

		if (*space && column + (int)n + 1 > LINE_WIDTH) {
			fprintf(file, "\n%s", indent);
			column = (int)strlen(indent);
			space = "";
		}
		column += fprintf(file, "%s%.*s", space, (int)n, text);
		text += n + (text[n] == ' ');
		space = " ";
	}
	fputc('\n', file);
}

static bool is_shown(const struct option_info *option, unsigned programs)
{
	return option->programs & programs && !(option->flags & OPTION_HIDDEN);
}

static bool has_default(const struct option_info *option)
{
	return option->fallback && *option->fallback && option->type != OPTION_BOOL;
}

static void print_flag(FILE *file, const struct option_info *option)
{
	char indent[TEXT_COLUMN + 1];
	char help[768];
	int column;

	memset(indent, ' ', TEXT_COLUMN);
	indent[TEXT_COLUMN] = '\0';
	column = option->letter ? fprintf(file, "  -%c, ", option->letter)
				: fprintf(file, "      ");
	column += fprintf(file, "--%s", option->name);
	if (option->value)
		column += fprintf(file, " %s", option->value);
	if (column >= TEXT_COLUMN) {
		fprintf(file, "\n%s", indent);
		column = TEXT_COLUMN;
	}
	fprintf(file, "%*s", TEXT_COLUMN - column, "");
	snprintf(help, sizeof help, "%s%s%s%s%s%s", option->help,
		 option->choices ? ". One of " : "", option->choices ? option->choices : "",
		 has_default(option) ? " (default: " : "",
		 has_default(option) ? option->fallback : "",
		 has_default(option) ? ")" : "");
	print_wrapped(file, help, TEXT_COLUMN, indent);
}

void config_print_help(FILE *file, enum program program, const char *usage)
{
	const char *section = "";

	fputs(usage, file);
	for (unsigned i = 0; i < n_options; i++) {
		if (!is_shown(&options[i], program))
			continue;
		if (strcmp(section, options[i].section)) {
			section = options[i].section;
			fprintf(file, "\n%s:\n", section);
		}
		print_flag(file, &options[i]);
	}
}

void config_print_example(FILE *file)
{
	const char *section = "";
	char key[OPTION_NAME_MAX];

	fputs("# Settings of stagecoachd with their defaults. Flags and STAGECOACH_* variables\n"
	      "# override them. `--check-config` checks settings. `--print-config` shows them.\n",
	      file);
	for (unsigned i = 0; i < n_options; i++) {
		const struct option_info *option = &options[i];
		bool is_text = option->type == OPTION_STRING || option->type == OPTION_CHOICE ||
			       option->type == OPTION_BYTES;

		if (!is_shown(option, PROGRAM_DAEMON) || option->flags & OPTION_FLAG_ONLY)
			continue;
		if (strcmp(section, option->section)) {
			section = option->section;
			fprintf(file, "\n# --- %s ---\n", section);
		}
		option_file_key(option, key);
		fputs("\n# ", file);
		print_wrapped(file, option->help, 2, "# ");
		if (option->choices)
			fprintf(file, "# One of %s.\n", option->choices);
		if (option->flags & OPTION_RELOADS)
			fputs("# Takes effect on SIGHUP.\n", file);
		if (option->type == OPTION_BOOL)
			fprintf(file, "#%s = %s;\n", key, *option->fallback == 'o' &&
				option->fallback[1] == 'n' ? "true" : "false");
		else
			fprintf(file, is_text ? "#%s = \"%s\";\n" : "#%s = %s;\n", key,
				option->fallback);
	}
}

/* Roff takes a bare '-' for a hyphen. */
static void print_roff(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", file);
		else if (*text == '\\')
			fputs("\\e", file);
		else
			fputc(*text, file);
	}
}

/* "Of run, generate and submit." of several verbs, unless all of them take the option. */
static void print_verbs(FILE *file, unsigned programs)
{
	unsigned n_left = (unsigned)__builtin_popcount(programs);

	if (!programs || programs == PROGRAM_VERBS)
		return;
	fputs(" Of ", file);
	for (unsigned i = 0; i < n_programs; i++) {
		if (!(programs >> i & 1))
			continue;
		n_left--;
		fprintf(file, "\\fB%s\\fR%s", program_names[i],
			n_left > 1 ? ", " : n_left ? " and " : ".");
	}
}

static void print_man_entry(FILE *file, const struct option_info *option)
{
	fputs(".TP\n", file);
	if (option->letter)
		fprintf(file, "\\fB\\-%c\\fR, ", option->letter);
	fputs("\\fB\\-\\-", file);
	print_roff(file, option->name);
	fputs("\\fR", file);
	if (option->value)
		fprintf(file, " \\fI%s\\fR", option->value);
	fputc('\n', file);
	fputc((char)toupper((unsigned char)option->help[0]), file);
	print_roff(file, option->help + 1);
	if (option->choices) {
		fputs(". One of ", file);
		print_roff(file, option->choices);
	}
	fputc('.', file);
	if (has_default(option)) {
		fputs(" Default: ", file);
		print_roff(file, option->fallback);
		fputc('.', file);
	}
}

void config_print_man(FILE *file, unsigned programs)
{
	const char *section = "";

	for (unsigned i = 0; i < n_options; i++) {
		const struct option_info *option = &options[i];

		if (!is_shown(option, programs))
			continue;
		if (strcmp(section, option->section)) {
			section = option->section;
			fprintf(file, ".SS %s\n", section);
		}
		print_man_entry(file, option);
		if (programs & PROGRAM_DAEMON && option->flags & OPTION_RELOADS)
			fputs(" Takes effect on SIGHUP.", file);
		if (programs & PROGRAM_VERBS)
			print_verbs(file, option->programs & PROGRAM_VERBS);
		fputc('\n', file);
	}
}

void config_print_flags(FILE *file, enum program program)
{
	for (unsigned i = 0; i < n_options; i++) {
		const struct option_info *option = &options[i];
		const char *value = option->choices ? option->choices : option->value;
		const char *space = value ? " " : "";

		if (!is_shown(option, program))
			continue;
		value = value ? value : "";
		fprintf(file, "--%s%s%s\n", option->name, space, value);
		if (option->alias)
			fprintf(file, "--%s%s%s\n", option->alias, space, value);
		if (option->letter)
			fprintf(file, "-%c%s%s\n", option->letter, space, value);
	}
}

static const struct option_info *option_of(const struct limit_info *limit)
{
	for (unsigned i = 0; i < n_options; i++)
		if (limit->setting && options[i].programs & PROGRAM_DAEMON &&
		    !strcmp(options[i].name, limit->setting))
			return &options[i];
	return NULL;
}

static void print_limit(FILE *file, const struct limit_info *limit)
{
	const struct option_info *option = option_of(limit);

	fputs(".TP\n\\fB", file);
	print_roff(file, limit->name);
	fputs("\\fR: ", file);
	print_roff(file, !option ? limit->value : *option->fallback ? option->fallback : "none");
	if (option) {
		fputs(" (\\fB\\-\\-", file);
		print_roff(file, option->name);
		fputs("\\fR)", file);
	}
	fputc('\n', file);
	fputc((char)toupper((unsigned char)limit->help[0]), file);
	print_roff(file, limit->help + 1);
	fputs(".\n.br\nBeyond it: ", file);
	print_roff(file, limit->seen);
	fputs(".\n", file);
}

void config_print_limits(FILE *file)
{
	for (unsigned i = 0; i < N_LIMITS; i++)
		print_limit(file, &limit_table[i]);
}
