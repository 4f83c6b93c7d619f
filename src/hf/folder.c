/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/folder.h"

#include "hf/hf.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *folder_path(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

bool folder_has(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	const int n = snprintf(path, sizeof path, "%s/%s", folder, name);

	return n > 0 && (size_t)n < sizeof path && lstat(path, &st) == 0;
}

bool hf_is_file_of(const char *folder, const char *path)
{
	DIR *directory = opendir(folder);
	struct stat wanted, st;
	struct dirent *entry;
	bool is_there = false;

	if (directory && !stat(path, &wanted))
		while (!is_there && (entry = readdir(directory)))
			is_there = fnmatch("*.gguf", entry->d_name, 0) &&
				   !fstatat(dirfd(directory), entry->d_name, &st, 0) &&
				   st.st_dev == wanted.st_dev && st.st_ino == wanted.st_ino;
	if (directory)
		closedir(directory);
	return is_there;
}

/* --- mapping --- */

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static enum sc_status refuse_pointer(const struct mapped_file *file, struct error *err)
{
	static const char start[] = "version https://git-lfs";
	const size_t n = sizeof start - 1;

	if (file->n_bytes < n || memcmp(file->data, start, n))
		return SC_OK;
	return error_set(err, SC_E_FORMAT, "%s: expected a file, found a pointer of Git LFS to it: "
			 "run 'git lfs pull' in the repository, or download the file",
			 file->path);
}

enum sc_status folder_map(const char *path, const char *what, struct mapped_file *file_out,
			  struct error *err)
{
	struct mapped_file file;
	enum sc_status status = mapped_file_open(path, what, &file, err);

	if (status == SC_E_NOT_FOUND && is_link(path))
		return error_set(err, status, "%s: expected %s, found a link to a file that is "
				 "missing: was a download interrupted? Download the model again",
				 path, what);
	if (status)
		return status;
	status = refuse_pointer(&file, err);
	if (status)
		mapped_file_close(&file);
	else
		*file_out = file;
	return status;
}

enum sc_status folder_map_name(const char *folder, const char *name, const char *what,
			       struct mapped_file *file_out, struct error *err)
{
	char *path = folder_path(folder, name);
	enum sc_status status;

	if (!path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", folder);
	status = folder_map(path, what, file_out, err);
	free(path);
	return status;
}

/* --- what is there instead --- */

/* The least name in the folder that matches a pattern; empty: none. */
struct found {
	char name[256];
};

static struct found find(const char *folder, const char *pattern)
{
	struct found found = { "" };
	DIR *directory = opendir(folder);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (!fnmatch(pattern, entry->d_name, FNM_PERIOD) &&
		    (!found.name[0] || strcmp(entry->d_name, found.name) < 0))
			snprintf(found.name, sizeof found.name, "%s", entry->d_name);
	if (directory)
		closedir(directory);
	return found;
}

/* A form of weights that is not read. */
struct other_form {
	const char *pattern;
	enum sc_status status;
	const char *advice;	/* what it is and what to do */
};

#define PICKLED "pickled weights, which are never read, because loading a pickle runs the code " \
	"in it. Where they are trusted, convert them in Python: AutoModelForCausalLM." \
	"from_pretrained(DIR).save_pretrained(NEW_DIR, safe_serialization=True)"
#define FOREIGN "weights of another framework: download the model's *.safetensors"

static const struct other_form other_forms[] = {
	{ "*-of-*.safetensors", SC_E_NOT_FOUND,
	  "a part of the weights: download model.safetensors.index.json, which lists the parts" },
	{ "adapter_model.safetensors", SC_E_UNSUPPORTED,
	  "an adapter: merge it into its model (merge_and_unload of the peft package)" },
	{ "*.safetensors", SC_E_UNSUPPORTED,
	  "weights under another name: if they are the model's, link them to model.safetensors" },
	{ "*.bin", SC_E_UNSUPPORTED, PICKLED },
	{ "*.pt", SC_E_UNSUPPORTED, PICKLED },
	{ "*.pth", SC_E_UNSUPPORTED, PICKLED },
	{ "*.pkl", SC_E_UNSUPPORTED, PICKLED },
	{ "*.ckpt*", SC_E_UNSUPPORTED, FOREIGN },
	{ "*.h5", SC_E_UNSUPPORTED, FOREIGN },
	{ "*.msgpack", SC_E_UNSUPPORTED, FOREIGN },
	{ "*.onnx", SC_E_UNSUPPORTED, FOREIGN },
};

const char *folder_other_form(const char *path)
{
	for (size_t i = 0; i < sizeof other_forms / sizeof other_forms[0]; i++)
		if (!fnmatch(other_forms[i].pattern, path, 0))
			return other_forms[i].advice;
	return NULL;
}

#define EXPECTED_WEIGHTS "model.safetensors or model.safetensors.index.json"

/* SC_OK: there is none. */
static enum sc_status name_gguf(const char *folder, const char *expected, struct error *err)
{
	const struct found found = find(folder, "*.gguf");

