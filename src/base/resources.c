/* SPDX-License-Identifier: Apache-2.0 */
#include "base/resources.h"

#include "base/cgroup.h"
#include "base/cpu.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

enum { THOUSAND = 1000 };

/* The result of the readers below, while it is being collected. */
struct reading {
	const char *root;
	struct resources *out;
};

static void add_limit(struct resource_limit *limits, uint32_t *n, uint64_t id, uint64_t amount)
{
	/* Visits go from the innermost group to the outermost; groups beyond the 32nd limit are
	 * ignored. */
	if (*n < RESOURCES_MAX_LIMITS)
		limits[(*n)++] = (struct resource_limit){ id, amount };
}

static void add_memory(struct reading *reading, uint64_t id, uint64_t free_bytes, const char *what,
		       const char *where)
{
	log_debug("memory: %.1f MiB free by %s%s%s", (double)free_bytes / (1 << 20), what,
		  *where ? " of " : "", where);
	add_limit(reading->out->memory, &reading->out->n_memory, id, free_bytes);
}

static void add_processors(struct reading *reading, uint64_t id, uint64_t thousandths)
{
	add_limit(reading->out->processors, &reading->out->n_processors, id, thousandths);
}

/* --- the machine --- */

static uint64_t read_kib(const char *root, const char *path, const char *word)
{
	char full[CGROUP_PATH_MAX], line[256];
	size_t n_word = strlen(word);
	uint64_t kib = UINT64_MAX;
	FILE *file = NULL;

	if ((size_t)snprintf(full, sizeof full, "%s%s", root, path) < sizeof full)
		file = fopen(full, "re");
	while (file && kib == UINT64_MAX && fgets(line, sizeof line, file))
		if (!strncmp(line, word, n_word) &&
		    sscanf(line + n_word, "%20" SCNu64 " kB", &kib) != 1)
			break;
	if (file)
		fclose(file);
	return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

size_t resources_boot_id(const char *root, char *id_out, size_t size)
{
	char path[CGROUP_PATH_MAX];
	size_t n = 0;
	FILE *file = NULL;

	if ((size_t)snprintf(path, sizeof path, "%s/proc/sys/kernel/random/boot_id", root) <
	    sizeof path)
		file = fopen(path, "re");
	if (file) {
		n = fread(id_out, 1, size, file);
		fclose(file);
	}
	return n;
}

static uint64_t machine_id(const char *root)
{
	char id[64];

	return XXH3_64bits(id, resources_boot_id(root, id, sizeof id));
}

/* Makes an id from a number that is unique on one machine only. */
static uint64_t id_on(uint64_t machine, uint64_t number)
{
	const uint64_t parts[2] = { machine, number };

	return XXH3_64bits(parts, sizeof parts) | 1;
}

static void read_machine(struct reading *reading)
{
	uint64_t n_bytes = read_kib(reading->root, "/proc/meminfo", "MemAvailable:");
	uint64_t machine = machine_id(reading->root);

	if (n_bytes != UINT64_MAX)
		add_memory(reading, id_on(machine, 0), n_bytes, "MemAvailable", "");
	add_processors(reading, id_on(machine, cpu_set_id()), (uint64_t)cpu_count() * THOUSAND);
}

/* --- control groups --- */

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Bytes of the page cache, active and inactive, of the group and all groups below it. */
static uint64_t cached_bytes(const struct cgroup *group)
{
	static const char *const words[2][2] = {
		{ "total_active_file", "total_inactive_file" },
		{ "active_file", "inactive_file" },
	};
	uint64_t n_bytes = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t part = 0;

		/* Version 1 without use_hierarchy has only the names without "total_", like version
		 * 2. */
		if (cgroup_read_field(group, "memory.stat", words[group->version - 1][i], &part) ||
		    cgroup_read_field(group, "memory.stat", words[1][i], &part))
			n_bytes = plus(n_bytes, part);
	}
	return n_bytes;
}

