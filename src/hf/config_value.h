/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_CONFIG_VALUE_H
#define STAGECOACH_HF_CONFIG_VALUE_H
/*
 * config_value - values of config.json by their names.
 * A list of names has '|' between them; the first that is there and not null counts. A '.' in a
 * name leads into an object.
 * Private to this folder. Thread: one at a time.
 */
#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct hf_config {
	json_t *json;		/* owned; the values of text_config replace those of the root */
	const char *folder;	/* borrowed; for errors */
	bool is_wrapped;	/* it has a text_config: the model is part of another */
};

/* Copies what it needs of root. The caller calls hf_config_deinit. SC_E_NOMEM. */
must_check enum sc_status hf_config_init(struct hf_config *config, const json_t *root,
					 const char *folder, struct error *err);
void hf_config_deinit(struct hf_config *config);

/* NULL: none of the names is there. */
const json_t *hf_config_get(const struct hf_config *config, const char *names);

/* The same in any object. */
const json_t *hf_json_get(const json_t *object, const char *names);

/* A whole number from min to max; a real number without a fraction is one, too. fallback: the value
 * if none of the names is there; below min, that is an error. SC_E_FORMAT. */
must_check enum sc_status hf_config_u32(const struct hf_config *config, const char *names,
					uint32_t min, uint32_t max, uint32_t fallback,
					uint32_t *value_out, struct error *err);

/* A finite number that a float can hold; true is 1. */
must_check enum sc_status hf_config_number(const struct hf_config *config, const char *names,
					   double fallback, double *value_out, struct error *err);
/* The same in any object; in: its name for errors. */
must_check enum sc_status hf_json_number(const struct hf_config *config, const json_t *object,
					 const char *in, const char *names, double fallback,
					 double *value_out, struct error *err);

bool hf_config_flag(const struct hf_config *config, const char *names, bool fallback);

/* NULL: not there, or no string. */
const char *hf_config_string(const struct hf_config *config, const char *names);

/* Sets "FOLDER/config.json: message". Returns status. */
enum sc_status hf_config_error(const struct hf_config *config, enum sc_status status,
			       struct error *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The value as short JSON text, for errors. */
struct hf_text {
	char text[64];
};
struct hf_text hf_json_text(const json_t *value);

/* Returns true if word is one of the list's, which have '|' between them. */
bool hf_is_listed(const char *list, const char *word);

#endif
