/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/json_file.h"

#include "hf/folder.h"
#include "hf/parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_BYTES = 128 << 20,	/* the largest vocabularies that are in use have 35 MiB */
	LONG_INTEGER = 19,	/* digits that may be beyond 64 bits */
	MAX_INTEGER = 300,	/* digits that a double can hold */
};

/* --- what Python writes and JSON does not know --- */

/* Behind the string that begins at `at`; end: the string does not end. */
static char *skip_string(char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\' && at + 1 < end)
			at++;
	return at < end ? at + 1 : at;
}

/* Writes text over n bytes, padded with blanks. */
static void overwrite(char *at, size_t n, const char *text)
{
	const size_t length = strlen(text);

	memset(at, ' ', n);
	memcpy(at, text, length);
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

/* An integer beyond 64 bits becomes a real. Many a tokenizer_config.json has 10^30 as the largest
 * number of tokens. */
static void change_integer(char *at, size_t n)
{
	char digits[MAX_INTEGER + 1] = "", real[32];

	if (n < LONG_INTEGER || n > MAX_INTEGER)
		return;
	memcpy(digits, at, n);
	errno = 0;
	if (strtoll(digits, NULL, 10) && errno != ERANGE)
		return;
	snprintf(real, sizeof real, "%.10e", strtod(digits, NULL));
	overwrite(at, n, real);
}

/* Returns the byte behind the number. */
static char *change_number(char *at, const char *end)
{
	char *stop = at + (*at == '-');

	while (stop < end && isdigit((unsigned char)*stop))
		stop++;
	if (stop == end || !is_one_of(*stop, ".eE")) {
		change_integer(at, (size_t)(stop - at));
		return stop;
	}
	while (stop < end && (isalnum((unsigned char)*stop) || is_one_of(*stop, "+-.")))
		stop++;
	return stop;
}

static char *change_word(char *at, const char *end)
{
	static const char infinity[] = "Infinity";
	const size_t n = sizeof infinity - 1;
	char *stop = at;

	while (stop < end && isalnum((unsigned char)*stop))
		stop++;
	if ((size_t)(stop - at) == n && !memcmp(at, infinity, n))
		overwrite(at, n, "null");
	return stop;
}

/* Changes numbers and words in place, so that lines and columns stay. */
static void accept_python(char *text, size_t n_bytes)
{
	char *end = text + n_bytes;

	for (char *at = text; at < end;) {
		if (*at == '"')
			at = skip_string(at, end);
		else if (*at == '-' && end - at > 1 && at[1] == 'I')
			*at++ = ' ';
		else if (*at == '-' || isdigit((unsigned char)*at))
			at = change_number(at, end);
		else if (isalpha((unsigned char)*at))
			at = change_word(at, end);
		else
			at++;
	}
}

/* --- reading --- */

static enum sc_status refuse(const char *path, json_error_t *why, struct error *err)
{
	/* The text quotes the file, which may have bytes that move a terminal's cursor. */
	for (char *at = why->text; *at; at++)
		if (iscntrl((unsigned char)*at))
			*at = ' ';
	if (!why->text[0] || json_error_code(why) == json_error_out_of_memory)
		return error_set(err, SC_E_NOMEM, "%s: no memory for its contents", path);
	return error_set(err, SC_E_FORMAT, "%s: line %d, column %d: not JSON: %s: download the file "
			 "again, or mend it", path, why->line, why->column, why->text);
}

static const char *kind_of(const json_t *json)
{
	static const char *const kinds[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false", [JSON_NULL] = "null",
	};

	return kinds[json_typeof(json)];
}

enum sc_status json_file_parse(const char *path, char *text, size_t n_bytes,
			       enum json_dialect dialect, json_t **json_out, struct error *err)
{
	const size_t flags = dialect == DIALECT_STRICT ? JSON_REJECT_DUPLICATES : JSON_ALLOW_NUL;
	json_error_t why = { .line = 0 };
	json_t *json;

	if (dialect == DIALECT_PYTHON)
		accept_python(text, n_bytes);
	json = json_loadb(text, n_bytes, flags | JSON_DECODE_ANY, &why);
	if (!json)
		return refuse(path, &why, err);
	if (!json_is_object(json)) {
		enum sc_status status = error_set(err, SC_E_FORMAT, "%s: line 1, column 1: "
						  "expected an object { ... }, found %s", path,
						  kind_of(json));

		json_decref(json);
		return status;
	}
	*json_out = json;
	return SC_OK;
}

static enum sc_status parse_copy(const struct mapped_file *file, json_t **json_out,
				 struct error *err)
{
	enum sc_status status;
	char *text;

	if (file->n_bytes > MAX_BYTES)
		return error_set(err, SC_E_FORMAT, "%s: expected at most %d MiB of JSON, found "
				 "%zu bytes", file->path, MAX_BYTES >> 20, file->n_bytes);
	text = malloc(file->n_bytes);
	if (!text)
		return error_set(err, SC_E_NOMEM, "%s: no memory for its %zu bytes", file->path,
				 file->n_bytes);
	memcpy(text, file->data, file->n_bytes);
	status = json_file_parse(file->path, text, file->n_bytes, DIALECT_PYTHON, json_out, err);
	free(text);
	return status;
}

enum sc_status json_file_load(const char *folder, const char *name, json_t **json_out,
			      struct error *err)
{
	struct mapped_file file;
	enum sc_status status = folder_map_name(folder, name, "a JSON file", &file, err);

	if (status)
		return status;
	status = parse_copy(&file, json_out, err);
	mapped_file_close(&file);
	return status;
}

enum sc_status json_file_maybe(const char *folder, const char *name, json_t **json_out,
			       struct error *err)
{
	*json_out = NULL;
	return folder_has(folder, name) ? json_file_load(folder, name, json_out, err) : SC_OK;
}
