/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_STAGE_FAMILY_H
#define STAGECOACH_TESTS_STAGE_FAMILY_H
/*
 * family - for tests: the small models of tests/data/families as folders of Hugging Face. The tree
 * has configurations, shapes and logits; the weights are made by the formula of
 * tools/make_family_vectors.py. Any failure fails the test.
 */
#include "model/model.h"

#define FAMILY_PATH 512

/* Calls fn with the name of each entry, or of each folder below `folders` if that is not NULL, in
 * alphabetical order. STAGECOACH_FAMILIES (names or their beginnings, with commas) selects some. */
void family_each(const char *folders, void (*fn)(const char *name, void *arg), void *arg);

/* The logits of an entry. */
void family_reference_path(const char *name, char path_out[FAMILY_PATH]);

/* Writes the folder below a new directory in $TMPDIR or /tmp. */
void family_folder_make(const char *name, char path_out[FAMILY_PATH]);
/* Deletes it. An open model may still read its mapped files. */
void family_folder_remove(const char *path);

/* Opens a folder or a GGUF file, or fails the test. */
struct model *family_open(const char *path);

#endif
