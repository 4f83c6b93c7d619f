/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/generation.h"

#include <math.h>

#define KEY(name) "general.sampling." name

void end_list_add(struct end_list *list, uint32_t id)
{
	if (id >= list->n_vocab || list->n == GENERATION_MAX_ENDS)
		return;
	for (size_t i = 0; i < list->n; i++)
		if (list->ids[i] == id)
			return;
	list->ids[list->n++] = id;
}

void end_list_add_json(struct end_list *list, const json_t *value)
{
	json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;

	for (size_t i = 0; i < json_array_size(value); i++)
		end_list_add_json(list, json_array_get(value, i));
	if (id >= 0 && id < UINT32_MAX)
		end_list_add(list, (uint32_t)id);
}

enum sc_status generation_load(const char *folder, json_t **json_out, struct error *err)
{
	return json_file_maybe(folder, "generation_config.json", json_out, err);
}

enum sc_status generation_put_sampling(const json_t *json, struct gguf_head *head)
{
	static const struct {
		const char *name, *key;
	} rows[] = {
		{ "temperature", KEY("temp") },
		{ "top_p", KEY("top_p") },
		{ "min_p", KEY("min_p") },
		{ "repetition_penalty", KEY("penalty_repeat") },
	};
	const json_t *top_k = json_object_get(json, "top_k");
	enum sc_status status = SC_OK;

	if (json_is_integer(top_k) && json_integer_value(top_k) >= 0 &&
	    json_integer_value(top_k) <= INT32_MAX)
		status = gguf_head_add_u32(head, KEY("top_k"),
					   (uint32_t)json_integer_value(top_k));
	for (size_t i = 0; i < sizeof rows / sizeof *rows && !status; i++) {
		const json_t *value = json_object_get(json, rows[i].name);

		if (json_is_number(value) && isfinite((float)json_number_value(value)))
			status = gguf_head_add_f32(head, rows[i].key,
						   (float)json_number_value(value));
	}
	return status;
}
