/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach families - the models that run here, from the tables that the code reads. The table is
 * also that of MODELS.md. */
#include "cli/client_verbs.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "hf/family.h"
#include "model/arch.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Calls visit for each class name of config.json that becomes this architecture. */
static void visit_classes(const struct arch *arch, void (*visit)(void *arg, const char *name),
			  void *arg)
{
	for (size_t i = 0; i < hf_n_families; i++) {
		const struct hf_family *family = &hf_families[i];

		for (size_t k = 0; k < sizeof family->classes / sizeof family->classes[0]; k++)
			if (family->classes[k] && !strcmp(family->arch, arch->name))
				visit(arg, family->classes[k]);
	}
}

static void print_class(void *arg, const char *name)
{
	const char **separator = arg;

	printf("%s%s", *separator, name);
	*separator = ", ";
}

static void print_table(void)
{
	puts("| models | GGUF | folder | tokenizers |\n|---|---|---|---|");
	for (size_t i = 0; i < arch_count(); i++) {
		const struct arch *arch = arch_at(i);
		const char *separator = "";

		printf("| %s | %s | ", arch->families, arch->name);
		visit_classes(arch, print_class, &separator);
		printf(" | %s |\n", arch->tokenizers);
	}
}

static void append_class(void *arg, const char *name)
{
	(void)json_array_append_new(arg, json_string(name));
}

static enum sc_status print_json(struct error *err)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < arch_count(); i++) {
		const struct arch *arch = arch_at(i);
		json_t *classes = json_array();

		visit_classes(arch, append_class, classes);
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s}",
							    "architecture", arch->name,
							    "models", arch->families,
							    "folder_classes", classes,
							    "tokenizers", arch->tokenizers));
	}
	if (!list || json_array_size(list) != arch_count()) {
		json_decref(list);
		return error_set(err, SC_E_NOMEM, "out of memory");
	}
	json_dumpf(list, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(list);
	return SC_OK;
}

static const char usage[] =
	"usage: stagecoach families [OPTION...]\n\n"
	"List the families of models that run here, as a table in Markdown: the models, the\n"
	"architecture of their GGUF files, the class in the config.json of their folders, and the\n"
	"kinds of tokenizers that they come with. --json gives an object per family.\n";

int cmd_families(int argc, char **argv)
{
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;
	struct config config;
	int exit_code;

	if (!verb_begin(&config, PROGRAM_FAMILIES, usage, argc, argv, &exit_code))
		return exit_code;
	if (config.is_json)
		status = print_json(&err);
	else
		print_table();
	if (status == SC_OK)
		status = client_flush(&err);
	config_deinit(&config);
	return client_end(status, &err);
}
