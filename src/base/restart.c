/* SPDX-License-Identifier: Apache-2.0 */
#include "base/restart.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

void restart_with_defaults(const struct env_default *defaults, size_t n, char **argv)
{
	bool is_missing = false;
	char path[PATH_MAX];
	ssize_t length;

	for (size_t i = 0; i < n; i++)
		if (!getenv(defaults[i].name))
			is_missing |= !setenv(defaults[i].name, defaults[i].value, 0);
	/* Use the real path: after an exec of /proc/self/exe the process would be named "exe". */
	length = is_missing ? readlink("/proc/self/exe", path, sizeof path - 1) : -1;
	if (length <= 0)
		return;
	path[length] = '\0';
	execv(path, argv);
}
