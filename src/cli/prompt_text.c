/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prompt_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Longer prompts fit no context; a server has its own limit. */
#define MAX_PROMPT ((size_t)64 << 20)

static enum sc_status read_all(int fd, const char *name, struct buf *text, struct error *err)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, SC_E_IO, errno, "%s", name);
		if (text->length + (size_t)n > MAX_PROMPT)
			return error_set(err, SC_E_TOO_LARGE, "%s: the prompt is longer than %zu "
					 "bytes", name, MAX_PROMPT);
		if (buf_add(text, chunk, (size_t)n) != SC_OK)
			return error_set(err, SC_E_NOMEM, "%s: out of memory", name);
	}
	return SC_OK;
}

static enum sc_status read_file(const char *path, struct buf *text, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum sc_status status;

	if (fd < 0)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno, "%s",
				   path);
	status = read_all(fd, path, text, err);
	close(fd);
	return status;
}

static enum sc_status no_prompt(struct error *err)
{
	return error_set(err, SC_E_INVALID, "no prompt: give -p TEXT or -f FILE, or pipe a text "
			 "into standard input");
}

/* Nobody said that the prompt is there: a standard input that is empty is none. */
static enum sc_status read_unnamed(struct buf *text, struct error *err)
{
	const size_t n_before = text->length;
	enum sc_status status;

	if (isatty(STDIN_FILENO))
		return no_prompt(err);
	status = read_all(STDIN_FILENO, "standard input", text, err);
	return status == SC_OK && text->length == n_before ? no_prompt(err) : status;
}

enum sc_status prompt_text_read(const struct config *config, struct buf *text, struct error *err)
{
	const char *prompt = config->prompt, *file = config->prompt_file;

	if (prompt && *file)
		return error_set(err, SC_E_INVALID, "--prompt and --file: expected one of them, "
				 "found both");
	if (!prompt && !*file)
		return read_unnamed(text, err);
	if (!strcmp(prompt ? prompt : file, "-"))
		return read_all(STDIN_FILENO, "standard input", text, err);
	if (*file)
		return read_file(file, text, err);
	if (buf_add_string(text, prompt) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory for the prompt");
	return SC_OK;
}
