/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CGROUP_H
#define STAGECOACH_BASE_CGROUP_H
/*
 * cgroup - the control groups that bound this process: its own and all above it, as far as the
 * mounted trees show them. Versions 1 and 2, also both at once.
 *
 * Every function takes `root`, the directory that /proc and the mount points are looked up under:
 * "" for the machine's own, the directory of a fixture in tests. What cannot be read or makes no
 * sense counts as "no limit": a limit is never invented.
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>

enum { CGROUP_PATH_MAX = 4096 };

/* A group: its directory, with root in front, and the version of its tree (1 or 2). */
struct cgroup {
	const char *directory;
	int version;
};

/* Calls fn for this process's group of a controller ("memory", "cpu") and for each group above it,
 * innermost first, for every tree that knows the controller. Version 2 knows all controllers.
 * In a container the tree may begin at the container's own group: what is above stays unseen. */
typedef void cgroup_fn(void *arg, const struct cgroup *group);
void cgroup_visit(const char *root, const char *controller, cgroup_fn *fn, void *arg);

/* The number that a file of the group begins with. False: no such file, or no number ("max"). */
bool cgroup_read(const struct cgroup *group, const char *file, uint64_t *value_out);

/* The number behind a word at the start of a line, as in "inactive_file 4096". */
bool cgroup_read_field(const struct cgroup *group, const char *file, const char *word,
		       uint64_t *value_out);

/* Both numbers of a file like cpu.max, "50000 100000". */
bool cgroup_read_pair(const struct cgroup *group, const char *file, uint64_t values_out[2]);

/* The same number for everyone on this machine who sees the group, also through another mount;
 * never 0. */
uint64_t cgroup_id(const struct cgroup *group);

#endif
