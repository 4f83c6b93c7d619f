/* SPDX-License-Identifier: Apache-2.0 */
/* The settings that are in effect, as a configuration file that would set the same. */
#include "config/names.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT_COLUMN 40

/* In libconfig's escapes. */
static int print_text(FILE *file, const char *text)
{
	int n = fprintf(file, "\"");

	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			n += fprintf(file, "\\%c", *text);
		else if ((unsigned char)*text < ' ' || *text == 0x7f)
			n += fprintf(file, "\\x%02X", (unsigned char)*text);
		else
			n += fprintf(file, "%c", *text);
	}
	return n + fprintf(file, "\"");
}

static int print_whole(FILE *file, int64_t value)
{
	/* Without the L, libconfig keeps 32 bits. */
	return fprintf(file, "%" PRId64 "%s", value,
		       value > INT32_MAX || value < INT32_MIN ? "L" : "");
}

/* "4M" for what is a whole number of them. */
static int print_bytes(FILE *file, uint64_t value)
{
	static const char *const suffixes[] = { "", "K", "M", "G", "T" };
	unsigned i = 0;

	while (i < 4 && value && value % 1024 == 0) {
		value /= 1024;
		i++;
	}
	return fprintf(file, "\"%" PRIu64 "%s\"", value, suffixes[i]);
}

/* In as few digits as give the same number again. */
static int print_float(FILE *file, double value)
{
	char text[32];
	int digits = 6;

	do
		snprintf(text, sizeof text, "%.*g", digits, value);
	while (strtod(text, NULL) != value && digits++ < 17);
	return fprintf(file, "%s", text);
}

static int print_value(FILE *file, const struct option_info *option, const struct config *config)
{
	const void *field = (const char *)config + option->offset;

	switch (option->type) {
	case OPTION_BOOL:
		return fprintf(file, "%s", *(const bool *)field ? "true" : "false");
	case OPTION_U32:
		return print_whole(file, *(const uint32_t *)field);
	case OPTION_I64:
		return print_whole(file, *(const int64_t *)field);
	case OPTION_BYTES:
		return print_bytes(file, *(const uint64_t *)field);
	case OPTION_FLOAT:
		return print_float(file, *(const double *)field);
	case OPTION_STRING:
	case OPTION_CHOICE:
		return print_text(file, *(char *const *)field);
	case OPTION_LIST:
		break;		/* of flags alone */
	}
	return 0;
}

static void print_source(FILE *file, const struct option_info *option,
			 const struct config *config)
{
	const size_t row = (size_t)(option - options);
	char variable[OPTION_NAME_MAX];

	switch ((enum config_source)config->sources[row]) {
	case CONFIG_DEFAULT:
		fputs("default", file);
		break;
	case CONFIG_FILE:
		fputs(config->places[row], file);
		break;
	case CONFIG_ENVIRONMENT:
		option_variable(option, variable);
		fputs(variable, file);
		break;
	case CONFIG_FLAG:
		fprintf(file, "flag --%s", option->name);
		break;
	}
}

/* Only that there is a value. Returns false if there is none. */
static bool print_secret(FILE *file, const char *key, const struct config *config, unsigned row)
{
	if (!**(char *const *)((const char *)config + options[row].offset))
		return false;
	fprintf(file, "# %s is set and not shown;%*s# ", key, 1, "");
	print_source(file, &options[row], config);
	fputc('\n', file);
	return true;
}

void config_print_effective(FILE *file, enum program program, const struct config *config)
{
	char name[PROGRAM_NAME_MAX], key[OPTION_NAME_MAX];

	fprintf(file, "# Settings of %s as they are in effect, and where each came from.\n",
		program_name(program, name));
	for (unsigned i = 0; i < n_options; i++) {
		int column;

		if (!(options[i].programs & program) ||
		    options[i].flags & (OPTION_FLAG_ONLY | OPTION_HIDDEN))
			continue;
		option_file_key(&options[i], key);
		if (options[i].flags & OPTION_SECRET && print_secret(file, key, config, i))
			continue;
		column = fprintf(file, "%s = ", key);
		column += print_value(file, &options[i], config);
		fprintf(file, ";%*s# ", column < COMMENT_COLUMN ? COMMENT_COLUMN - column : 1, "");
		print_source(file, &options[i], config);
		fputc('\n', file);
	}
}
