/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_fake - a gateway over the fake engine as a program, for clients from outside.
 *   serve_fake [--listen HOST:PORT] [--socket PATH] [--load MS]
 * Prints the bound address on a line of its own when it listens; "loading" for the first MS
 * milliseconds. SIGTERM drains, and it ends when no job is left, at the latest after 5 seconds.
 * SIGUSR1 loses a stage, SIGUSR2 ends the recovery.
 */
#include "tests/gateway/fake_engine.h"
#include "gateway/gateway.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct server {
	struct loop *loop;
	struct engine *engine;
	struct gateway *gateway;
	struct timer *timer;
	unsigned n_drain_ticks;
};

static void on_drain_tick(void *arg)
{
	struct server *server = arg;

	/* A little longer than the jobs take, so that their ends reach the clients. */
	if (++server->n_drain_ticks >= 100 ||
	    (server->n_drain_ticks >= 10 && fake_n_alive(server->engine) == 0))
		loop_stop(server->loop);
}

static void on_term(void *arg, int signum)
{
	struct server *server = arg;

	(void)signum;
	fake_set_phase(server->engine, COORDINATOR_DRAINING);
	gateway_drain(server->gateway);
	timer_destroy(server->timer);
	if (timer_create_on(server->loop, on_drain_tick, server, &server->timer) != SC_OK)
		abort();
	timer_start(server->timer, 50, 50);
}

static void on_loss(void *arg, int signum)
{
	struct server *server = arg;

	(void)signum;
	fake_lose(server->engine, "stage 1 (worker a): it hung up");
}

static void on_recovery(void *arg, int signum)
{
	struct server *server = arg;

	(void)signum;
	fake_recover(server->engine);
}

static void on_phase(void *arg)
{
	struct server *server = arg;

	gateway_phase_changed(server->gateway);
}

static void on_loaded(void *arg)
{
	struct server *server = arg;

	fake_set_phase(server->engine, COORDINATOR_READY);
	gateway_phase_changed(server->gateway);
}

static int serve(struct server *server, const struct gateway_config *config, unsigned load_ms)
{
	struct signal_watch *term = NULL, *loss = NULL, *recovery = NULL;
	struct error err;

	if (gateway_create(config, &server->gateway, &err) != SC_OK ||
	    signal_watch_create(server->loop, SIGTERM, on_term, server, &term, &err) != SC_OK ||
	    signal_watch_create(server->loop, SIGUSR1, on_loss, server, &loss, &err) != SC_OK ||
	    signal_watch_create(server->loop, SIGUSR2, on_recovery, server, &recovery,
				&err) != SC_OK) {
		fprintf(stderr, "serve_fake: %s\n", err.text);
		gateway_destroy(server->gateway);
		return sc_status_exit_code(err.status);
	}
	if (load_ms) {
		fake_set_phase(server->engine, COORDINATOR_LOADING);
		timer_start(server->timer, load_ms, 0);
	}
	printf("%s\n", gateway_address(server->gateway));
	fflush(stdout);
	loop_run(server->loop);
	gateway_destroy(server->gateway);
	signal_watch_destroy(term);
	signal_watch_destroy(loss);
	signal_watch_destroy(recovery);
	return 0;
}

int main(int argc, char **argv)
{
	struct gateway_config config = {
		.max_connections = 64, .max_streams = 100, .max_message = 1 << 20,
		.max_bytes = 256 << 20,
	};
	struct fake_config fake = { .token_ms = 5, .max_queue = 200 };
	struct server server = { 0 };
	unsigned load_ms = 0;
	int rc;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--listen") == 0)
			config.listen = argv[i + 1];
		else if (strcmp(argv[i], "--socket") == 0)
			config.socket_path = argv[i + 1];
		else if (strcmp(argv[i], "--load") == 0)
			load_ms = (unsigned)atoi(argv[i + 1]);
	}
	if (loop_create(&server.loop) != SC_OK)
		return 1;
	fake.loop = server.loop;
	fake.on_phase = on_phase;
	fake.arg = &server;
	server.engine = fake_create(&fake);
	if (timer_create_on(server.loop, on_loaded, &server, &server.timer) != SC_OK)
		return 1;
	config.loop = server.loop;
	config.engine = server.engine;
	/* fake_chat.c looks at no format. */
	config.chat_format = (const struct chat_format *)&"a format";
	rc = serve(&server, &config, load_ms);
	timer_destroy(server.timer);
	/* Let what closes finish, so that nothing holds a job any more. */
	loop_turn(server.loop, false);
	fake_destroy(server.engine);
	loop_destroy(server.loop);
	return rc;
}
