/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/cache.h"

#include "base/buf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_NAME = 96 };		/* of org/name, as the hub allows */

/* What a name consists of. */
struct repository {
	char id[MAX_NAME + 1];		/* "org/name" */
	char revision[MAX_NAME + 1];	/* "main" if none was given */
	char tag[MAX_NAME + 1];		/* "" */
};

static size_t word_length(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || strchr("._-", text[n] ? text[n] : '/'))
		n++;
	return n;
}

/* Copies a word of 1 to MAX_NAME characters and moves *at behind it. */
static bool take_word(const char **at, char out[MAX_NAME + 1])
{
	const size_t n = word_length(*at);

	if (!n || n > MAX_NAME || **at == '-' || **at == '.')
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n;
	return true;
}

static bool take_id(const char **at, char out[MAX_NAME + 1])
{
	char first[MAX_NAME + 1], second[MAX_NAME + 1];

	if (!take_word(at, first))
		return false;
	if (**at != '/') {
		strcpy(out, first);
		return !strstr(out, "--") && !strstr(out, "..");
	}
	++*at;
	return take_word(at, second) &&
	       snprintf(out, MAX_NAME + 1, "%s/%s", first, second) <= MAX_NAME &&
	       !strstr(out, "--") && !strstr(out, "..");
}

static bool parse(const char *name, struct repository *repository)
{
	*repository = (struct repository){ .revision = "main" };
	if (!take_id(&name, repository->id))
		return false;
	if (*name == '@') {
		name++;
		if (!take_word(&name, repository->revision))
			return false;
	}
	if (*name == ':') {
		name++;
		if (!take_word(&name, repository->tag))
			return false;
	}
	return !*name;
}

bool hf_cache_is_name(const char *name)
{
	struct repository repository;

	return parse(name, &repository);
}

