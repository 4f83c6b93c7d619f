/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hf/model_folder.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void or_abort(bool is_good, const char *what)
{
	if (is_good)
		return;
	perror(what);
	abort();
}

void model_folder_create(struct model_folder *folder)
{
	strcpy(folder->path, "/tmp/stagecoach-test-XXXXXX");
	or_abort(mkdtemp(folder->path), "mkdtemp");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void model_folder_remove(struct model_folder *folder)
{
	or_abort(!nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), "nftw");
}

const char *model_folder_path(const struct model_folder *folder, const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", folder->path, name);
	return path;
}

void model_folder_write(const struct model_folder *folder, const char *name, const void *bytes,
			size_t n_bytes)
{
	FILE *file = fopen(model_folder_path(folder, name), "wb");

	or_abort(file && fwrite(bytes, 1, n_bytes, file) == n_bytes && !fclose(file), name);
}

void model_folder_write_text(const struct model_folder *folder, const char *name,
			     const char *text)
{
	model_folder_write(folder, name, text, strlen(text));
}

void model_folder_delete(const struct model_folder *folder, const char *name)
{
	or_abort(!unlink(model_folder_path(folder, name)), name);
}
