/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *file_kind(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISSOCK(mode))
		return "a socket";
	return "a device";
}

static enum sc_status map(int fd, const char *path, const char *what, struct mapped_file *file,
			  struct error *err)
{
	void *data;

	if (fstat(fd, &file->opened))
		return error_errno(err, SC_E_IO, errno, "%s: cannot stat", path);
	if (!S_ISREG(file->opened.st_mode))
		return error_set(err, SC_E_FORMAT, "%s: expected %s, found %s", path, what,
				 file_kind(file->opened.st_mode));
	if (file->opened.st_size == 0)
		return error_set(err, SC_E_FORMAT, "%s: expected %s, found an empty file", path,
				 what);
	file->n_bytes = (size_t)file->opened.st_size;
	data = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return error_errno(err, SC_E_IO, errno, "%s: cannot map %zu bytes", path,
				   file->n_bytes);
	file->data = data;
	return SC_OK;
}

enum sc_status mapped_file_open(const char *path, const char *what, struct mapped_file *file_out,
				struct error *err)
{
	struct mapped_file file = { .data = NULL };
	enum sc_status status;
	/* O_NONBLOCK, because opening a pipe would wait for a writer. Regular files ignore the
	 * flag. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno,
				   "%s: cannot open", path);
	file.path = strdup(path);
	status = file.path ? map(fd, path, what, &file, err)
			   : error_set(err, SC_E_NOMEM, "%s: no memory", path);
	close(fd);
	if (status)
		mapped_file_close(&file);
	else
		*file_out = file;
	return status;
}

enum sc_status mapped_file_check(const struct mapped_file *file, struct error *err)
{
	const struct stat *then = &file->opened;
	struct stat now;

	if (stat(file->path, &now) || now.st_dev != then->st_dev || now.st_ino != then->st_ino)
		return SC_OK;
	if (now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == then->st_mtim.tv_nsec)
		return SC_OK;
	return error_set(err, SC_E_IO, "%s: the file was changed after it was opened, so no "
			 "weights can be read from it any more; start this process again",
			 file->path);
}

void mapped_file_close(struct mapped_file *file)
{
	if (file->data)
		munmap((void *)(uintptr_t)file->data, file->n_bytes);
	free(file->path);
	*file = (struct mapped_file){ .data = NULL };
}
