/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_OPTIONS_H
#define STAGECOACH_CONFIG_OPTIONS_H
/* options - the table that config.c reads. To add a setting, add a row here and a field there. */
#include "config/config.h"

enum option_type {
	OPTION_BOOL,		/* bool; as a flag it may stand without a value */
	OPTION_U32,		/* uint32_t */
	OPTION_I64,		/* int64_t */
	OPTION_BYTES,		/* uint64_t, with K, M, G, T */
	OPTION_FLOAT,		/* double */
	OPTION_STRING,		/* char *, owned */
	OPTION_CHOICE,		/* char *, owned, one of the words in `choices` */
	OPTION_LIST,		/* struct text_list, owned; may be given `max` times */
};

enum {
	OPTION_FLAG_ONLY = 1,	/* neither in the file nor in the environment */
	OPTION_RELOADS = 2,	/* may change while running */
	OPTION_HIDDEN = 4,	/* not in help and documents */
	OPTION_SECRET = 8,	/* its value is never shown */
	OPTION_GUARDS = 16,	/* without it the server is open: a flag is never empty by mistake */
};

struct option_info {
	const char *name;		/* as a flag, with dashes */
	char letter;			/* or 0 */
	const char *alias;		/* another long flag, or NULL */
	enum option_type type;
	unsigned programs;
	unsigned flags;
	const char *section;
	const char *value;		/* what the help calls the value */
	const char *fallback;		/* the default, as one would type it; NULL: none */
	double min, max;		/* of numbers */
	const char *choices;		/* "a|b|c" */
	size_t offset;			/* in struct config */
	const char *help;
};

extern const struct option_info options[];
extern const unsigned n_options;

/* "ctx_size" for "ctx-size". out has room for OPTION_NAME_MAX. */
#define OPTION_NAME_MAX 64
void option_file_key(const struct option_info *option, char *out);
void option_variable(const struct option_info *option, char *out);

/* Parse text and store it. On failure err says what was expected ("expected a whole number from 1
 * to 64, found 'x'") and the caller puts the place in front. */
must_check enum sc_status option_set(const struct option_info *option, struct config *config,
				     const char *text, struct error *err);
/* The same for what is not a flag: a bad value is SC_E_CONFIG, and place is put in front. */
must_check enum sc_status option_set_in(const struct option_info *option, struct config *config,
					const char *text, const char *place, struct error *err);
bool option_is_equal(const struct option_info *option, const struct config *a,
		     const struct config *b);
/* Exchange the values of two configs, and where they came from. */
void option_swap(const struct option_info *option, struct config *a, struct config *b);
/* Free what the value holds. */
void option_deinit(const struct option_info *option, struct config *config);

/* Append a copy of text. SC_E_NOMEM. */
must_check enum sc_status text_list_add(struct text_list *list, const char *text);
void text_list_deinit(struct text_list *list);

#endif
