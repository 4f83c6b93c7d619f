/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of all files of a folder: model.safetensors, or the shards that
 * model.safetensors.index.json lists. */
#include "hf/safetensors.h"

#include "base/strmap.h"
#include "hf/folder.h"
#include "hf/scales.h"
#include "model/quote.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"

enum { MAX_FILES = 4096 };

struct hf_store {
	const char *folder;		/* borrowed while it is opened */
	char *index_path;		/* owned; NULL without an index */
	struct safetensors *files;	/* [n_files], owned */
	size_t n_files;
	struct hf_stored **tensors;	/* [n], owned; in the order of the files */
	size_t n;
	struct strmap *names;		/* tensor name -> index of tensors, owned */
};

/* --- the index --- */

static enum sc_status refuse_index(const struct hf_store *store, const char *name,
				   const char *file, const char *why, struct error *err)
{
	return error_set(err, SC_E_FORMAT, "%s: weight_map: tensor '%s': %s, found '%s'",
			 store->index_path, quote(name, strlen(name)).text, why,
			 quote(file, strlen(file)).text);
}

/* A shard lies in the folder itself, so its name has no '/': whoever made the model must not choose
 * which other files of this machine are opened. Links in the folder may lead elsewhere, because
 * whoever stored the model here made them; the cache of the hub's tools consists of such links. */
static enum sc_status check_file_name(const struct hf_store *store, const char *name,
				      const json_t *value, struct error *err)
{
	static const char end[] = ".safetensors";
	const char *file = json_string_value(value);
	size_t n;

	if (!file)
		return refuse_index(store, name, "no string", "expected a file's name", err);
	n = json_string_length(value);
	if (strlen(file) != n || strchr(file, '/') || !strcmp(file, "..") || !strcmp(file, "."))
		return refuse_index(store, name, file, "expected a file in the model's folder, "
				    "without a path", err);
	if (n < sizeof end || strcmp(file + n - (sizeof end - 1), end))
		return refuse_index(store, name, file, "expected a file that ends in .safetensors",
				    err);
	return SC_OK;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t drop_repeated(const char **names, size_t n)
{
	size_t n_kept = 0;

	qsort(names, n, sizeof *names, compare_strings);
	for (size_t i = 0; i < n; i++)
		if (!n_kept || strcmp(names[i], names[n_kept - 1]))
			names[n_kept++] = names[i];
	return n_kept;
}

/* The names of the shards, each once, in order. Borrowed from the index; the caller frees the
 * array. */
static enum sc_status list_files(const struct hf_store *store, const json_t *weight_map,
				 const char ***names_out, size_t *n_out, struct error *err)
{
	const char **names;
	enum sc_status status = SC_OK;
	const char *name;
	json_t *value;
	size_t n = 0;

	if (!json_object_size(weight_map))
		return error_set(err, SC_E_FORMAT, "%s: expected an object 'weight_map' with the "
				 "file of each tensor, found %s", store->index_path,
				 json_is_object(weight_map) ? "an empty one" : "none");
	names = calloc(json_object_size(weight_map), sizeof *names);
	if (!names)
		return error_set(err, SC_E_NOMEM, "%s: no memory for the files' names",
				 store->index_path);
	json_object_foreach((json_t *)(uintptr_t)weight_map, name, value) {
		status = check_file_name(store, name, value, err);
		if (status)
			break;
		names[n++] = json_string_value(value);
	}
	if (!status) {
		*n_out = drop_repeated(names, n);
		*names_out = names;
	} else {
		free(names);
	}
	return status;
}

/* --- opening files --- */

static enum sc_status open_file(struct hf_store *store, const char *name, struct error *err)
{
	char *path = folder_path(store->folder, name);
	enum sc_status status;

	if (!path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", store->folder);
	status = safetensors_open(path, &store->files[store->n_files], err);
	free(path);
	store->n_files += !status;
	return status;
}

/* Counts the missing files, so that all are downloaded at once. */
static enum sc_status check_files_exist(const struct hf_store *store, const char *const *names,
					size_t n, struct error *err)
{
	const char *first = NULL;
	size_t n_missing = 0;

	for (size_t i = 0; i < n; i++) {
		if (folder_has(store->folder, names[i]))
			continue;
		n_missing++;
		first = first ? first : names[i];
	}
	if (!n_missing)
		return SC_OK;
	return error_set(err, SC_E_NOT_FOUND, "%s/%s: no such file, but %s lists it: %zu of %zu files "
			 "with weights are missing; download them", store->folder,
			 quote(first, strlen(first)).text, INDEX_FILE, n_missing, n);
}

static enum sc_status allocate_files(struct hf_store *store, size_t n, struct error *err)
{
	if (n > MAX_FILES)
		return error_set(err, SC_E_FORMAT, "%s: expected at most %d files, found %zu",
				 store->index_path, MAX_FILES, n);
	store->files = calloc(n, sizeof *store->files);
	return store->files ? SC_OK : error_set(err, SC_E_NOMEM, "%s: no memory for %zu files",
						store->folder, n);
}

static enum sc_status open_listed(struct hf_store *store, const json_t *weight_map,
				  struct error *err)
{
	const char **names = NULL;
	enum sc_status status;
	size_t n = 0;

	status = list_files(store, weight_map, &names, &n, err);
	if (status)
		return status;
	status = allocate_files(store, n, err);
	if (!status)
		status = check_files_exist(store, names, n, err);
	for (size_t i = 0; !status && i < n; i++)
		status = open_file(store, names[i], err);
	free(names);
	return status;
}

/* --- tensors by name --- */

static enum sc_status index_tensor(struct hf_store *store, struct hf_stored *tensor,
				   struct error *err)
{
	const size_t length = strlen(tensor->name);
	enum sc_status status = strmap_add(store->names, tensor->name, length, (uint32_t)store->n);
	uint32_t other;

	if (status == SC_E_EXISTS && strmap_find(store->names, tensor->name, length, &other))
		return error_set(err, SC_E_FORMAT, "%s: expected every tensor once, found '%s', "
				 "which is also in %s", tensor->file,
				 quote(tensor->name, length).text, store->tensors[other]->file);
	if (status)
		return error_set(err, status, "%s: cannot index tensors", tensor->file);
	store->tensors[store->n++] = tensor;
	return SC_OK;
}

static enum sc_status index_tensors(struct hf_store *store, struct error *err)
{
	enum sc_status status = SC_OK;
	size_t n = 0;

	for (size_t i = 0; i < store->n_files; i++)
		n += store->files[i].n;
	store->tensors = calloc(n + 1, sizeof *store->tensors);
	if (!store->tensors || strmap_create(n, &store->names))
		return error_set(err, SC_E_NOMEM, "%s: no memory for %zu tensors", store->folder, n);
	for (size_t i = 0; i < store->n_files; i++)
		for (size_t k = 0; !status && k < store->files[i].n; k++)
			status = index_tensor(store, &store->files[i].tensors[k], err);
	return status;
}

/* The index and the files must say the same: else some files are of another model. */
static enum sc_status check_index(const struct hf_store *store, const json_t *weight_map,
				  struct error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)weight_map, name, value) {
		const struct hf_stored *tensor = hf_store_find(store, name);
		const char *file = json_string_value(value);

		if (!tensor)
			return refuse_index(store, name, file, "expected a file that has it", err);
		if (strcmp(strrchr(tensor->file, '/') + 1, file))
			return refuse_index(store, name, file, "expected the file that has it", err);
	}
	for (size_t i = 0; i < store->n; i++)
		if (!json_object_get(weight_map, store->tensors[i]->name))
			return error_set(err, SC_E_FORMAT, "%s: expected only tensors that %s lists, "
					 "found '%s': are the files of one model?",
					 store->tensors[i]->file, INDEX_FILE,
					 quote(store->tensors[i]->name,
					       strlen(store->tensors[i]->name)).text);
	return SC_OK;
}