/* Adds one limit from its limit file and its usage file. */
static void add_group_memory(struct reading *reading, const struct cgroup *group,
			     const char *limit_file, const char *usage_file)
{
	uint64_t limit, usage = 0, cached;

	if (!cgroup_read(group, limit_file, &limit) || limit >= (uint64_t)INT64_MAX / 4096 * 4096)
		return;
	(void)cgroup_read(group, usage_file, &usage);
	cached = cached_bytes(group);
	usage = minus(usage, cached);
	add_memory(reading, id_on(machine_id(reading->root), cgroup_id(group)),
		   minus(limit, usage), limit_file, group->directory);
}

static void visit_memory(void *arg, const struct cgroup *group)
{
	static const char *const files[][2][2] = {
		{ { "memory.limit_in_bytes", "memory.usage_in_bytes" },
		  { "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes" } },
		{ { "memory.max", "memory.current" }, { "memory.high", "memory.current" } },
	};

	for (unsigned i = 0; i < 2; i++)
		add_group_memory(arg, group, files[group->version - 1][i][0],
				 files[group->version - 1][i][1]);
}

/* Both quota and period are in microseconds. A quota of -1 or "max" means no limit. */
static void visit_cpu(void *arg, const struct cgroup *group)
{
	struct reading *reading = arg;
	uint64_t pair[2];

	if (group->version == 2 ? !cgroup_read_pair(group, "cpu.max", pair)
				: !cgroup_read(group, "cpu.cfs_quota_us", &pair[0]) ||
					  !cgroup_read(group, "cpu.cfs_period_us", &pair[1]))
		return;
	if (!pair[0] || !pair[1] || pair[0] > UINT64_MAX / THOUSAND - pair[1])
		return;
	add_processors(reading, id_on(machine_id(reading->root), cgroup_id(group)),
		       (pair[0] * THOUSAND + pair[1] - 1) / pair[1]);
}

/* --- the process --- */

static void add_rlimit(struct reading *reading, int which, const char *name, const char *word)
{
	uint64_t used = read_kib("", "/proc/self/status", word);
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)which, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    used == UINT64_MAX)
		return;
	add_memory(reading, 0, minus(limit.rlim_cur, used), name, "");
}

void resources_read(const char *root, struct resources *out)
{
	struct reading reading = { root, out };

	*out = (struct resources){ 0 };
	read_machine(&reading);
	add_rlimit(&reading, RLIMIT_AS, "RLIMIT_AS", "VmSize:");
	add_rlimit(&reading, RLIMIT_DATA, "RLIMIT_DATA", "VmData:");
	cgroup_visit(root, "memory", visit_memory, &reading);
	cgroup_visit(root, "cpu", visit_cpu, &reading);
}

/* --- shares --- */

static bool has_id(const struct resource_limit *limits, uint32_t n, uint64_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (limits[i].id == id)
			return true;
	return false;
}

uint64_t resources_memory(const struct resources *own, const struct resources *const *users,
			  unsigned n, const struct resources *other, uint64_t other_bytes)
{
	uint64_t least = RESOURCES_UNLIMITED;

	for (uint32_t i = 0; i < own->n_memory; i++) {
		const struct resource_limit *limit = &own->memory[i];
		uint64_t share = limit->amount;
		unsigned n_users = 0;

		for (unsigned k = 0; k < n; k++)
			n_users += users[k] == own ||
				   (limit->id && has_id(users[k]->memory, users[k]->n_memory,
							limit->id));
		if (other == own ||
		    (other && limit->id && has_id(other->memory, other->n_memory, limit->id)))
			share = minus(share, other_bytes);
		share /= n_users ? n_users : 1;
		least = share < least ? share : least;
	}
	return least;
}

unsigned resources_processors(const struct resources *own, const struct resources *const *users,
			      unsigned n)
{
	uint64_t least = UINT32_MAX;

	for (uint32_t i = 0; i < own->n_processors; i++) {
		const struct resource_limit *limit = &own->processors[i];
		unsigned n_users = 0;
		uint64_t share;

		for (unsigned k = 0; k < n; k++)
			n_users += has_id(users[k]->processors, users[k]->n_processors, limit->id);
		share = (limit->amount + THOUSAND - 1) / THOUSAND / (n_users ? n_users : 1);
		least = share < least ? share : least;
	}
	return least ? (unsigned)least : 1;
}

unsigned resources_processor_count(void)
{
	struct resources own;
	const struct resources *users[] = { &own };

	resources_read("", &own);
	return resources_processors(&own, users, 1);
}