void hf_cache_fetch_words(const char *name, char words_out[HF_CACHE_FETCH_BYTES])
{
	struct repository repository;

	if (!parse(name, &repository))
		words_out[0] = '\0';
	else if (!strcmp(repository.revision, "main"))
		snprintf(words_out, HF_CACHE_FETCH_BYTES, "hf download %s", repository.id);
	else
		snprintf(words_out, HF_CACHE_FETCH_BYTES, "hf download --revision %s %s",
			 repository.revision, repository.id);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Appends the cache's directory. */
static enum sc_status add_hub(struct buf *path)
{
	const char *at = variable("HF_HUB_CACHE");

	if (!at)
		at = variable("HUGGINGFACE_HUB_CACHE");
	if (at)
		return buf_add_string(path, at);
	at = variable("HF_HOME");
	if (at)
		return buf_add_format(path, "%s/hub", at);
	at = variable("XDG_CACHE_HOME");
	if (at)
		return buf_add_format(path, "%s/huggingface/hub", at);
	at = variable("HOME");
	return buf_add_format(path, "%s/.cache/huggingface/hub", at ? at : "");
}

/* Appends the model's directory: '/' becomes "--". */
static enum sc_status add_repository(struct buf *path, const struct repository *repository)
{
	const char *slash = strchr(repository->id, '/');

	if (!slash)
		return buf_add_format(path, "/models--%s", repository->id);
	return buf_add_format(path, "/models--%.*s--%s", (int)(slash - repository->id),
			      repository->id, slash + 1);
}

static bool is_there(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

/* Reads the name of the snapshot that a branch or tag points to. false: there is none. */
static bool read_ref(const char *path, char snapshot_out[MAX_NAME + 1])
{
	FILE *file = fopen(path, "re");
	bool is_read;

	if (!file)
		return false;
	is_read = fscanf(file, "%96[A-Za-z0-9._-]", snapshot_out) == 1;
	fclose(file);
	return is_read && snapshot_out[0] != '.';
}

/* Appends /snapshots/NAME. Without a ref the revision may be a snapshot's own name. */
static enum sc_status add_snapshot(struct buf *path, const struct repository *repository)
{
	const size_t length = path->length;
	char snapshot[MAX_NAME + 1];
	enum sc_status status = buf_add_format(path, "/refs/%s", repository->revision);

	if (status)
		return status;
	if (!read_ref(path->data, snapshot))
		strcpy(snapshot, repository->revision);
	buf_truncate(path, length);
	return buf_add_format(path, "/snapshots/%s", snapshot);
}

/* --- GGUF files of a snapshot --- */

/* As strstr, ignoring case. */
static bool contains(const char *text, const char *part)
{
	const size_t n = strlen(part);

	for (; strlen(text) >= n; text++)
		if (!strncasecmp(text, part, n))
			return true;
	return false;
}

/* Whether the file is a model of its own, or the first part of one, and has the tag. */
static bool is_candidate(const char *name, const char *tag)
{
	const char *end = strrchr(name, '.'), *part = strstr(name, "-of-");

	if (!end || strcmp(end, ".gguf") || !strncmp(name, "mmproj", 6) || !contains(name, tag))
		return false;
	return !part || part - name < 5 || !strncmp(part - 5, "00001", 5);
}

/* Appends the only GGUF file with the tag. */
static enum sc_status add_gguf(struct buf *path, const struct repository *repository,
			       struct error *err)
{
	char found[sizeof ((struct dirent *)0)->d_name] = "";
	enum sc_status status = SC_OK;
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir = opendir(path->data);

	if (!dir)
		return error_errno(err, SC_E_IO, errno, "%s: cannot read the folder", path->data);
	while (!status && (entry = readdir(dir))) {
		if (!is_candidate(entry->d_name, repository->tag))
			continue;
		if (n++)
			status = error_set(err, SC_E_INVALID, "%s: expected one GGUF file, found "
					   "%s and %s: choose one with %s:TAG, where TAG is a part "
					   "of its name", path->data, found, entry->d_name,
					   repository->id);
		strcpy(found, entry->d_name);
	}
	closedir(dir);
	if (status)
		return status;
	if (!n && *repository->tag)
		return error_set(err, SC_E_NOT_FOUND, "%s: found no GGUF file whose name contains "
				 "'%s'", path->data, repository->tag);
	/* A folder without either is opened as a folder, which says what it lacks. */
	return n ? buf_add_format(path, "/%s", found) : SC_OK;
}

static enum sc_status add_file(struct buf *path, const struct repository *repository,
			       struct error *err)
{
	const size_t length = path->length;
	enum sc_status status = buf_add_string(path, "/config.json");
	bool has_config = !status && is_there(path->data);

	buf_truncate(path, length);
	if (status || (has_config && !*repository->tag))
		return status;
	return add_gguf(path, repository, err);
}

static enum sc_status not_found(const char *name, const struct buf *path, struct error *err)
{
	char words[HF_CACHE_FETCH_BYTES];

	hf_cache_fetch_words(name, words);
	return error_set(err, SC_E_NOT_FOUND, "%s: expected a model file, a folder or a model in "
			 "the cache, found no %s: fetch it with '%s'", name, path->data, words);
}

enum sc_status hf_cache_find(const char *name, char **path_out, struct error *err)
{
	struct repository repository;
	struct buf path = BUF_INIT;
	enum sc_status status;

	if (!parse(name, &repository))
		return error_set(err, SC_E_NOT_FOUND, "%s: no such file or folder", name);
	status = add_hub(&path);
	if (!status)
		status = add_repository(&path, &repository);
	if (!status)
		status = add_snapshot(&path, &repository);
	if (!status && !is_there(path.data))
		status = not_found(name, &path, err);
	else if (!status)
		status = add_file(&path, &repository, err);
	if (status == SC_E_NOMEM)
		(void)error_set(err, status, "%s: no memory", name);
	if (status)
		buf_deinit(&path);
	else
		*path_out = path.data;
	return status;
}
