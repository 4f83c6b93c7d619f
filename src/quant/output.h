/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_OUTPUT_H
#define STAGECOACH_QUANT_OUTPUT_H
/*
 * output - a file that appears under its name when it is complete, or not at all: until then it has
 * another name in the same directory. Where the name is a symbolic link, that is the directory of
 * the file that the link points to, and the link stays. Blocks on the disk.
 */
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct output;

/* Makes room for n_bytes. The new file has the mode, and as far as that is allowed the owner and
 * group, of a file that it replaces. SC_E_IO: no such directory, no space, a file that may not be
 * written, or something else than a regular file; or standard output goes there. Ended by one of
 * the two functions at the end. */
must_check enum sc_status output_create(const char *path, uint64_t n_bytes,
					struct output **output_out, struct error *err);

/* Thread: any, of different parts at the same time. */
must_check enum sc_status output_write(const struct output *output, uint64_t offset,
				       const void *data, size_t n_bytes, struct error *err);

/* Takes output, also when it fails; a file that was there before is replaced. When this returns
 * SC_OK the file is on the disk. So is its name, unless the directory cannot be opened or its file
 * system cannot sync one (EINVAL): then the name gets there when the kernel writes it.
 * SC_E_IO: path is as it was before; but if all that failed was syncing the directory, the new file
 * is in place already, and a crash may undo that. */
must_check enum sc_status output_commit(struct output *output, struct error *err);
/* Leaves nothing behind; accepts NULL. */
void output_abandon(struct output *output);

#endif
