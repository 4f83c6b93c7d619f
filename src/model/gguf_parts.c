/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a model: GGUF files, or those behind a head that was built in memory. */
#include "model/gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

enum sc_status gguf_keep_body(struct gguf *gguf, const struct gguf_body *body, struct error *err)
{
	struct gguf_part *parts = calloc(body->n_parts + 1, sizeof *parts);

	if (!parts)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %zu files", gguf_path(gguf),
				 body->n_parts);
	for (size_t i = 0; i < body->n_parts; i++)
		parts[i] = body->parts[i];
	gguf->parts = parts;
	gguf->body = *body;
	gguf->body.parts = parts;
	gguf->body.sources = NULL;
	gguf->body.release = NULL;
	return SC_OK;
}

size_t gguf_n_files(const struct gguf *gguf)
{
	return gguf->parts ? gguf->body.n_parts : gguf->n_files;
}

struct gguf_part gguf_part(const struct gguf *gguf, size_t i)
{
	const struct gguf_file *file = &gguf->files[i];

	if (gguf->parts)
		return gguf->parts[i];
	return (struct gguf_part){
		.path = file->path, .n_bytes = file->n_bytes, .n_tensors = file->n_tensors,
	};
}

uint64_t gguf_n_bytes(const struct gguf *gguf)
{
	uint64_t n_bytes = 0;

	for (size_t i = 0; i < gguf_n_files(gguf); i++)
		n_bytes += gguf_part(gguf, i).n_bytes;
	return n_bytes;
}

bool gguf_is_at(const struct gguf *gguf, const char *path)
{
	const bool is_file = gguf->parts || gguf->files[0].is_mapped;
	struct stat there, part;

	if (!is_file || stat(path, &there))
		return false;
	for (size_t i = 0; i < gguf_n_files(gguf); i++)
		if (!stat(gguf_part(gguf, i).path, &part) && part.st_dev == there.st_dev &&
		    part.st_ino == there.st_ino)
			return true;
	return false;
}

enum sc_status gguf_check_unchanged(const struct gguf *gguf, struct error *err)
{
	enum sc_status status = SC_OK;

	if (gguf->parts)
		return gguf->body.check ? gguf->body.check(gguf->body.arg, err) : SC_OK;
	for (size_t i = 0; status == SC_OK && i < gguf->n_files; i++)
		status = gguf_file_check(&gguf->files[i], err);
	return status;
}
