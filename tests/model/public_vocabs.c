/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/public_vocabs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool public_vocabs_each(void (*visit)(const char *path))
{
	const char *shared = getenv("SHARED_DIR");
	char directory[4096], path[4400];
	struct dirent *entry;
	DIR *dir;

	snprintf(directory, sizeof directory, "%s/vocabs", shared ? shared : "../shared");
	dir = opendir(directory);
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length < 5 || strcmp(entry->d_name + length - 5, ".gguf"))
			continue;
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		visit(path);
	}
	closedir(dir);
	return true;
}