/* --- opening the folder --- */

static enum sc_status open_shards(struct hf_store *store, struct error *err)
{
	const json_t *weight_map;
	enum sc_status status;
	json_t *index;

	store->index_path = folder_path(store->folder, INDEX_FILE);
	if (!store->index_path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", store->folder);
	status = json_file_load(store->folder, INDEX_FILE, &index, err);
	if (status)
		return status;
	weight_map = json_object_get(index, "weight_map");
	status = open_listed(store, weight_map, err);
	if (!status)
		status = index_tensors(store, err);
	if (!status)
		status = check_index(store, weight_map, err);
	json_decref(index);
	return status;
}

static enum sc_status open_single(struct hf_store *store, struct error *err)
{
	enum sc_status status = allocate_files(store, 1, err);

	if (!status)
		status = open_file(store, SINGLE_FILE, err);
	return status ? status : index_tensors(store, err);
}

/* Where both are there, the transformers package takes the single file. */
static enum sc_status open_files(struct hf_store *store, struct error *err)
{
	if (folder_has(store->folder, SINGLE_FILE))
		return open_single(store, err);
	if (folder_has(store->folder, INDEX_FILE))
		return open_shards(store, err);
	return folder_lacks_weights(store->folder, err);
}

enum sc_status hf_store_open(const char *folder, const json_t *config,
			     struct hf_store **store_out, struct error *err)
{
	struct hf_store *store = calloc(1, sizeof *store);
	enum sc_status status;

	if (!store)
		return error_set(err, SC_E_NOMEM, "%s: no memory", folder);
	store->folder = folder;
	status = open_files(store, err);
	if (!status && store->n == 0)
		status = error_set(err, SC_E_FORMAT, "%s: expected weights, found no tensors",
				   folder);
	if (!status)
		status = scales_attach(store, config, err);
	if (status) {
		hf_store_close(store);
		return status;
	}
	store->folder = NULL;
	*store_out = store;
	return SC_OK;
}

void hf_store_close(struct hf_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->n_files; i++)
		safetensors_close(&store->files[i]);
	strmap_destroy(store->names);
	free(store->files);
	free(store->tensors);
	free(store->index_path);
	free(store);
}

const struct hf_stored *hf_store_find(const struct hf_store *store, const char *name)
{
	uint32_t i;

	return strmap_find(store->names, name, strlen(name), &i) ? store->tensors[i] : NULL;
}

struct hf_stored *store_edit(struct hf_store *store, size_t i)
{
	return store->tensors[i];
}

size_t hf_store_n(const struct hf_store *store)
{
	return store->n;
}

const struct hf_stored *hf_store_get(const struct hf_store *store, size_t i)
{
	return store->tensors[i];
}

size_t hf_store_n_files(const struct hf_store *store)
{
	return store->n_files;
}

struct gguf_part hf_store_part(const struct hf_store *store, size_t i)
{
	const struct safetensors *file = &store->files[i];

	return (struct gguf_part){ file->map.path, file->map.n_bytes, file->n };
}

enum sc_status hf_store_check(const struct hf_store *store, struct error *err)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; !status && i < store->n_files; i++)
		status = mapped_file_check(&store->files[i].map, err);
	return status;
}
