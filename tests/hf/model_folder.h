/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_HF_MODEL_FOLDER_H
#define STAGECOACH_TESTS_HF_MODEL_FOLDER_H
/* model_folder - a temporary folder with a model's files. Everything aborts when it fails. */
#include "base/buf.h"

struct model_folder {
	char path[64];
};

void model_folder_create(struct model_folder *folder);
/* With all that is in it. */
void model_folder_remove(struct model_folder *folder);

/* The path of a file in it; overwritten by the next call. */
const char *model_folder_path(const struct model_folder *folder, const char *name);
void model_folder_write(const struct model_folder *folder, const char *name, const void *bytes,
			size_t n_bytes);
void model_folder_write_text(const struct model_folder *folder, const char *name,
			     const char *text);
void model_folder_delete(const struct model_folder *folder, const char *name);

#endif
