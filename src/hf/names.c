/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/names.h"

#include "base/strmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum form {
	FORM_PLAIN,
	FORM_LANGUAGE_MODEL,	/* "language_model." before the name */
	FORM_INNER,		/* "language_model." behind the name's first word */
	FORM_BARE,		/* without the name's first word */
	N_FORMS,
};

struct hf_names {
	const struct hf_store *store;
	struct strmap *map;	/* name -> index in store */
	enum form form;
	size_t n;
	bool *is_used;		/* [n] */
};

static bool find(const struct hf_names *names, const char *name, uint32_t *index_out)
{
	return strmap_find(names->map, name, strlen(name), index_out);
}

static void apply_form(enum form form, const char *name, char out[HF_NAME_BYTES])
{
	static const char inner[] = "language_model.";
	const char *dot = strchr(name, '.');
	const char *rest = dot ? dot + 1 : name;

	switch (form) {
	case FORM_LANGUAGE_MODEL:
		snprintf(out, HF_NAME_BYTES, "%s%s", inner, name);
		return;
	case FORM_INNER:
		snprintf(out, HF_NAME_BYTES, "%.*s%s%s", (int)(rest - name), name, inner, rest);
		return;
	case FORM_BARE:
		snprintf(out, HF_NAME_BYTES, "%s", rest);
		return;
	case FORM_PLAIN: case N_FORMS:
		snprintf(out, HF_NAME_BYTES, "%s", name);
	}
}

static enum sc_status fill(struct hf_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *name = hf_store_get(names->store, i)->name;
		enum sc_status status = strmap_add(names->map, name, strlen(name), (uint32_t)i);

		if (status && status != SC_E_EXISTS)
			return status;
	}
	return SC_OK;
}

enum sc_status hf_names_create(const struct hf_store *store, const char *embedding,
			       struct hf_names **names_out, struct error *err)
{
	struct hf_names *names = calloc(1, sizeof *names);
	char name[HF_NAME_BYTES];
	uint32_t index;

	if (!names)
		goto fail;
	names->store = store;
	names->n = hf_store_n(store);
	names->is_used = calloc(names->n + 1, sizeof *names->is_used);
	if (!names->is_used || strmap_create(names->n + 1, &names->map) || fill(names))
		goto fail;
	for (enum form form = FORM_PLAIN; form < N_FORMS; form++) {
		apply_form(form, embedding, name);
		if (find(names, name, &index)) {
			names->form = form;
			break;
		}
	}
	*names_out = names;
	return SC_OK;
fail:
	hf_names_destroy(names);
	return error_set(err, SC_E_NOMEM, "out of memory");
}

void hf_names_destroy(struct hf_names *names)
{
	if (!names)
		return;
	strmap_destroy(names->map);
	free(names->is_used);
	free(names);
}

const struct hf_stored *hf_names_use(struct hf_names *names, const char *name)
{
	char changed[HF_NAME_BYTES];
	uint32_t index;

	apply_form(names->form, name, changed);
	/* A head is stored outside of what the form is about. */
	if (!find(names, changed, &index) && !find(names, name, &index))
		return NULL;
	names->is_used[index] = true;
	return hf_store_get(names->store, index);
}

const struct hf_stored *hf_names_unused(const struct hf_names *names, size_t from,
					size_t *index_out)
{
	for (size_t i = from; i < names->n; i++)
		if (!names->is_used[i]) {
			*index_out = i;
			return hf_store_get(names->store, i);
		}
	return NULL;
}

void hf_name_format(const char *pattern, uint32_t layer, uint32_t head, const char *suffix,
		    char name_out[HF_NAME_BYTES])
{
	size_t used = 0;

	for (; *pattern && used < HF_NAME_BYTES; pattern++) {
		char *out = name_out + used;
		size_t room = HF_NAME_BYTES - used;

		if (*pattern == '#' || *pattern == '@')
			used += (size_t)snprintf(out, room, "%u", *pattern == '#' ? layer : head);
		else
			used += (size_t)snprintf(out, room, "%c", *pattern);
	}
	if (used < HF_NAME_BYTES)
		snprintf(name_out + used, HF_NAME_BYTES - used, "%s", suffix);
}
