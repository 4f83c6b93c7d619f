/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_CALL_ID_H
#define STAGECOACH_CHAT_CALL_ID_H
/*
 * call_id - ids of tool calls: nine letters and digits, because Mistral's templates refuse others.
 * The same seed and number give the same id. Private to chat. Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_ID_BYTES 9

/* A seed from a number and the prompt: ids of one conversation then differ from turn to turn. */
uint64_t call_id_seed(uint64_t number, const char *prompt, size_t n_bytes);
/* Writes the id and a NUL. */
void call_id_write(uint64_t seed, uint32_t i, char out[CALL_ID_BYTES + 1]);
bool call_id_is_plain(const char *id);

#endif
