/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_WIRE_PRIVATE_H
#define STAGECOACH_WIRE_WIRE_PRIVATE_H
/* What the files behind step.h share: step.c (steps), sampling.c (samplings inside steps) and
 * tokens.c (answers). */
#include "wire/step.h"

#include <string.h>

#define RECORDS_ALIGNMENT 8

/* A set of slots, small enough for the stack. */
struct slot_set {
	uint64_t words[STEP_MAX_SEQUENCES / 64];
};

static inline void slot_set_init(struct slot_set *set, uint32_t n_slots)
{
	memset(set->words, 0, ((size_t)n_slots + 63) / 64 * sizeof set->words[0]);
}

static inline bool slot_set_has(const struct slot_set *set, uint32_t slot)
{
	return set->words[slot / 64] >> (slot % 64) & 1;
}

/* Adds the slot. Returns false if the set already contains it. */
static inline bool slot_set_add(struct slot_set *set, uint32_t slot)
{
	if (slot_set_has(set, slot))
		return false;
	set->words[slot / 64] |= UINT64_C(1) << (slot % 64);
	return true;
}

/* Copies n_bytes to `at`. Returns the end. */
static inline uint8_t *wire_put(uint8_t *at, const void *bytes, size_t n_bytes)
{
	if (n_bytes)
		memcpy(at, bytes, n_bytes);
	return at + n_bytes;
}

/* Checks a sampling at the start of words[n_words]. *n_words_out: words that it takes.
 * SC_E_PROTOCOL: err names the field, its value and what was expected. */
must_check enum sc_status sampling_check(const uint64_t *words, uint32_t n_words,
					 const struct step_limits *limits, uint32_t *n_words_out,
					 struct error *err);

#endif
