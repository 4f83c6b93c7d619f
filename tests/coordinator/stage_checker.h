/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_STAGE_CHECKER_H
#define STAGECOACH_TESTS_COORDINATOR_STAGE_CHECKER_H
/*
 * stage_checker - what a stage makes of a stream of steps, without computing: each step goes
 * through its wire form and the stage's own tables of slots and blocks, and the test fails at the
 * first that a stage would refuse. In each group the rows write where they are to the blocks, and
 * then every position that a row may see must be in its place: all positions where tables hold
 * whole contexts, else as long a window as rings of that length are for. Then it draws tokens that
 * depend on the sequence's seed and the position alone, as a stage does.
 */
#include "wire/step.h"

struct stage_checker;

/* Adds up to n groups of rings of random lengths, behind or before group 0 or both, to limits that
 * have that one group. Their pools have a few rings more than one. draw(n) gives a number below
 * n. */
void stage_checker_add_rings(struct step_limits *limits, uint32_t n,
			     uint32_t (*draw)(uint32_t below));

struct stage_checker *stage_checker_create(const struct step_limits *limits);
void stage_checker_destroy(struct stage_checker *checker);

/* Runs step and fills in tokens_out but for its arrays, which have room for any answer. */
void stage_checker_run(struct stage_checker *checker, const struct step *step,
		       struct token_record *records, struct token_top *tops,
		       struct tokens *tokens_out);

/* The k-th likeliest token at position. */
struct token_top stage_checker_top(uint32_t position, uint32_t k);

/* The token that a sequence of that seed has at position. */
uint32_t stage_checker_token(uint64_t seed, uint32_t position);

#endif
