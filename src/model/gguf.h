/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_GGUF_H
#define STAGECOACH_MODEL_GGUF_H
/*
 * gguf - reads GGUF files of version 3 (and 2, which has the same layout), also models split into
 * shards (NAME-00001-of-00003.gguf; the caller names the first).
 * - The files are mapped read-only. Metadata and the tensor directory are copied at opening; only
 *   tensor data stays in the mapping. The file is needed only while tensors are read: when a stage
 *   loads layers.
 * - Shortening a file while tensors are read kills the process (SIGBUS), as with any mapping.
 *   Replace model files by renaming; never write into them.
 * - Every offset, count, length, alignment and type is checked against the file and against the
 *   limits below before it is used. Errors read "FILE: offset N: expected X, found Y".
 * Thread: one thread opens; afterwards everything is read-only and may be shared.
 * Source of the format: the GGUF specification of the ggml project, version 3.
 */
#include "base/error.h"
#include "model/tensor.h"

#include <string.h>

#define GGUF_MAX_PAIRS 65536
#define GGUF_MAX_TENSORS 65536
#define GGUF_MAX_SHARDS 1024
#define GGUF_MAX_STRING (16u << 20)
#define GGUF_MAX_ARRAY (64u << 20)	/* elements */

enum gguf_type {
	GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32,
	GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
};

/* Not NUL-terminated. May contain any bytes. */
struct gguf_string {
	const char *data;
	size_t length;
};

static inline bool gguf_string_equals(struct gguf_string a, struct gguf_string b)
{
	return a.length == b.length && (!a.length || !memcmp(a.data, b.data, a.length));
}

static inline bool gguf_string_is(struct gguf_string string, const char *text)
{
	return gguf_string_equals(string, (struct gguf_string){ text, strlen(text) });
}

struct gguf;

/* Opens a model. The caller closes it with gguf_close. SC_E_NOT_FOUND: no such file. SC_E_IO: it
 * cannot be read. SC_E_FORMAT: it is malformed. SC_E_UNSUPPORTED: an unsupported version or tensor
 * type. */
must_check enum sc_status gguf_open(const char *path, struct gguf **gguf_out, struct error *err);

/* As gguf_open, but accepts tensors of any type. For programs that describe a file and compute
 * nothing. tensor.type is then the number in the file, which may be no enumerator. If
 * tensor_type_info has no block size for the type, n_bytes extends to the next tensor's data or to
 * the end of the file, and the rows cannot be read. */
must_check enum sc_status gguf_open_any_types(const char *path, struct gguf **gguf_out,
					      struct error *err);

/* Opens a model of one shard in memory, aligned to 8 bytes. Borrows data until gguf_close. Errors
 * use `name` in place of a path. The fuzz target calls this. */
must_check enum sc_status gguf_open_memory(const char *name, const void *data, size_t n_bytes,
					   struct gguf **gguf_out, struct error *err);
must_check enum sc_status gguf_open_memory_any_types(const char *name, const void *data,
						     size_t n_bytes, struct gguf **gguf_out,
						     struct error *err);
void gguf_close(struct gguf *gguf);

const char *gguf_path(const struct gguf *gguf);		/* of the first shard */
/* The path of the shard that contains the tensor, or of the first shard if there is no such
 * tensor. */
const char *gguf_tensor_path(const struct gguf *gguf, const char *name);
uint64_t gguf_n_bytes(const struct gguf *gguf);		/* all shards */

/* One file of the model; i < gguf_n_files. path borrows from gguf. */
struct gguf_part {
	const char *path;
	uint64_t n_bytes;
	uint64_t n_tensors;
};
size_t gguf_n_files(const struct gguf *gguf);	/* with weights */
struct gguf_part gguf_part(const struct gguf *gguf, size_t i);

/* The weights of a head that was built in memory (gguf_head.h). */
struct tensor_source;
struct gguf_body {
	const struct tensor_source *const *sources;	/* one per tensor, in the head's order */
	const struct gguf_part *parts;			/* [n_parts] the files with weights */
	size_t n_parts;
	/* As gguf_check_unchanged. NULL: nothing can change. */
	enum sc_status (*check)(const void *arg, struct error *err);
	void (*release)(void *arg);	/* may be NULL */
	void *arg;
};
/* Opens a head with its body as if they were a file at `path`, which errors name. Copies head,
 * parts and the array of sources. Sources and paths of parts must live until gguf_close, which
 * calls release(arg). A failure calls it, too. Statuses as gguf_open. */
