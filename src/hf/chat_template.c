/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/folder.h"
#include "hf/tokenizer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "tokenizer.chat_template"
#define MAX_NAME 64

/* Named templates of a list: the one called default has the plain key, others KEY.NAME. */
static enum sc_status put_list(const json_t *list, struct gguf_head *head)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < json_array_size(list) && !status; i++) {
		const json_t *entry = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(entry, "name"));
		const json_t *text = json_object_get(entry, "template");
		char key[sizeof KEY + 1 + MAX_NAME] = KEY;

		if (!name || !*name || strlen(name) > MAX_NAME || !json_is_string(text))
			continue;
		if (strcmp(name, "default") != 0)
			snprintf(key, sizeof key, KEY ".%s", name);
		status = gguf_head_add_string(head, key, json_string_value(text),
					      json_string_length(text));
	}
	return status;
}

static enum sc_status put_file(const char *folder, const char *name, struct gguf_head *head,
			       struct error *err)
{
	struct mapped_file file;
	enum sc_status status = folder_map_name(folder, name, "a chat template", &file, err);

	if (status)
		return status;
	if (file.n_bytes > GGUF_MAX_STRING)
		status = error_set(err, SC_E_FORMAT, "%s: expected at most %u bytes, found %zu",
				   file.path, GGUF_MAX_STRING, file.n_bytes);
	else
		status = gguf_head_add_string(head, KEY, (const char *)file.data, file.n_bytes);
	mapped_file_close(&file);
	return status;
}

enum sc_status hf_chat_template_put(const char *folder, struct gguf_head *head, struct error *err)
{
	static const char *const files[] = { "tokenizer_config.json", "chat_template.json" };
	enum sc_status status = SC_OK;

	if (folder_has(folder, "chat_template.jinja"))
		return put_file(folder, "chat_template.jinja", head, err);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		const json_t *value;
		json_t *json;
		bool is_there;

		status = json_file_maybe(folder, files[i], &json, err);
		if (status)
			return status;
		value = json_object_get(json, "chat_template");
		is_there = json_is_string(value) || json_is_array(value);
		if (json_is_string(value))
			status = gguf_head_add_string(head, KEY, json_string_value(value),
						      json_string_length(value));
		else if (json_is_array(value))
			status = put_list(value, head);
		json_decref(json);
		if (status || is_there)
			break;
	}
	return status;
}
