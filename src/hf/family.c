/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/family.h"

#include "base/nearest.h"
#include "hf/parts.h"
#include "model/quote.h"

#include <stdio.h>
#include <string.h>

/* Classes that hold a language model beside encoders of images, whose tensors are left out. */
static const char wrappers[] =
	"Gemma3ForConditionalGeneration|Mistral3ForConditionalGeneration|"
	"LlavaForConditionalGeneration";

static bool is_one_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n && names[i]; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct hf_family *find(const char *class, const char *type)
{
	for (size_t i = 0; i < hf_n_families; i++) {
		const struct hf_family *family = &hf_families[i];

		if (class ? is_one_of(family->classes, COUNT(family->classes), class)
			  : is_one_of(family->types, COUNT(family->types), type))
			return family;
	}
	return NULL;
}

/* The nearest known class or type, or all families. */
static void describe_known(const char *word, bool is_class, char *out, size_t n_bytes)
{
	struct nearest nearest;
	size_t used;

	nearest_init(&nearest, word);
	for (size_t i = 0; i < hf_n_families; i++) {
		const struct hf_family *family = &hf_families[i];
		const char *const *names = is_class ? family->classes : family->types;
		size_t n = is_class ? COUNT(family->classes) : COUNT(family->types);

		for (size_t j = 0; j < n && names[j]; j++)
			nearest_offer(&nearest, names[j]);
	}
	if (nearest.best) {
		snprintf(out, n_bytes, "the nearest that is supported is '%s'", nearest.best);
		return;
	}
	used = (size_t)snprintf(out, n_bytes, "supported families are");
	for (size_t i = 0; i < hf_n_families && used < n_bytes; i++)
		used += (size_t)snprintf(out + used, n_bytes - used, "%s %s", i ? "," : "",
					 hf_families[i].name);
}

static enum sc_status refuse(const struct hf_config *config, const char *word, bool is_class,
			     struct error *err)
{
	char known[400];

	describe_known(word, is_class, known, sizeof known);
	return hf_config_error(config, SC_E_UNSUPPORTED, err,
			       "models of the %s '%s' are not supported; %s",
			       is_class ? "class" : "model_type", quote(word, strlen(word)).text,
			       known);
}

static const char *class_of(const json_t *config)
{
	return json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
}

static enum sc_status find_in(const struct hf_config *config, const json_t *root,
			      const struct hf_family **family_out, struct error *err)
{
	const char *class = class_of(config->json);
	const char *type = hf_config_string(config, "model_type");
	const char *wrapper = class_of(root);

	if (config->is_wrapped && wrapper && !hf_is_listed(wrappers, wrapper))
		return refuse(config, wrapper, true, err);
	if (!class && !type)
		return hf_config_error(config, SC_E_FORMAT, err,
				       "it has neither 'architectures' nor 'model_type'; is it the "
				       "configuration of a model?");
	*family_out = find(class, type);
	return *family_out ? SC_OK : refuse(config, class ? class : type, class, err);
}

enum sc_status hf_family_find(const json_t *root, const char *folder,
			      const struct hf_family **family_out, struct error *err)
{
	struct hf_config config;
	enum sc_status status = hf_config_init(&config, root, folder, err);

	if (status)
		return status;
	status = find_in(&config, root, family_out, err);
	hf_config_deinit(&config);
	return status;
}
