/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_GGUF_H
#define STAGECOACH_MODEL_GGUF_H
/*
 * gguf - reads GGUF files of version 3 (and 2, the same layout), also split in shards
 * (NAME-00001-of-00003.gguf, the first one is named). Maps the files read-only; parses nothing
 * twice. Metadata and tensor directory are copied while the file is opened; only the data of
 * tensors stays in the mapping. So whoever has read the tensors that it needs no longer depends on
 * the file. Until then a file that is cut short kills the process, as with any mapping: replace
 * model files by renaming, never by writing into them.
 * Every offset, count, length, alignment and type is checked against the file and against the
 * limits below before it is used. Errors read "FILE: offset N: expected X, found Y".
 * Thread: opening from one thread; afterwards everything is read-only and may be shared.
 * Source of the format: the GGUF specification of the ggml project, version 3.
 */
#include "base/error.h"
#include "model/tensor.h"

#define GGUF_MAX_PAIRS 65536
#define GGUF_MAX_TENSORS 65536
#define GGUF_MAX_SHARDS 1024
#define GGUF_MAX_STRING (16u << 20)
#define GGUF_MAX_ARRAY (64u << 20)	/* elements */

enum gguf_type {
	GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32,
	GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
};

/* Not NUL-terminated; may hold any bytes. */
struct gguf_string {
	const char *data;
	size_t length;
};

struct gguf;

/* SC_E_NOT_FOUND: no such file. SC_E_IO. SC_E_FORMAT: broken. SC_E_UNSUPPORTED: a version or a
 * tensor type that we do not read. Caller destroys with gguf_close. */
must_check enum sc_status gguf_open(const char *path, struct gguf **gguf_out, struct error *err);

/* As gguf_open, but tensors of any type are taken: for programs that describe a file and compute
 * nothing. tensor.type is then the number in the file, which may be no enumerator. Where
 * tensor_type_info has no block size for it, n_bytes reaches to the next tensor's data or to the
 * end of the file, and the rows cannot be read. */
must_check enum sc_status gguf_open_any_types(const char *path, struct gguf **gguf_out,
					      struct error *err);

/* The same over bytes in memory (one shard), aligned to 8, which stay the caller's until
 * gguf_close. `name` stands for the path in errors. This is what the fuzzer calls. */
must_check enum sc_status gguf_open_memory(const char *name, const void *data, size_t n_bytes,
					   struct gguf **gguf_out, struct error *err);
must_check enum sc_status gguf_open_memory_any_types(const char *name, const void *data,
						     size_t n_bytes, struct gguf **gguf_out,
						     struct error *err);
void gguf_close(struct gguf *gguf);

const char *gguf_path(const struct gguf *gguf);		/* of the first shard */
/* Of the shard that has the tensor; without such a tensor, of the first. */
const char *gguf_tensor_path(const struct gguf *gguf, const char *name);
uint64_t gguf_n_bytes(const struct gguf *gguf);		/* all shards */

/* One file of the model; i < gguf_n_files. path borrows from gguf. */
struct gguf_part {
	const char *path;
	uint64_t n_bytes;
	uint64_t n_tensors;
};
size_t gguf_n_files(const struct gguf *gguf);
struct gguf_part gguf_part(const struct gguf *gguf, size_t i);
/* path leads to one of the shards, by whatever name. */
bool gguf_is_at(const struct gguf *gguf, const char *path);

/* XXH3 of the metadata and tensor directories of all shards, not of the weights. */
uint64_t gguf_fingerprint(const struct gguf *gguf);

/* Metadata by key. The getters of numbers take any integer or float type that holds the value
 * exactly (a double is rounded to float). SC_E_NOT_FOUND: no such key. SC_E_FORMAT: another type,
 * or out of range; err names the key, what was expected and what was found. */
bool gguf_has(const struct gguf *gguf, const char *key);
must_check enum sc_status gguf_get_u32(const struct gguf *gguf, const char *key,
				       uint32_t *value_out, struct error *err);
must_check enum sc_status gguf_get_f32(const struct gguf *gguf, const char *key, float *value_out,
				       struct error *err);
must_check enum sc_status gguf_get_bool(const struct gguf *gguf, const char *key, bool *value_out,
					struct error *err);
must_check enum sc_status gguf_get_string(const struct gguf *gguf, const char *key,
					  struct gguf_string *value_out, struct error *err);

/* SC_E_FORMAT, and an error that names the key, unless the file has it. */
must_check enum sc_status gguf_require(const struct gguf *gguf, const char *key,
				       struct error *err);
/* For those who check a value further: "FILE: offset N: key 'KEY': message". Returns status. */
enum sc_status gguf_key_error(const struct gguf *gguf, const char *key, enum sc_status status,
			      struct error *err, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Key i of the first file, in file order; an empty one where it is ignored. */
size_t gguf_n_keys(const struct gguf *gguf);
struct gguf_string gguf_key(const struct gguf *gguf, size_t i);

/* From now on the file is read as if it did not have the keys of a list with commas or blanks
 * between them; keys that it does not have do no harm. Before the file is shared. The fingerprint
 * tells that keys are ignored. */
void gguf_ignore_keys(struct gguf *gguf, const char *list);

/* An array: its element type, count, and for fixed-size elements its packed bytes (unaligned). */
struct gguf_array {
	enum gguf_type type;
	size_t n;
	const void *data;
	const void *index;	/* private: where each string starts */
};
must_check enum sc_status gguf_get_array(const struct gguf *gguf, const char *key,
					 struct gguf_array *array_out, struct error *err);
/* Element i of an array of strings; i < n. */
struct gguf_string gguf_array_string(const struct gguf_array *array, size_t i);
/* Element i of an array of numbers, converted; i < n. */
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
/* NULL: none of that name. */
const struct tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

#endif
