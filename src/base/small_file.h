/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_SMALL_FILE_H
#define STAGECOACH_BASE_SMALL_FILE_H
/*
 * small_file - the whole of a file that a person wrote: keys, certificates.
 * Thread: any. Blocks on the disk.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

/* Adds the file's bytes to text. *is_public_out, if not NULL: users other than the owner and the
 * group may read or write the file. SC_E_NOT_FOUND, SC_E_IO: the file is missing, or cannot be read.
 * SC_E_CONFIG: it is no file, or has over max_bytes. On failure text holds nothing; bytes that were read are overwritten. */
must_check enum sc_status small_file_read(const char *path, size_t max_bytes, struct buf *text,
					  bool *is_public_out, struct error *err);

/* Overwrites and frees bytes that are secret. */
void small_file_wipe(struct buf *text);

#endif
