/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/coordinator/step_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct step_sim sim;

static void create(const struct scheduler_config *config)
{
	struct error err;

	assert_true(config->window <= SIM_MAX_WINDOW && config->limits.max_rows <= SIM_MAX_ROWS);
	sim.config = *config;
	sim.stage = stage_checker_create(&config->limits);
	if (scheduler_create(config, &sim.scheduler, &err) != SC_OK)
		fail_msg("%s", err.text);
}

void step_sim_start(const struct scheduler_config *config)
{
	sim = (struct step_sim){ .n_steps = 0 };
	for (uint32_t i = 0; i < SIM_MAX_CLIENTS; i++)
		share_client_init(&sim.clients[i]);
	create(config);
}

void step_sim_stop(void)
{
	scheduler_destroy(sim.scheduler);
	stage_checker_destroy(sim.stage);
}

void step_sim_replace(const struct scheduler_config *config)
{
	step_sim_stop();
	sim.n_steps = sim.n_flights = sim.first = 0;
	create(config);
}

struct sim_flight *step_sim_make(void)
{
	struct sim_flight *flight = &sim.flights[(sim.first + sim.n_flights) % sim.config.window];

	if (!scheduler_next(sim.scheduler, sim.now_ns, &sim.step))
		return NULL;
	assert_int_equal(sim.step.id, ++sim.n_steps);
	stage_checker_run(sim.stage, &sim.step, flight->records, flight->tops, &flight->tokens);
	sim.n_flights++;
	return flight;
}

void step_sim_answer(scheduler_token_fn *fn)
{
	struct error err;

	assert_true(sim.n_flights > 0);
	if (scheduler_take(sim.scheduler, sim.now_ns, &sim.flights[sim.first].tokens, fn, NULL,
			   &err) != SC_OK)
		fail_msg("%s", err.text);
	sim.first = (sim.first + 1) % sim.config.window;
	sim.n_flights--;
}
