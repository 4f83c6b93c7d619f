/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_MAPPED_FILE_H
#define STAGECOACH_BASE_MAPPED_FILE_H
/*
 * mapped_file - a file that is mapped read-only, and whether it was written to since.
 * Shortening a mapped file kills a process that reads behind the new end (SIGBUS).
 * Thread: one opens; afterwards read-only.
 */
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct mapped_file {
	char *path;		/* owned; for errors */
	const uint8_t *data;	/* NULL: not open */
	size_t n_bytes;		/* not 0 */
	struct stat opened;	/* when it was mapped */
};

/* what: "a model file", for errors. The caller calls mapped_file_close. SC_E_NOT_FOUND: no such
 * file. SC_E_FORMAT: not a regular file, or empty. SC_E_IO: it cannot be read. SC_E_NOMEM. */
must_check enum sc_status mapped_file_open(const char *path, const char *what,
					   struct mapped_file *file_out, struct error *err);
/* SC_E_IO: the file was written to or cut since it was opened. A file that was deleted or replaced
 * by another is no error, because the mapping still shows the old one. */
must_check enum sc_status mapped_file_check(const struct mapped_file *file, struct error *err);
/* Accepts a struct of zeros. */
void mapped_file_close(struct mapped_file *file);

#endif
