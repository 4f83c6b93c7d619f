/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history_path.h"

#include "base/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool make_directory(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Appends "/name" to path and makes that directory. */
static bool enter(struct buf *path, const char *name)
{
	return buf_add_format(path, "/%s", name) == SC_OK && make_directory(path->data);
}

static bool find_state(struct buf *path)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	/* A relative path is to be ignored, says the XDG Base Directory Specification. */
	if (state && *state == '/')
		return buf_add_string(path, state) == SC_OK && make_directory(path->data);
	if (!home || *home != '/')
		return false;
	return buf_add_string(path, home) == SC_OK && enter(path, ".local") &&
	       enter(path, "state");
}

char *history_path(void)
{
	struct buf path = BUF_INIT;
	bool is_found = find_state(&path) && enter(&path, "stagecoach") &&
			buf_add_string(&path, "/chat_history") == SC_OK;

	if (is_found)
		return path.data;
	buf_deinit(&path);
	return NULL;
}
