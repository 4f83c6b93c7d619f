/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_FOLDER_H
#define STAGECOACH_HF_FOLDER_H
/*
 * folder - the files of a model's folder, and what is said when some are missing. Private to this
 * folder of the source.
 * Thread: any.
 */
#include "base/error.h"
#include "base/mapped_file.h"

#include <stdbool.h>

/* The path of a file in a folder. The caller frees it. NULL: no memory. */
char *folder_path(const char *folder, const char *name);
bool folder_has(const char *folder, const char *name);

/* As mapped_file_open. It also explains links whose file is missing, and refuses (SC_E_FORMAT) the
 * small texts that a clone of a repository has in place of large files. */
must_check enum sc_status folder_map(const char *path, const char *what,
				     struct mapped_file *file_out, struct error *err);
/* The same for a file in the folder, and SC_E_NOMEM. */
must_check enum sc_status folder_map_name(const char *folder, const char *name, const char *what,
					  struct mapped_file *file_out, struct error *err);

/* Set err to what the folder has in place of config.json, or of weights in safetensors, and what to
 * do. Return SC_E_NOT_FOUND, SC_E_UNSUPPORTED if the weights are there in another form, or SC_E_IO
 * if the folder may not be entered. */
enum sc_status folder_lacks_config(const char *folder, struct error *err);
enum sc_status folder_lacks_weights(const char *folder, struct error *err);
/* What to do with a file of weights in a form that is not read, by its name. NULL: another file. */
const char *folder_other_form(const char *path);

#endif
