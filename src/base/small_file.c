/* SPDX-License-Identifier: Apache-2.0 */
#include "base/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum sc_status check(int fd, const char *path, bool *is_public_out, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, SC_E_CONFIG, "%s: not a regular file", path);
	if (is_public_out)
		*is_public_out = st.st_mode & S_IRWXO;
	return SC_OK;
}

/* One allocation, so that no copy of a secret is left behind. */
static enum sc_status read_all(int fd, const char *path, size_t max_bytes, struct buf *text,
			       struct error *err)
{
	if (buf_reserve(text, max_bytes + 1) != SC_OK)
		return error_set(err, SC_E_NOMEM, "%s: out of memory", path);
	while (text->length <= max_bytes) {
		ssize_t n = read(fd, text->data + text->length, max_bytes + 1 - text->length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, SC_E_IO, errno, "%s", path);
		if (n == 0) {
			text->data[text->length] = '\0';
			return SC_OK;
		}
		text->length += (size_t)n;
	}
	return error_set(err, SC_E_CONFIG, "%s: over %zu bytes", path, max_bytes);
}

enum sc_status small_file_read(const char *path, size_t max_bytes, struct buf *text,
			       bool *is_public_out, struct error *err)
{
	/* O_NONBLOCK: opening a pipe would wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum sc_status status;

	if (fd < 0)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno, "%s",
				   path);
	status = check(fd, path, is_public_out, err);
	if (status == SC_OK)
		status = read_all(fd, path, max_bytes, text, err);
	close(fd);
	if (status != SC_OK)
		small_file_wipe(text);
	return status;
}

void small_file_wipe(struct buf *text)
{
	if (text->capacity)
		explicit_bzero(text->data, text->capacity);
	buf_deinit(text);
	buf_init(text);
}
