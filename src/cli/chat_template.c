/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chat_template.h"

#include "model/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_TEMPLATE ((size_t)1 << 20)

static enum sc_status read_file(const char *path, struct buf *text, struct error *err)
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	enum sc_status status = SC_OK;
	size_t n;

	if (!file)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno,
				   "chat-template: %s", path);
	while (status == SC_OK && (n = fread(chunk, 1, sizeof chunk, file)) > 0) {
		if (text->length + n > MAX_TEMPLATE)
			status = error_set(err, SC_E_CONFIG, "chat-template: %s: longer than %zu "
					   "bytes", path, MAX_TEMPLATE);
		else if (buf_add(text, chunk, n) != SC_OK)
			status = error_set(err, SC_E_NOMEM, "chat-template: out of memory");
	}
	if (status == SC_OK && ferror(file))
		status = error_errno(err, SC_E_IO, errno, "chat-template: %s", path);
	fclose(file);
	return status;
}

/* A text with a brace is a template; without one it could say nothing of the messages. */
static bool is_file(const char *setting)
{
	return !strchr(setting, '{');
}

static enum sc_status read_template(const char *setting, struct buf *text, struct error *err)
{
	if (is_file(setting))
		return read_file(setting, text, err);
	if (buf_add_string(text, setting) != SC_OK)
		return error_set(err, SC_E_NOMEM, "chat-template: out of memory");
	return SC_OK;
}

enum sc_status chat_template_open(const struct config *config, const struct opened_model *opened,
				  struct chat_format **format_out, struct error *err)
{
	const char *setting = config->chat_template;
	struct chat_format *format = NULL;
	struct buf text = BUF_INIT;
	enum sc_status status = SC_OK;

	if (*setting)
		status = read_template(setting, &text, err);
	if (status == SC_OK)
		status = chat_format_create(opened->model->gguf, opened->tokenizer,
					    *setting ? text.data : NULL, &format, err);
	if (status == SC_OK && *setting && chat_format_check(format, err) != SC_OK) {
		if (is_file(setting))
			error_prefix(err, "%s", setting);
		error_prefix(err, "chat-template");
		status = err->status = SC_E_CONFIG;
	}
	buf_deinit(&text);
	if (status != SC_OK) {
		chat_format_destroy(format);
		return status;
	}
	*format_out = format;
	return SC_OK;
}
