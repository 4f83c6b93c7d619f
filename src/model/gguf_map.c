/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strmap.h"
#include "model/gguf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static enum sc_status check_kind(const struct gguf_file *file, const struct stat *st,
				 struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, SC_E_FORMAT, "%s: expected a model file, found %s",
				 file->path, file_kind(st->st_mode));
	if (st->st_size == 0)
		return error_set(err, SC_E_FORMAT, "%s: expected a model file, found an empty file",
				 file->path);
	return SC_OK;
}

enum sc_status gguf_file_map(struct gguf_file *file, const char *path, struct error *err)
{
	enum sc_status status;
	struct stat st;
	void *data;
	int fd;

	file->path = strdup(path);
	if (!file->path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", path);
	/* O_NONBLOCK, because opening a pipe would wait for a writer. Regular files ignore the
	 * flag. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno,
				   "%s: cannot open", path);
	if (fstat(fd, &st)) {
		status = error_errno(err, SC_E_IO, errno, "%s: cannot stat", path);
		goto out;
	}
	status = check_kind(file, &st, err);
	if (status)
		goto out;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		status = error_errno(err, SC_E_IO, errno, "%s: cannot map %lld bytes", path,
				     (long long)st.st_size);
		goto out;
	}
	file->data = data;
	file->n_bytes = (size_t)st.st_size;
	file->is_mapped = true;
	file->opened = st;
	file->cursor = cursor_init(data, file->n_bytes);
out:
	close(fd);
	return status;
}

/* A file that was deleted or replaced under its name stays as it is behind the mapping. */
enum sc_status gguf_file_check(const struct gguf_file *file, struct error *err)
{
	const struct stat *then = &file->opened;
	struct stat now;

	if (!file->is_mapped || stat(file->path, &now) || now.st_dev != then->st_dev ||
	    now.st_ino != then->st_ino)
		return SC_OK;
	if (now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == then->st_mtim.tv_nsec)
		return SC_OK;
	return error_set(err, SC_E_IO, "%s: the file was changed after it was opened, so no "
			 "weights can be read from it any more; start this process again",
			 file->path);
}

enum sc_status gguf_file_borrow(struct gguf_file *file, const char *name, const void *data,
				size_t n_bytes, struct error *err)
{
	file->path = strdup(name);
	if (!file->path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", name);
	if ((uintptr_t)data % GGUF_MIN_ALIGNMENT)
		return error_set(err, SC_E_INVALID, "%s: the bytes are not aligned to %d", name,
				 GGUF_MIN_ALIGNMENT);
	if (n_bytes == 0)
		return error_set(err, SC_E_FORMAT, "%s: expected a model file, found no bytes",
				 name);
	file->data = data;
	file->n_bytes = n_bytes;
	file->cursor = cursor_init(data, n_bytes);
	return SC_OK;
}

void gguf_file_deinit(struct gguf_file *file)
{
	if (file->pairs)
		for (uint64_t i = 0; i < file->n_pairs; i++)
			free(file->pairs[i].index);
	free(file->pairs);
	strmap_destroy(file->keys);
	if (file->is_mapped)
		munmap((void *)(uintptr_t)file->data, file->n_bytes);
	free(file->head);
	free(file->path);
	*file = (struct gguf_file){ 0 };
}
