/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct output {
	char *path;
	char *partial;		/* where it is written */
	int fd;
	bool has_partial;
};

static enum sc_status name_files(struct output *output, const char *path, struct error *err)
{
	output->path = strdup(path);
	if (!output->path || asprintf(&output->partial, "%s.XXXXXX", path) < 0) {
		output->partial = NULL;
		return error_set(err, SC_E_NOMEM, "%s: no memory", path);
	}
	return SC_OK;
}

/* What is there may be replaced if it is a file; a device or a directory is a mistake. */
static enum sc_status check_place(const char *path, struct error *err)
{
	struct stat st;

	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return error_set(err, SC_E_IO, "%s: expected a file or nothing, found %s", path,
				 S_ISDIR(st.st_mode) ? "a directory" : "something else");
	return SC_OK;
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
	enum sc_status status;
	mode_t mask;

	if (!output)
		return error_set(err, SC_E_NOMEM, "%s: no memory", path);
	output->fd = -1;
	status = name_files(output, path, err);
	if (!status)
		status = check_place(path, err);
	if (status)
		goto fail;
	output->fd = mkostemp(output->partial, O_CLOEXEC);
	if (output->fd < 0) {
		status = error_errno(err, SC_E_IO, errno, "%s: cannot create it", path);
		goto fail;
	}
	output->has_partial = true;
	mask = umask(0);
	umask(mask);
	(void)fchmod(output->fd, 0666 & ~mask);
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
