/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_PUBLIC_VOCABS_H
#define STAGECOACH_TESTS_MODEL_PUBLIC_VOCABS_H
/*
 * public_vocabs - the vocabularies of public models, as GGUF files in $SHARED_DIR/vocabs (without
 * the variable, ../shared/vocabs).
 */
#include <stdbool.h>

/* Call visit with the path of each. False: there is no such folder. */
bool public_vocabs_each(void (*visit)(const char *path));

#endif
