/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cgroup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { LINE_MAX_BYTES = 3 * CGROUP_PATH_MAX };

/* A mounted cgroup tree: the group at its root, and the mount point. */
struct mount {
	char group[CGROUP_PATH_MAX];
	char point[CGROUP_PATH_MAX];
	int version;
};

static FILE *open_file(const char *root, const char *path)
{
	char full[4 * CGROUP_PATH_MAX];

	if ((size_t)snprintf(full, sizeof full, "%s%s", root, path) >= sizeof full)
		return NULL;
	return fopen(full, "re");
}

/* Reads the next line and removes its newline. Lines longer than the buffer are skipped. Returns
 * false at the end of the file. */
static bool next_line(FILE *file, char line[LINE_MAX_BYTES])
{
	while (fgets(line, LINE_MAX_BYTES, file)) {
		size_t n = strcspn(line, "\n");
		bool is_whole = line[n] == '\n' || feof(file);

		line[n] = '\0';
		if (is_whole)
			return true;
		for (int c = 0; c != '\n' && c != EOF;)
			c = fgetc(file);
	}
	return false;
}

/* Cuts the next word off *text at the separator. Returns NULL if no word is left. */
static char *cut(char **text, char separator)
{
	char *word = *text, *end;

	if (!word)
		return NULL;
	end = strchr(word, separator);
	if (end)
		*end++ = '\0';
	*text = end;
	return word;
}

static bool has_word(char *list, const char *word)
{
	for (char *next; (next = cut(&list, ','));)
		if (!strcmp(next, word))
			return true;
	return false;
}

static bool copy_path(char out[CGROUP_PATH_MAX], const char *path)
{
	return (size_t)snprintf(out, CGROUP_PATH_MAX, "%s", path) < CGROUP_PATH_MAX;
}

/* Decodes text in place: mountinfo writes blanks and backslashes as three octal digits. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
		    in[2] <= '7' && in[3] >= '0' && in[3] <= '7') {
			*out = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

/* Finds this process's path in the tree. Its line reads "4:memory:/path" in version 1, "0::/path"
 * in version 2. */
static bool find_own(const char *root, const char *controller, int version,
		     char path_out[CGROUP_PATH_MAX])
{
	FILE *file = open_file(root, "/proc/self/cgroup");
	char line[LINE_MAX_BYTES];
	bool is_found = false;

	while (file && !is_found && next_line(file, line)) {
		char *rest = line;
		char *number = cut(&rest, ':');
		char *controllers = cut(&rest, ':');

		if (!controllers || !rest || *rest != '/')
			continue;
		if (version == 2)
			is_found = !strcmp(number, "0") && !*controllers;
		else
			is_found = has_word(controllers, controller);
		is_found = is_found && copy_path(path_out, rest);
	}
	if (file)
		fclose(file);
	return is_found;
}

/* "36 35 98:0 /group /point options [tags] - type source options" */
static bool read_mount(char *line, const char *controller, struct mount *mount_out)
{
	char *rest = line, *group, *point, *type, *options;

	for (int i = 0; i < 3; i++)
		cut(&rest, ' ');
	group = cut(&rest, ' ');
	point = cut(&rest, ' ');
	rest = rest ? strstr(rest, " - ") : NULL;
	if (!rest)
		return false;
	rest += 3;
	type = cut(&rest, ' ');
	cut(&rest, ' ');
	options = rest;
	mount_out->version = !strcmp(type, "cgroup2") ? 2 : 1;
	if (mount_out->version == 1 &&
	    (strcmp(type, "cgroup") || !options || !has_word(options, controller)))
		return false;
	unescape(group);
	unescape(point);
	return *group == '/' && *point == '/' && copy_path(mount_out->group, group) &&
	       copy_path(mount_out->point, point);
}

/* Returns the part of path below the mounted group, or NULL if path is outside of that group or
 * contains "..". */
static const char *path_below(const char *path, const char *group)
{
	size_t n = strlen(group);

	if (!strcmp(group, "/"))
		n = 0;
	if (strncmp(path, group, n) || (path[n] && path[n] != '/'))
		return NULL;
	path += n;
	return strstr(path, "/..") ? NULL : path;
}

/* Calls fn for the group at mount point + below, and for each of its parents up to the mount
 * point. */