	if (!found.name[0])
		return SC_OK;
	return error_set(err, SC_E_UNSUPPORTED, "%s: expected %s, found %s, which is a model in one "
			 "file: give that file: -m '%s/%s'", folder, expected, found.name, folder,
			 found.name);
}

enum sc_status folder_lacks_weights(const char *folder, struct error *err)
{
	enum sc_status status;

	for (size_t i = 0; i < sizeof other_forms / sizeof other_forms[0]; i++) {
		const struct other_form *form = &other_forms[i];
		const struct found found = find(folder, form->pattern);

		if (found.name[0])
			return error_set(err, form->status, "%s: expected " EXPECTED_WEIGHTS
					 ", found %s: %s", folder, found.name, form->advice);
	}
	status = name_gguf(folder, EXPECTED_WEIGHTS, err);
	return status ? status
		      : error_set(err, SC_E_NOT_FOUND, "%s: expected " EXPECTED_WEIGHTS ", found no "
				  "weights: download the model's *.safetensors into the folder",
				  folder);
}

/* A folder of the cache of the hub's tools, which has the model's folder two levels below. */
static enum sc_status name_snapshot(const char *folder, struct error *err)
{
	char *path = folder_path(folder, "snapshots");
	const struct found found = path ? find(path, "*") : (struct found){ "" };

	free(path);
	if (!found.name[0])
		return SC_OK;
	return error_set(err, SC_E_NOT_FOUND, "%s: expected config.json, found the cache of a model: "
			 "give a folder in it: -m '%s/snapshots/%s'", folder, folder, found.name);
}

enum sc_status folder_lacks_config(const char *folder, struct error *err)
{
	enum sc_status status;

	if (access(folder, X_OK))
		return error_errno(err, SC_E_IO, errno, "%s: cannot open", folder);
	status = name_gguf(folder, "config.json", err);
	if (!status)
		status = name_snapshot(folder, err);
	if (status)
		return status;
	if (folder_has(folder, "adapter_config.json"))
		return error_set(err, SC_E_UNSUPPORTED, "%s: expected config.json, found an adapter: "
				 "merge it into its model (merge_and_unload of the peft package)",
				 folder);
	if (folder_has(folder, "params.json"))
		return error_set(err, SC_E_UNSUPPORTED, "%s: expected config.json, found params.json, "
				 "the model in its maker's own format: download it in the format "
				 "of the transformers package", folder);
	if (find(folder, "*.safetensors").name[0] || folder_has(folder, "tokenizer.json"))
		return error_set(err, SC_E_NOT_FOUND, "%s: expected config.json, found none: "
				 "download it into the folder", folder);
	return error_set(err, SC_E_NOT_FOUND, "%s: expected config.json, found none: is this the "
			 "folder of a model?", folder);
}
