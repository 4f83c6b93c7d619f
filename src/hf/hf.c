/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/hf.h"

#include "hf/folder.h"
#include "hf/parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What lives as long as the model: the body of its head. */
struct folder {
	struct hf_tensors tensors;
	struct gguf_part *parts;	/* [hf_store_n_files], owned */
};

/* While the folder is opened. */
struct opening {
	char *path;			/* owned; without '/' at its end */
	json_t *config;			/* owned */
	const struct hf_family *family;
	struct hf_store *store;		/* owned until tensors_put succeeded */
	struct gguf_head head;
	struct folder *folder;		/* owned until the head is opened */
	struct gguf **gguf_out;
	struct error *err;
};

bool hf_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void folder_close(void *arg)
{
	struct folder *folder = arg;

	if (!folder)
		return;
	hf_tensors_deinit(&folder->tensors);
	free(folder->parts);
	free(folder);
}

static enum sc_status check_unchanged(const void *arg, struct error *err)
{
	const struct folder *folder = arg;

	return hf_store_check(folder->tensors.store, err);
}

static enum sc_status no_memory(const struct opening *o)
{
	return error_set(o->err, SC_E_NOMEM, "%s: no memory", o->path ? o->path : "model");
}

/* The last part of the path names the model, so it must not be empty. */
static enum sc_status set_path(struct opening *o, const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	o->path = strndup(path, n);
	if (!o->path)
		return no_memory(o);
	if (!hf_is_folder(o->path))
		return error_set(o->err, SC_E_NOT_FOUND, "%s: expected the folder of a model, found "
				 "no folder", o->path);
	return SC_OK;
}

static enum sc_status load_config(struct opening *o)
{
	if (!folder_has(o->path, "config.json"))
		return folder_lacks_config(o->path, o->err);
	return json_file_load(o->path, "config.json", &o->config, o->err);
}

static enum sc_status put_tensors(struct opening *o)
{
	struct folder *folder = calloc(1, sizeof *folder);
	enum sc_status status;
	size_t n;

	if (!folder)
		return no_memory(o);
	status = hf_tensors_put(o->family, o->config, o->store, &o->head, &folder->tensors, o->err);
	if (status) {
		free(folder);
		return status;
	}
	o->folder = folder;
	o->store = NULL;
	n = hf_store_n_files(folder->tensors.store);
	folder->parts = calloc(n, sizeof *folder->parts);
	if (!folder->parts)
		return no_memory(o);
	for (size_t i = 0; i < n; i++)
		folder->parts[i] = hf_store_part(folder->tensors.store, i);
	return SC_OK;
}

static struct gguf_body body_of(const struct folder *folder)
{
	return (struct gguf_body){
		.sources = folder->tensors.sources, .parts = folder->parts,
		.n_parts = hf_store_n_files(folder->tensors.store),
	};
}

/* The rows of the embedding, by the directory: config.json may leave vocab_size out. */
static enum sc_status count_vocabulary(struct opening *o, uint32_t *n_vocab_out)
{
	const struct gguf_body body = body_of(o->folder);
	const struct tensor *embedding;
	enum sc_status status;
	struct gguf *gguf;

	status = gguf_open_head(o->path, &o->head, &body, &gguf, o->err);
	if (status)
		return status;
	embedding = gguf_find_tensor(gguf, "token_embd.weight");
	if (!embedding || embedding->dims[1] > UINT32_MAX)
		status = error_set(o->err, SC_E_FORMAT, "%s: expected an embedding with a row for "
				   "each token, found %s", o->path, embedding ? "more rows than "
				   "there can be tokens" : "none");
	else
		*n_vocab_out = (uint32_t)embedding->dims[1];
	gguf_close(gguf);
	return status;
}

/* The head has everything: opens it. */
static enum sc_status open_head(struct opening *o)
{
	struct gguf_body body = body_of(o->folder);

	body.check = check_unchanged;
	body.release = folder_close;
	body.arg = o->folder;
	o->folder = NULL;
	return gguf_open_head(o->path, &o->head, &body, o->gguf_out, o->err);
}

/* The weights come last: who has an unsupported model need not download what is missing. */
static enum sc_status open_parts(struct opening *o, const char *path)
{
	enum sc_status status = set_path(o, path);
	uint32_t n_vocab = 0;

	if (!status)
		status = load_config(o);
	if (!status)
		status = hf_family_find(o->config, o->path, &o->family, o->err);
	if (!status)
		status = hf_config_put(o->family, o->config, o->path, &o->head, o->err);
	if (!status)
		status = hf_store_open(o->path, o->config, &o->store, o->err);
	if (!status)
		status = put_tensors(o);
	if (!status)
		status = count_vocabulary(o, &n_vocab);
	if (!status)
		status = hf_tokenizer_put(o->path, o->config, n_vocab, &o->head, o->err);
	return status ? status : open_head(o);
}

enum sc_status hf_open(const char *path, struct gguf **gguf_out, struct error *err)
{
	struct opening o = { .gguf_out = gguf_out, .err = err };
	enum sc_status status;

	gguf_head_init(&o.head, NULL);
	status = open_parts(&o, path);
	gguf_head_deinit(&o.head);
	folder_close(o.folder);
	hf_store_close(o.store);
	json_decref(o.config);
	free(o.path);
	return status;
}