static void visit_up(const char *root, const struct mount *mount, const char *below,
		     cgroup_fn *fn, void *arg)
{
	char directory[3 * CGROUP_PATH_MAX];
	struct cgroup group = { directory, mount->version };
	size_t n_least = strlen(root) + strlen(mount->point);

	if ((size_t)snprintf(directory, sizeof directory, "%s%s%s", root, mount->point, below) >=
	    sizeof directory)
		return;
	for (size_t n = strlen(directory); n > n_least && directory[n - 1] == '/';)
		directory[--n] = '\0';
	for (;;) {
		char *slash;

		fn(arg, &group);
		slash = strrchr(directory, '/');
		if (!slash || (size_t)(slash - directory) < n_least)
			return;
		*slash = '\0';
	}
}

/* Visits the mounts of one cgroup version. is_exact: visit only the mounts that show this process's
 * own group. Otherwise visit only the roots of the other mounts. Returns false if there was no such
 * mount. */
static bool visit_mounts(const char *root, const char *controller, int version, bool is_exact,
			 cgroup_fn *fn, void *arg)
{
	FILE *file = open_file(root, "/proc/self/mountinfo");
	char line[LINE_MAX_BYTES], own[CGROUP_PATH_MAX];
	bool has_own = find_own(root, controller, version, own);
	bool is_any = false;
	struct mount mount;

	while (file && has_own && next_line(file, line)) {
		const char *below;

		if (!read_mount(line, controller, &mount) || mount.version != version)
			continue;
		below = path_below(own, mount.group);
		if (is_exact == !below)
			continue;
		visit_up(root, &mount, is_exact ? below : "", fn, arg);
		is_any = true;
	}
	if (file)
		fclose(file);
	return is_any;
}

void cgroup_visit(const char *root, const char *controller, cgroup_fn *fn, void *arg)
{
	for (int version = 1; version <= 2; version++)
		if (!visit_mounts(root, controller, version, true, fn, arg))
			visit_mounts(root, controller, version, false, fn, arg);
}

/* --- files of a group --- */

/* Reads the number at *text, after blanks, and moves *text behind it. Returns false if there is no
 * number or it exceeds 64 bits. */
static bool take_number(const char **text, uint64_t *value_out)
{
	uint64_t value = 0;
	const char *at = *text;

	while (*at == ' ')
		at++;
	if (!isdigit((unsigned char)*at))
		return false;
	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	if (*at && !isspace((unsigned char)*at))
		return false;
	*text = at;
	*value_out = value;
	return true;
}

static bool read_numbers(const struct cgroup *group, const char *name, const char *word,
			 uint64_t *values_out, unsigned n_values)
{
	FILE *file;
	char path[CGROUP_PATH_MAX], line[LINE_MAX_BYTES];
	size_t n_word = strlen(word);
	uint64_t values[2];
	unsigned n = 0;

	if ((size_t)snprintf(path, sizeof path, "/%s", name) >= sizeof path)
		return false;
	file = open_file(group->directory, path);
	while (file && next_line(file, line)) {
		const char *at = line + n_word;

		if (strncmp(line, word, n_word) || (n_word && *at != ' '))
			continue;
		while (n < n_values && take_number(&at, &values[n]))
			n++;
		break;
	}
	if (file)
		fclose(file);
	if (n < n_values)
		return false;
	memcpy(values_out, values, n_values * sizeof values[0]);
	return true;
}

bool cgroup_read(const struct cgroup *group, const char *file, uint64_t *value_out)
{
	return read_numbers(group, file, "", value_out, 1);
}

bool cgroup_read_field(const struct cgroup *group, const char *file, const char *word,
		       uint64_t *value_out)
{
	return read_numbers(group, file, word, value_out, 1);
}

bool cgroup_read_pair(const struct cgroup *group, const char *file, uint64_t values_out[2])
{
	return read_numbers(group, file, "", values_out, 2);
}

uint64_t cgroup_id(const struct cgroup *group)
{
	struct stat stat_buf;
	uint64_t parts[2] = { (uint64_t)group->version, 0 };

	/* st_dev is left out, because each cgroup namespace shows the same tree under another
	 * device. */
	if (!stat(group->directory, &stat_buf))
		parts[1] = (uint64_t)stat_buf.st_ino;
	return XXH3_64bits(parts, sizeof parts) | 1;
}