struct gguf_head;
must_check enum sc_status gguf_open_head(const char *path, const struct gguf_head *head,
					 const struct gguf_body *body, struct gguf **gguf_out,
					 struct error *err);

/* Returns true if path names the same file as one of the shards, under any name. */
bool gguf_is_at(const struct gguf *gguf, const char *path);

/* Call it before weights are read. SC_E_IO: a file was written to or cut since it was opened; err
 * names it. A file that was deleted or replaced by another is no error, because the mapping still
 * shows the old one. */
must_check enum sc_status gguf_check_unchanged(const struct gguf *gguf, struct error *err);

/* XXH3 of the metadata and tensor directories of all shards, not of the weights. */
uint64_t gguf_fingerprint(const struct gguf *gguf);

/* Metadata by key. The getters of numbers accept every integer or float type whose value fits
 * exactly (a double is rounded to float). SC_E_NOT_FOUND: no such key. SC_E_FORMAT: wrong type or
 * out of range; err names the key, what was expected and what was found. */
bool gguf_has(const struct gguf *gguf, const char *key);
must_check enum sc_status gguf_get_u32(const struct gguf *gguf, const char *key,
				       uint32_t *value_out, struct error *err);
must_check enum sc_status gguf_get_f32(const struct gguf *gguf, const char *key, float *value_out,
				       struct error *err);
must_check enum sc_status gguf_get_bool(const struct gguf *gguf, const char *key, bool *value_out,
					struct error *err);
must_check enum sc_status gguf_get_string(const struct gguf *gguf, const char *key,
					  struct gguf_string *value_out, struct error *err);

/* SC_E_FORMAT, with an error that names the key: the file does not have it. */
must_check enum sc_status gguf_require(const struct gguf *gguf, const char *key,
				       struct error *err);
/* Makes the error "FILE: offset N: key 'KEY': message" for callers that check a value further.
 * Returns status. */
enum sc_status gguf_key_error(const struct gguf *gguf, const char *key, enum sc_status status,
			      struct error *err, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Key i of the first file, in file order. The result is empty if the key is ignored. */
size_t gguf_n_keys(const struct gguf *gguf);
struct gguf_string gguf_key(const struct gguf *gguf, size_t i);

/* Ignores keys: from now on the file is read as if it did not have them. list holds names separated
 * by commas or blanks; unknown names have no effect. Call it before the file is shared between
 * threads. Ignored keys change the fingerprint. */
void gguf_ignore_keys(struct gguf *gguf, const char *list);
/* Whether the file has this key of n characters and it is ignored. */
bool gguf_ignores(const struct gguf *gguf, const char *key, size_t n);

/* An array: its element type, its count and, for elements of fixed size, its packed (unaligned)
 * bytes. */
struct gguf_array {
	enum gguf_type type;
	size_t n;
	const void *data;
	const void *index;	/* private: where each string starts */
};
must_check enum sc_status gguf_get_array(const struct gguf *gguf, const char *key,
					 struct gguf_array *array_out, struct error *err);
/* String i of an array of strings; i must be below n. */
struct gguf_string gguf_array_string(const struct gguf_array *array, size_t i);
/* Number i of an array of numbers, converted to double; i must be below n. */
double gguf_array_number(const struct gguf_array *array, size_t i);

/* The same without loss. A bool is 0 or 1. */
struct gguf_number {
	bool is_float;
	bool is_negative;	/* of integers */
	uint64_t magnitude;	/* likewise */
	double real;		/* the value, for floats exactly */
};
struct gguf_number gguf_array_exact(const struct gguf_array *array, size_t i);

/* The value of key i, as an array: a value that is no array is an array of one. */
struct gguf_array gguf_value(const struct gguf *gguf, size_t i, bool *is_array_out);
/* "u32", "string", ... */
const char *gguf_type_name(enum gguf_type type);

/* Tensors of all shards, in file order. */
size_t gguf_n_tensors(const struct gguf *gguf);
const struct tensor *gguf_tensor(const struct gguf *gguf, size_t i);
/* The number of a tensor of this file. */
size_t gguf_tensor_number(const struct gguf *gguf, const struct tensor *tensor);
/* Returns NULL if there is no tensor of that name. */
const struct tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

#endif
