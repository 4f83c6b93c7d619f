/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/symbols.h"

#include "stagecoach/descriptors.h"
#include "stagecoach/symbols/v1/symbols.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Stagecoach__Symbols__V1__File symbol_file;

struct symbols {
	Stagecoach__Symbols__V1__FileSet *set;
	symbol_file **files;		/* [set->n_files] */
	char services[SYMBOLS_MAX_SERVICES][128];
	size_t n_services;
};

static void note_services(struct symbols *symbols, const symbol_file *file)
{
	for (size_t i = 0; i < file->n_services && symbols->n_services < SYMBOLS_MAX_SERVICES; i++)
		snprintf(symbols->services[symbols->n_services++], sizeof symbols->services[0],
			 "%s.%s", file->package, file->services[i]->name);
}

static enum sc_status read_files(struct symbols *symbols)
{
	symbols->set = stagecoach__symbols__v1__file_set__unpack(NULL, sizeof proto_descriptors,
								 proto_descriptors);
	if (!symbols->set)
		return SC_E_NOMEM;
	symbols->files = calloc(symbols->set->n_files + 1, sizeof symbols->files[0]);
	if (!symbols->files)
		return SC_E_NOMEM;
	for (size_t i = 0; i < symbols->set->n_files; i++) {
		const ProtobufCBinaryData *bytes = &symbols->set->files[i];

		symbols->files[i] = stagecoach__symbols__v1__file__unpack(NULL, bytes->len,
									  bytes->data);
		if (!symbols->files[i])
			return SC_E_NOMEM;
		note_services(symbols, symbols->files[i]);
	}
	return SC_OK;
}

enum sc_status symbols_create(struct symbols **symbols_out)
{
	struct symbols *symbols = calloc(1, sizeof *symbols);
	enum sc_status status;

	if (!symbols)
		return SC_E_NOMEM;
	status = read_files(symbols);
	if (status != SC_OK) {
		symbols_destroy(symbols);
		return status;
	}
	*symbols_out = symbols;
	return SC_OK;
}

void symbols_destroy(struct symbols *symbols)
{
	if (!symbols)
		return;
	for (size_t i = 0; symbols->files && i < symbols->set->n_files; i++)
		stagecoach__symbols__v1__file__free_unpacked(symbols->files[i], NULL);
	free(symbols->files);
	stagecoach__symbols__v1__file_set__free_unpacked(symbols->set, NULL);
	free(symbols);
}

/* --- names --- */

/* What follows `scope` and a dot in name; all of it if scope is "". NULL: the name is not in this
 * scope. */
static const char *within(const char *name, const char *scope)
{
	size_t n = strlen(scope);

	if (!n)
		return name;
	return strncmp(name, scope, n) == 0 && name[n] == '.' ? name + n + 1 : NULL;
}

static bool has_leaf(const Stagecoach__Symbols__V1__Symbol *symbol, const char *name)
{
	for (size_t i = 0; i < symbol->n_members; i++)
		if (strcmp(symbol->members[i]->name, name) == 0)
			return true;
	return false;
}

/* Enum values are siblings of their enum. */
static bool has_enum(Stagecoach__Symbols__V1__Symbol *const *enums, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(enums[i]->name, name) == 0 || has_leaf(enums[i], name))
			return true;
	return false;
}

static const Stagecoach__Symbols__V1__Symbol *
find(Stagecoach__Symbols__V1__Symbol *const *list, size_t n, const char *name,
     const char **rest_out)
{
	for (size_t i = 0; i < n; i++) {
		const char *rest = within(name, list[i]->name);

		if (rest || strcmp(name, list[i]->name) == 0) {
			*rest_out = rest ? rest : "";
			return list[i];
		}
	}
	return NULL;
}

/* Is it a message of this list, or, with members, something within one? */
static bool has_symbol(Stagecoach__Symbols__V1__Symbol *const *list, size_t n, const char *name,
		       bool with_members)
{
	const Stagecoach__Symbols__V1__Symbol *symbol = find(list, n, name, &name);

	/* Each turn goes one level down. */
	while (symbol && *name) {
		const Stagecoach__Symbols__V1__Symbol *scope = symbol;

		if (with_members && (has_leaf(scope, name) ||
				     has_enum(scope->enums, scope->n_enums, name)))
			return true;
		symbol = find(scope->messages, scope->n_messages, name, &name);
	}
	return symbol != NULL;
}

static bool declares(const symbol_file *file, const char *name)
{
	name = within(name, file->package);
	return name && (has_symbol(file->messages, file->n_messages, name, true) ||
			has_symbol(file->services, file->n_services, name, true) ||
			has_enum(file->enums, file->n_enums, name));
}

const ProtobufCBinaryData *symbols_file(const struct symbols *symbols, const char *name)
{
	for (size_t i = 0; i < symbols->set->n_files; i++)
		if (strcmp(symbols->files[i]->name, name) == 0)
			return &symbols->set->files[i];
	return NULL;
}

const ProtobufCBinaryData *symbols_file_of(const struct symbols *symbols, const char *symbol)
{
	for (size_t i = 0; i < symbols->set->n_files; i++)
		if (declares(symbols->files[i], symbol))
			return &symbols->set->files[i];
	return NULL;
}

bool symbols_has_message(const struct symbols *symbols, const char *name)
{
	for (size_t i = 0; i < symbols->set->n_files; i++) {
		const symbol_file *file = symbols->files[i];
		const char *rest = within(name, file->package);

		if (rest && has_symbol(file->messages, file->n_messages, rest, false))
			return true;
	}
	return false;
}

size_t symbols_services(const struct symbols *symbols, const char **names_out, size_t max)
{
	size_t n = symbols->n_services < max ? symbols->n_services : max;

	for (size_t i = 0; i < n; i++)
		names_out[i] = symbols->services[i];
	return n;
}
