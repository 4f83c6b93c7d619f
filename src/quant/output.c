/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many as the kernel follows. */
#define MAX_LINKS 40

struct output {
	char *path;		/* the place of the file: links have been followed */
	char *partial;		/* where it is written */
	int fd;
	bool has_partial;
};

static enum sc_status name_files(struct output *output, struct error *err)
{
	if (asprintf(&output->partial, "%s.XXXXXX", output->path) < 0) {
		output->partial = NULL;
		return error_set(err, SC_E_NOMEM, "%s: no memory", output->path);
	}
	return SC_OK;
}

/* Where the link at `path` points to, with the directory of the link before a relative path. NULL:
 * it is no link, or errno is ENOMEM. */
static char *read_link(const char *path)
{
	char target[PATH_MAX], *joined;
	const ssize_t n = readlink(path, target, sizeof target);
	const char *slash = strrchr(path, '/');

	if (n < 0 || n == sizeof target)
		return NULL;
	if (target[0] == '/' || !slash)
		return strndup(target, (size_t)n);
	if (asprintf(&joined, "%.*s/%.*s", (int)(slash - path), path, (int)n, target) < 0)
		return NULL;
	return joined;
}

/* A new file takes the place of the file that links point to, not of the links. The last link may
 * point to nothing yet. */
static enum sc_status follow_links(const char *path, char **path_out, struct error *err)
{
	char *place = strdup(path);

	for (int n = 0; place; n++) {
		char *next;

		errno = 0;
		next = read_link(place);
		if (!next && errno != ENOMEM) {
			*path_out = place;
			return SC_OK;
		}
		free(place);
		place = next;
		if (n == MAX_LINKS) {
			free(place);
			return error_errno(err, SC_E_IO, ELOOP, "%s", path);
		}
	}
	return error_set(err, SC_E_NOMEM, "%s: no memory", path);
}

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" :
	       S_ISSOCK(mode) ? "a socket" : "a device";
}

/* The text of a command that writes a file must not go into that file. */
static bool is_standard_output(const struct stat *st)
{
	struct stat standard;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (!fstat(fd, &standard) && standard.st_dev == st->st_dev &&
		    standard.st_ino == st->st_ino)
			return true;
	return false;
}

static enum sc_status check_place(const char *path, struct stat *st_out, bool *is_there_out,
				  struct error *err)
{
	*is_there_out = !stat(path, st_out);
	if (!*path)
		return error_set(err, SC_E_INVALID, "the name of the output is empty: give the "
				 "name of a file");
	if (!*is_there_out)
		return SC_OK;
	if (!S_ISREG(st_out->st_mode))
		return error_set(err, SC_E_IO, "%s: expected a regular file or a new name, found "
				 "%s: give the name of a file", path, kind_of(st_out->st_mode));
	if (is_standard_output(st_out))
		return error_set(err, SC_E_IO, "%s: standard output or standard error goes there: "
				 "give the name of another file", path);
	if (access(path, W_OK))
		return error_errno(err, SC_E_IO, errno, "%s: cannot be replaced", path);
	return SC_OK;
}

/* As the file that it replaces; a new one as other new files. Whoever could not read that file
 * cannot read this one, also where only root may give it to the same owner and group. */
static void set_mode(int fd, const struct stat *before)
{
	mode_t mode = 0666;

	if (!before) {
		const mode_t mask = umask(0);

		umask(mask);
		(void)fchmod(fd, mode & ~mask);
		return;
	}
	mode = before->st_mode & 0777;
	if (fchown(fd, before->st_uid, before->st_gid) && fchown(fd, (uid_t)-1, before->st_gid))
		mode &= ~070u | mode << 3;
	(void)fchmod(fd, mode);
}

static enum sc_status reserve(const struct output *output, uint64_t n_bytes, struct error *err)
{
	/* Where a file system cannot do that, a write will tell. */
	if (fallocate(output->fd, 0, 0, (off_t)n_bytes) &&
	    (errno == ENOSPC || errno == EFBIG || errno == EDQUOT))
		return error_errno(err, SC_E_IO, errno, "%s: no room for %llu bytes", output->path,
				   (unsigned long long)n_bytes);
	if (ftruncate(output->fd, (off_t)n_bytes))
		return error_errno(err, SC_E_IO, errno, "%s: cannot make it %llu bytes long",
				   output->path, (unsigned long long)n_bytes);
	return SC_OK;
}

enum sc_status output_create(const char *path, uint64_t n_bytes, struct output **output_out,
			     struct error *err)
{
	struct output *output = calloc(1, sizeof *output);
	bool is_there = false;
	enum sc_status status;
	struct stat before;

	if (!output)
		return error_set(err, SC_E_NOMEM, "%s: no memory", path);
	output->fd = -1;
	status = check_place(path, &before, &is_there, err);
	if (!status)
		status = follow_links(path, &output->path, err);
	if (!status)
		status = name_files(output, err);
	if (status)
		goto fail;
	output->fd = mkostemp(output->partial, O_CLOEXEC);
	if (output->fd < 0) {
		status = error_errno(err, SC_E_IO, errno, "%s: cannot create it",
				     output->path);
		goto fail;
	}
	output->has_partial = true;
	set_mode(output->fd, is_there ? &before : NULL);
	status = reserve(output, n_bytes, err);
	if (status)
		goto fail;
	*output_out = output;
	return SC_OK;
fail:
	output_abandon(output);
	return status;
}

enum sc_status output_write(const struct output *output, uint64_t offset, const void *data,
			    size_t n_bytes, struct error *err)
{
	const char *at = data;

	while (n_bytes > 0) {
		const ssize_t n = pwrite(output->fd, at, n_bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, SC_E_IO, errno, "%s: cannot write", output->path);
		at += n;
		offset += (uint64_t)n;
		n_bytes -= (size_t)n;
	}
	return SC_OK;
}

/* A name is on the disk when its directory is. One that cannot be read, or that its file system
 * cannot sync, is left to the kernel: the file is whole under its name all the same. */
static enum sc_status sync_directory(struct output *output, struct error *err)
{
	const int fd = open(dirname(output->partial), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum sc_status status = SC_OK;

	if (fd < 0)
		return SC_OK;
	if (fsync(fd) && errno != EINVAL)
		status = error_errno(err, SC_E_IO, errno, "%s: cannot write its directory",
				     output->path);
	close(fd);
	return status;
}

enum sc_status output_commit(struct output *output, struct error *err)
{
	enum sc_status status = SC_OK;

	if (fsync(output->fd))
		status = error_errno(err, SC_E_IO, errno, "%s: cannot write", output->path);
	else if (rename(output->partial, output->path))
		status = error_errno(err, SC_E_IO, errno, "%s: cannot rename %s", output->path,
				     output->partial);
	else
		output->has_partial = false;
	if (!status)
		status = sync_directory(output, err);
	output_abandon(output);
	return status;
}

void output_abandon(struct output *output)
{
	if (!output)
		return;
	if (output->fd >= 0)
		close(output->fd);
	if (output->has_partial)
		unlink(output->partial);
	free(output->partial);
	free(output->path);
	free(output);
}
