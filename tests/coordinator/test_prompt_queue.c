/* SPDX-License-Identifier: Apache-2.0 */
/* In which order the rows of prompts run. */
#include "coordinator/prompt_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { N_CLIENTS = 3, N_SEQUENCES = 8 };

static struct prompt_queue queue;
static struct share_client clients[N_CLIENTS];
static struct share_job jobs[N_CLIENTS];
static struct sequence sequences[N_SEQUENCES];

static int start(void **state)
{
	(void)state;
	prompt_queue_init(&queue);
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		share_client_init(&clients[i]);
		share_job_init(&jobs[i], &clients[i]);
	}
	memset(sequences, 0, sizeof sequences);
	return 0;
}

/* Sequence `number`, which is also its ticket. */
static void add(unsigned number, unsigned client, uint32_t n_rows)
{
	sequences[number] = (struct sequence){
		.ticket = number, .share = &jobs[client], .n_tokens = n_rows,
	};
	list_init(&sequences[number].node);
	prompt_queue_add(&queue, &sequences[number]);
}

/* Run steps of at most n_rows, one sequence in each, until the queue is empty. Which sequences ran,
 * each written once for all its rows that came one after the other: "0:2048 1:30 ". */
static void check_order(uint32_t n_rows, const char *expected)
{
	struct sequence *sequence, *last = NULL;
	char order[256] = "";
	uint32_t n_run = 0;

	while ((sequence = prompt_queue_first(&queue))) {
		uint32_t n = sequence->n_tokens - sequence->n_issued;

		if (n > prompt_queue_turn_left(&queue))
			n = prompt_queue_turn_left(&queue);
		if (n > n_rows)
			n = n_rows;
		assert_true(n > 0);
		if (last && last != sequence) {
			sprintf(order + strlen(order), "%u:%u ", (unsigned)last->ticket, n_run);
			n_run = 0;
		}
		last = sequence;
		n_run += n;
		sequence->n_issued += n;
		if (sequence->n_issued == sequence->n_tokens)
			prompt_queue_remove(&queue, sequence);
		else
			prompt_queue_note_rows(&queue, n);
	}
	sprintf(order + strlen(order), "%u:%u ", (unsigned)last->ticket, n_run);
	assert_string_equal(order, expected);
}

static void prompts_of_one_client_run_in_order(void **state)
{
	(void)state;
	add(1, 0, 100);
	add(2, 0, 5000);
	add(0, 0, 20);	/* starts over */
	add(3, 0, 10);
	assert_int_equal(prompt_queue_count_rows(&queue), 5130);
	check_order(64, "0:20 1:100 2:5000 3:10 ");
}

static void clients_take_turns_of_a_whole_prompt(void **state)
{
	(void)state;
	add(0, 0, 200);
	add(1, 0, 200);
	add(2, 0, 200);
	add(3, 1, 50);
	add(4, 1, 60);
	add(5, 2, 70);
	check_order(64, "0:200 3:50 5:70 1:200 4:60 2:200 ");
}

static void a_long_prompt_gives_way_after_a_turn(void **state)
{
	(void)state;
	add(0, 0, 5000);
	add(1, 1, 30);
	add(2, 1, 40);
	add(3, 2, 3000);
	check_order(500, "0:2048 1:30 3:2048 0:2048 2:40 3:952 0:904 ");
}

/* The rows that it ran alone are not counted. */
static void a_newcomer_waits_for_one_turn_at_most(void **state)
{
	(void)state;
	add(0, 0, 9000);
	prompt_queue_note_rows(&queue, 4000);
	sequences[0].n_issued = 4000;
	add(1, 1, 30);
	check_order(100, "0:2048 1:30 0:2952 ");
}

static void whoever_leaves_ends_only_its_own_turn(void **state)
{
	(void)state;
	add(0, 0, 100);
	add(1, 1, 100);
	add(2, 2, 100);
	prompt_queue_note_rows(&queue, 50);
	prompt_queue_remove(&queue, &sequences[1]);
	assert_ptr_equal(prompt_queue_first(&queue), &sequences[0]);
	assert_int_equal(prompt_queue_turn_left(&queue), PROMPT_TURN - 50);
	prompt_queue_remove(&queue, &sequences[0]);
	assert_ptr_equal(prompt_queue_first(&queue), &sequences[2]);
	prompt_queue_remove(&queue, &sequences[2]);
	assert_null(prompt_queue_first(&queue));
	assert_int_equal(prompt_queue_count_rows(&queue), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(prompts_of_one_client_run_in_order, start),
		cmocka_unit_test_setup(clients_take_turns_of_a_whole_prompt, start),
		cmocka_unit_test_setup(a_long_prompt_gives_way_after_a_turn, start),
		cmocka_unit_test_setup(a_newcomer_waits_for_one_turn_at_most, start),
		cmocka_unit_test_setup(whoever_leaves_ends_only_its_own_turn, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
