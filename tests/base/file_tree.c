/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "tests/base/file_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/stagecoach-tree-XXXXXX";

static void require(int is_true, const char *what)
{
	if (is_true)
		return;
	perror(what);
	abort();
}

const char *file_tree_create(void)
{
	memcpy(root + sizeof root - 7, "XXXXXX", 6);
	require(mkdtemp(root) != NULL, "mkdtemp");
	return root;
}

static int remove_one(const char *path, const struct stat *stat_buf, int flag, struct FTW *ftw)
{
	(void)stat_buf;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void file_tree_remove(void)
{
	require(!nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), "nftw");
}

void file_tree_write(const char *path, const char *text)
{
	char full[8192];
	FILE *file;

	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(full, 0700);
		*at = '/';
	}
	file = fopen(full, "w");
	require(file != NULL, full);
	require(fputs(text, file) >= 0 && !fclose(file), full);
}
