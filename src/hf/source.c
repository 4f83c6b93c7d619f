/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/source.h"

#include "hf/cache.h"
#include "hf/folder.h"
#include "hf/hf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *name, const char *end)
{
	const size_t n = strlen(name), n_end = strlen(end);

	return n >= n_end && !strcmp(name + n - n_end, end);
}

static bool is_file_of_folder(const char *name)
{
	return ends_with(name, ".json") || ends_with(name, ".safetensors");
}

/* Opens the folder of a file in it. */
static enum sc_status open_folder_of(const char *name, struct gguf **gguf_out, struct error *err)
{
	const char *slash = strrchr(name, '/');
	enum sc_status status;
	struct stat st;
	char *folder;

	if (stat(name, &st))
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno,
				   "%s: cannot open", name);
	folder = slash ? strndup(name, (size_t)(slash - name) + 1) : strdup(".");
	if (!folder)
		return error_set(err, SC_E_NOMEM, "%s: no memory", name);
	status = hf_open(folder, gguf_out, err);
	free(folder);
	return status;
}

/* A file that is no GGUF may be weights in another form. */
static enum sc_status open_file(const char *path, unsigned flags, struct gguf **gguf_out,
				struct error *err)
{
	const char *form = folder_other_form(path);
	enum sc_status status = flags & SOURCE_ANY_TYPES
			      ? gguf_open_any_types(path, gguf_out, err)
			      : gguf_open(path, gguf_out, err);

	if (status != SC_E_FORMAT || !form)
		return status;
	return error_set(err, SC_E_UNSUPPORTED, "%s: expected a GGUF file or a folder with "
			 "safetensors, found %s", path, form);
}

static enum sc_status open_path(const char *path, unsigned flags, struct gguf **gguf_out,
				struct error *err)
{
	if (hf_is_folder(path))
		return hf_open(path, gguf_out, err);
	if (is_file_of_folder(path))
		return open_folder_of(path, gguf_out, err);
	return open_file(path, flags, gguf_out, err);
}

/* What the cache lacks of a model that it has can be fetched. */
static enum sc_status open_cached(const char *name, unsigned flags, struct gguf **gguf_out,
				  struct error *err)
{
	char words[HF_CACHE_FETCH_BYTES];
	enum sc_status status;
	char *path;

	status = hf_cache_find(name, &path, err);
	if (status)
		return status;
	status = open_path(path, flags, gguf_out, err);
	free(path);
	if (status == SC_E_NOT_FOUND) {
		hf_cache_fetch_words(name, words);
		error_prefix(err, "'%s' fetches what is missing", words);
	}
	return status;
}

bool source_is_cached(const char *name)
{
	struct stat st;

	return stat(name, &st) && hf_cache_is_name(name) && !ends_with(name, ".gguf") &&
	       !is_file_of_folder(name);
}

enum sc_status source_open(const char *name, unsigned flags, struct gguf **gguf_out,
			   struct error *err)
{
	if (source_is_cached(name))
		return open_cached(name, flags, gguf_out, err);
	return open_path(name, flags, gguf_out, err);
}
