/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_GGUF_FILE_H
#define STAGECOACH_MODEL_GGUF_FILE_H
/*
 * gguf_file - one file of a model in GGUF: its bytes, its metadata and its part of the tensor
 * directory. Private to gguf*.c; other code uses gguf.h.
 * Layout of a file, little-endian:
 * 1. magic "GGUF", u32 version, u64 tensor count, u64 pair count;
 * 2. the pairs: string key, u32 type, value;
 * 3. the tensor directory: string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset;
 * 4. padding to the alignment;
 * 5. the tensors' data. Offsets are relative to its start.
 * A string is a u64 length and its bytes.
 */
#include "base/bytes.h"
#include "base/mapped_file.h"
#include "model/gguf.h"
#include "model/quote.h"

#define GGUF_MAX_KEY 65535	/* in bytes, from the specification; so is the next */
#define GGUF_MAX_NAME 64
#define GGUF_MIN_ALIGNMENT 8
#define GGUF_MAX_ALIGNMENT (1u << 20)
#define GGUF_DEFAULT_ALIGNMENT 32

/* A key and its value. A single value is stored as an array of length one. */
struct gguf_pair {
	const char *key;
	size_t key_length;
	size_t offset;		/* offset of the value in the file, for errors */
	bool is_array;
	bool is_ignored;	/* treated as missing */
	struct gguf_array value;
	size_t *index;		/* owned: where each string of an array starts in value.data */
};

struct gguf_entry {
	struct tensor tensor;		/* first member, so that the tensor's
					 * address is the entry's */
	char name[GGUF_MAX_NAME + 1];	/* what tensor.name points to */
	uint64_t offset;		/* offset in the data section */
	size_t at;			/* offset of the entry in the file, for errors */
};

struct gguf_file {
	char *path;		/* owned; for errors */
	const uint8_t *data;	/* the whole file; after opening only tensors point here */
	size_t n_bytes;
	bool is_mapped;		/* data is that of map */
	struct mapped_file map;
	bool has_no_data;	/* a head that was built in memory: its tensors have sources */
	bool takes_any_type;	/* of tensors; else a type that is not supported is an error */
	uint8_t *head;		/* [header_bytes], owned: the copy that keys and values point to */
	struct cursor cursor;
	struct gguf_string context;	/* the key or tensor being read, for errors; or NULL */
	uint64_t n_pairs, n_tensors;
	struct gguf_pair *pairs;	/* [n_pairs], owned */
	struct strmap *keys;		/* key -> index of pairs, owned */
	size_t alignment;
	size_t header_bytes;		/* metadata and tensor directory, without the padding */
	size_t data_start;		/* may be beyond the end of the
					 * file if there are no tensors */
};

struct gguf {
	bool takes_any_type;		/* what all its files do */
	struct gguf_file *files;	/* [n_files], owned */
	size_t n_files;
	struct gguf_entry *entries;	/* [n_tensors], owned */
	size_t n_tensors;
	struct strmap *names;		/* tensor name -> index of entries, owned */
	struct gguf_body body;		/* of a head that was built in memory; sources is NULL */
	struct gguf_part *parts;	/* [body.n_parts], owned: what body.parts points to */
};

/* gguf_parts.c: copies parts and functions, but not release. */
must_check enum sc_status gguf_keep_body(struct gguf *gguf, const struct gguf_body *body,
					 struct error *err);

/* gguf_map.c: maps the file at path, or borrows bytes in memory. */
must_check enum sc_status gguf_file_map(struct gguf_file *file, const char *path,
					struct error *err);
must_check enum sc_status gguf_file_borrow(struct gguf_file *file, const char *name,
					   const void *data, size_t n_bytes, struct error *err);
must_check enum sc_status gguf_file_check(const struct gguf_file *file, struct error *err);
/* Accepts a zeroed file. */
void gguf_file_deinit(struct gguf_file *file);

/* gguf_metadata.c: the header and all pairs. */
must_check enum sc_status gguf_file_read_metadata(struct gguf_file *file, struct error *err);
/* Reads a string's length and bytes and moves the cursor behind it. */
must_check enum sc_status gguf_file_read_string(struct gguf_file *file, const char *what,
						uint64_t max, struct gguf_string *string_out,
						struct error *err);
const struct gguf_pair *gguf_file_find(const struct gguf_file *file, const char *key);

/* gguf_value.c: one pair's value as a number. */
must_check enum sc_status gguf_file_get_u32(const struct gguf_file *file, const char *key,
					    uint32_t *value_out, struct error *err);
size_t gguf_type_bytes(enum gguf_type type);	/* 0 for strings and arrays */

/* gguf_directory.c: reads the tensor directory into entries[file->n_tensors]. tensor.name is set
 * later, because the entries may still move. */
must_check enum sc_status gguf_file_read_directory(struct gguf_file *file,
						   struct gguf_entry *entries, struct error *err);

/* gguf_keep.c: copies the head, after the directory was read. Keys and values then point to the
 * copy. SC_E_NOMEM. SC_E_IO: the file changed in the meantime. */
must_check enum sc_status gguf_file_keep_head(struct gguf_file *file, struct error *err);

/* gguf_shards.c:
 * - gguf_shard_count: the number of files, according to the first;
 * - gguf_shard_path: the path of file i (from 0), which the caller frees;
 * - gguf_shard_check: whether a file is shard i of n;
 * - gguf_shard_check_total: whether the files have all tensors. */
must_check enum sc_status gguf_shard_count(const struct gguf_file *first, uint32_t *n_out,
					   struct error *err);
must_check enum sc_status gguf_shard_path(const struct gguf_file *first, uint32_t i, uint32_t n,
					  char **path_out, struct error *err);
must_check enum sc_status gguf_shard_check(const struct gguf_file *file, uint32_t i, uint32_t n,
					   struct error *err);
must_check enum sc_status gguf_shard_check_total(const struct gguf_file *first, size_t n_tensors,
						 struct error *err);

/* gguf_error.c: makes the error "PATH: offset N: message", with file->context, if any, before the
 * message. */
enum sc_status gguf_error(const struct gguf_file *file, size_t offset, enum sc_status status,
			  struct error *err, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The error for a read at the cursor that goes beyond the end of the file. */
enum sc_status gguf_error_short(const struct gguf_file *file, uint64_t n_bytes, const char *what,
				struct error *err);

#endif
