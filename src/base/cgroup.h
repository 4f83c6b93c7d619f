/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CGROUP_H
#define STAGECOACH_BASE_CGROUP_H
/*
 * cgroup - the control groups that limit this process: its own group and all groups above it, as
 * far as the mounted trees show them. Supports versions 1 and 2, also mounted together.
 *
 * Every function takes `root`, a prefix for /proc and the mount points: "" on a real machine, the
 * directory of a fixture in tests. Anything that cannot be read or parsed counts as "no limit".
 * Thread: any. Blocks on file reads.
 */
#include <stdbool.h>
#include <stdint.h>

enum { CGROUP_PATH_MAX = 4096 };

/* A group: its directory (starting with root) and the version of its tree (1 or 2). */
struct cgroup {
	const char *directory;
	int version;
};

/* Calls fn for this process's group of a controller ("memory", "cpu") and for each group above it,
 * innermost first, in every tree that has the controller. Version 2 trees are assumed to have all
 * controllers. In a container the tree may start at the container's own group; groups above that
 * stay invisible. */
typedef void cgroup_fn(void *arg, const struct cgroup *group);
void cgroup_visit(const char *root, const char *controller, cgroup_fn *fn, void *arg);

/* Reads the number at the start of a file of the group. Returns false if the file is missing or
 * does not start with a number ("max"). */
bool cgroup_read(const struct cgroup *group, const char *file, uint64_t *value_out);

/* Reads the number after `word` at the start of a line, as in "inactive_file 4096". */
bool cgroup_read_field(const struct cgroup *group, const char *file, const char *word,
		       uint64_t *value_out);

/* Reads both numbers of a file like cpu.max, "50000 100000". */
bool cgroup_read_pair(const struct cgroup *group, const char *file, uint64_t values_out[2]);

/* An id of the group, never 0. All processes of a machine that see the group get the same id, also
 * through another mount. */
uint64_t cgroup_id(const struct cgroup *group);

#endif
