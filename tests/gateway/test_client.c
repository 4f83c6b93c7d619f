/* SPDX-License-Identifier: Apache-2.0 */
/* The client where the server is none, and what it makes of messages and addresses. */
#include "cli/client.h"
#include "cli/client_json.h"
#include "cli/event_printer.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

/* A server for one client: reads once, says something, closes. */
struct impostor {
	char directory[64];
	char path[80];
	const char *words;	/* NULL: it says nothing, and does not close either */
	int fd;
	pthread_t thread;
};

static void *pretend(void *arg)
{
	struct impostor *impostor = arg;
	char bytes[4096];
	int fd = accept(impostor->fd, NULL, NULL);

	if (fd < 0)
		return NULL;
	(void)!read(fd, bytes, sizeof bytes);
	if (impostor->words) {
		(void)!write(fd, impostor->words, strlen(impostor->words));
		shutdown(fd, SHUT_WR);
	}
	/* What still comes is taken, so that closing does not reset the connection. */
	while (read(fd, bytes, sizeof bytes) > 0)
		;
	close(fd);
	return NULL;
}

static void start(struct impostor *impostor, const char *words)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	impostor->words = words;
	snprintf(impostor->directory, sizeof impostor->directory, "/tmp/stagecoach-test-XXXXXX");
	assert_non_null(mkdtemp(impostor->directory));
	snprintf(impostor->path, sizeof impostor->path, "%s/socket", impostor->directory);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", impostor->path);
	impostor->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(impostor->fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(impostor->fd, 1), 0);
	assert_int_equal(pthread_create(&impostor->thread, NULL, pretend, impostor), 0);
}

static void stop(struct impostor *impostor)
{
	pthread_join(impostor->thread, NULL);
	close(impostor->fd);
	unlink(impostor->path);
	rmdir(impostor->directory);
}

static enum sc_status ask_for(uint64_t silence_ms, const char *path, struct error *err)
{
	Stagecoach__V1__GetStatusRequest request = STAGECOACH__V1__GET_STATUS_REQUEST__INIT;
	struct client_target target = { .socket = path, .silence_ms = silence_ms };
	struct client *client = NULL;
	ProtobufCMessage *answer = NULL;
	enum sc_status status = client_target_choose(&target, err);

	if (status == SC_OK)
		status = client_open(&target, &client, err);
	if (status == SC_OK)
		status = client_ask(client, "GetStatus", &request.base, 0,
				    &stagecoach__v1__status__descriptor, &answer, err);
	client_close(client);
	return status;
}

static enum sc_status ask(const char *path, struct error *err)
{
	return ask_for(0, path, err);
}

/* It takes everything, pings among it, and answers nothing: so do hosts that are gone. */
static void a_server_without_a_sign_of_life_is_given_up(void **state)
{
	struct impostor impostor;
	struct error err;

	(void)state;
	start(&impostor, NULL);
	assert_int_equal(ask_for(50, impostor.path, &err), SC_E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "/socket: no sign of life for "));
	stop(&impostor);
}

static void a_server_that_hangs_up_is_said_to(void **state)
{
	struct impostor impostor;
	struct error err;

	(void)state;
	start(&impostor, "");
	assert_int_equal(ask(impostor.path, &err), SC_E_CLOSED);
	assert_non_null(strstr(err.text, "/socket: the server closed the connection"));
	stop(&impostor);
}

static void a_server_of_another_protocol_is_recognised(void **state)
{
	struct impostor impostor;
	struct error err;

	(void)state;
	start(&impostor, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(ask(impostor.path, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "/socket: what answers there is no gRPC server"));
	stop(&impostor);
}

static void a_missing_server_is_named(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(ask("/nonexistent/socket", &err), SC_E_UNAVAILABLE);
	assert_string_equal(err.text,
			    "no server at /nonexistent/socket: No such file or directory");
}

/* The name of the server that generate with these flags asks, in place of its own. */
static void expect_target(const char *expected, const char *const *words)
{
	char *argv[8] = { (char *)"generate" };
	struct client_target target;
	struct config config;
	struct error err;
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	assert_int_equal(config_load(&config, PROGRAM_GENERATE, NULL, argc, argv, &err), SC_OK);
	client_target_init(&target, &config);
	assert_int_equal(client_target_choose(&target, &err), SC_OK);
	assert_string_equal(target.name, expected);
	assert_true(target.is_unix == (expected[0] == '/'));
	config_deinit(&config);
}

#define EXPECT_TARGET(expected, ...) \
	expect_target(expected, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static void flags_come_before_the_environment(void **state)
{
	(void)state;
	unsetenv("STAGECOACH_SOCKET");
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	setenv("STAGECOACH_PORT", "1233", 1);
	EXPECT_TARGET("127.0.0.1:1233");
	setenv("STAGECOACH_LISTEN", "localhost:1234", 1);
	EXPECT_TARGET("localhost:1234");
	setenv("STAGECOACH_SOCKET", "/some/socket", 1);
	EXPECT_TARGET("/some/socket");
	EXPECT_TARGET("127.0.0.1:99", "--port", "99");
	EXPECT_TARGET("[::1]:99", "--port", "99", "--host", "::1");
	EXPECT_TARGET("[::1]:1233", "--host", "::1");
	EXPECT_TARGET("nowhere:5", "--listen", "nowhere:5");
	EXPECT_TARGET("/another/socket", "--port", "99", "--socket", "/another/socket");
	unsetenv("STAGECOACH_SOCKET");
	setenv("STAGECOACH_LISTEN", "none", 1);
	EXPECT_TARGET("127.0.0.1:1233");
	unsetenv("STAGECOACH_LISTEN");
	unsetenv("STAGECOACH_PORT");
}

static void an_address_that_makes_no_sense_is_refused(void **state)
{
	struct client_target target = { .listen = "nowhere" };
	struct error err;

	(void)state;
	assert_int_equal(client_target_choose(&target, &err), SC_E_INVALID);
}

static void expect_json(const ProtobufCMessage *message, const char *expected)
{
	json_t *json = client_json(message);
	char *text;

	assert_non_null(json);
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

static void messages_become_json_by_their_fields(void **state)
{
	Stagecoach__V1__TokenizeResponse tokens = STAGECOACH__V1__TOKENIZE_RESPONSE__INIT;
	Stagecoach__V1__WatchRequest watch = STAGECOACH__V1__WATCH_REQUEST__INIT;
	Stagecoach__V1__Started started = STAGECOACH__V1__STARTED__INIT;
	Stagecoach__V1__JobError error = STAGECOACH__V1__JOB_ERROR__INIT;
	Stagecoach__V1__Token token = STAGECOACH__V1__TOKEN__INIT;
	Stagecoach__V1__JobState states[] = {
		STAGECOACH__V1__JOB_STATE__JOB_STATE_DONE,
		(Stagecoach__V1__JobState)99,
	};
	Stagecoach__V1__ListRequest list = STAGECOACH__V1__LIST_REQUEST__INIT;
	char quoted[] = "\"\n\xc3\xa4";

	(void)state;
	tokens.ids = (uint32_t[]){ 1, UINT32_MAX };
	tokens.n_ids = 2;
	tokens.pieces = (ProtobufCBinaryData[]){ { 2, (uint8_t[]){ 0x0a, 0xff } }, { 0, NULL } };
	tokens.n_pieces = 2;
	expect_json(&tokens.base, "{\"ids\":[1,4294967295],\"pieces\":[\"0aff\",\"\"]}");
	expect_json(&watch.base, "{\"id\":\"\",\"from_now\":false,\"prompt_progress\":false}");
	started.seed = UINT64_MAX;
	expect_json(&started.base, "{\"job_id\":\"\",\"n_prompt_tokens\":0,\"n_sequences\":0,"
		    "\"seed\":\"18446744073709551615\",\"warnings\":[]}");
	error.message = quoted;
	expect_json(&error.base, "{\"code\":0,\"message\":\"\\\"\\n\xc3\xa4\"}");
	expect_json(&token.base, "{\"sequence\":0,\"id\":0,\"text\":\"\",\"top\":[]}");
	token._logprob_case = STAGECOACH__V1__TOKEN___LOGPROB_LOGPROB;
	token.logprob = -INFINITY;
	expect_json(&token.base, "{\"sequence\":0,\"id\":0,\"text\":\"\",\"logprob\":null,"
		    "\"top\":[]}");
	list.states = states;
	list.n_states = 2;
	expect_json(&list.base, "{\"limit\":0,\"states\":[\"done\",\"?\"]}");
}

/* Give the printer the end of n sequences with these reasons, each of one token. */
static void print_end(struct event_printer *printer, const Stagecoach__V1__FinishReason *reasons,
		      size_t n)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Finished finished = STAGECOACH__V1__FINISHED__INIT;
	Stagecoach__V1__SequenceEnd ends[4], *list[4];
	struct error err;

	for (size_t i = 0; i < n; i++) {
		stagecoach__v1__sequence_end__init(&ends[i]);
		ends[i].sequence = (uint32_t)i;
		ends[i].n_tokens = 1;
		ends[i].reason = reasons[i];
		list[i] = &ends[i];
	}
	finished.sequences = list;
	finished.n_sequences = n;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED;
	event.finished = &finished;
	assert_int_equal(event_printer_add(printer, &event, &err), SC_OK);
}

static void print_token(struct event_printer *printer, uint32_t sequence, const char *text)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Token token = STAGECOACH__V1__TOKEN__INIT;
	struct error err;

	token.sequence = sequence;
	token.text = (char *)(uintptr_t)text;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN;
	event.token = &token;
	assert_int_equal(event_printer_add(printer, &event, &err), SC_OK);
}

static enum sc_status print_start(struct event_printer *printer, uint32_t n_sequences)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Started started = STAGECOACH__V1__STARTED__INIT;
	struct error err;

	started.n_prompt_tokens = 7;
	started.n_sequences = n_sequences;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED;
	event.started = &started;
	return event_printer_add(printer, &event, &err);
}

static void every_reason_to_stop_has_its_words(void **state)
{
	static const struct {
		Stagecoach__V1__FinishReason reason;
		const char *words;
	} rows[] = {
		{ STAGECOACH__V1__FINISH_REASON__FINISH_REASON_STOP,
		  "stopped: an end token or a stop string" },
		{ STAGECOACH__V1__FINISH_REASON__FINISH_REASON_LENGTH,
		  "stopped: the limit of 1 new token (-n)" },
		{ STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CONTEXT,
		  "stopped: the context is full (prompt tokens: 7, new tokens: 1); "
		  "raise --ctx-size for more" },
		{ STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CANCELLED, "" },
		{ STAGECOACH__V1__FINISH_REASON__FINISH_REASON_ERROR, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct event_printer printer;

		event_printer_init(&printer, false);
		assert_int_equal(print_start(&printer, 1), SC_OK);
		print_token(&printer, 0, "text");
		assert_string_equal(printer.out.data, "text");
		print_end(&printer, &rows[i].reason, 1);
		assert_string_equal(printer.out.data, "text\n");
		assert_string_equal(printer.stopped, rows[i].words);
		event_printer_deinit(&printer);
	}
}

static void reasons_of_several_sequences_are_counted(void **state)
{
	static const Stagecoach__V1__FinishReason reasons[] = {
		STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CONTEXT,
		STAGECOACH__V1__FINISH_REASON__FINISH_REASON_STOP,
		STAGECOACH__V1__FINISH_REASON__FINISH_REASON_STOP,
	};
	struct event_printer printer;

	(void)state;
	event_printer_init(&printer, false);
	assert_int_equal(print_start(&printer, 3), SC_OK);
	print_token(&printer, 2, "c");
	print_token(&printer, 0, "a\n");
	print_end(&printer, reasons, 3);
	assert_string_equal(printer.out.data, "[0] a\n[2] c\n");
	assert_non_null(strstr(printer.stopped, "an end token or a stop string: 2 sequences; "));
	assert_non_null(strstr(printer.stopped, "the context is full"));
	assert_non_null(strstr(printer.stopped, ": 1 sequence"));
	event_printer_deinit(&printer);
}

static void lines_of_several_sequences_come_when_they_are_whole(void **state)
{
	struct event_printer printer;
	struct error err;

	(void)state;
	event_printer_init(&printer, false);
	assert_int_equal(print_start(&printer, 2), SC_OK);
	print_token(&printer, 0, "to be");
	print_token(&printer, 1, "or");
	assert_int_equal(printer.out.length, 0);
	print_token(&printer, 1, " not\n\nto");
	assert_string_equal(printer.out.data, "[1] or not\n[1] \n");
	print_token(&printer, 0, "\n");
	assert_string_equal(printer.out.data, "[1] or not\n[1] \n[0] to be\n");
	/* A job that is given up leaves nothing out, and says nothing twice. */
	assert_int_equal(event_printer_end(&printer, &err), SC_OK);
	assert_int_equal(event_printer_end(&printer, &err), SC_OK);
	assert_string_equal(printer.out.data, "[1] or not\n[1] \n[0] to be\n[1] to\n");
	event_printer_deinit(&printer);
}

static void how_far_a_prompt_is_does_not_go_to_standard_output(void **state)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__PromptProgress progress = STAGECOACH__V1__PROMPT_PROGRESS__INIT;
	struct event_printer printer;
	struct error err;

	(void)state;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_PROMPT_PROGRESS;
	event.prompt_progress = &progress;
	for (int is_json = 0; is_json < 2; is_json++) {
		event_printer_init(&printer, is_json);
		assert_int_equal(event_printer_add(&printer, &event, &err), SC_OK);
		assert_int_equal(printer.out.length, 0);
		event_printer_deinit(&printer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_several_sequences_come_when_they_are_whole),
		cmocka_unit_test(how_far_a_prompt_is_does_not_go_to_standard_output),
		cmocka_unit_test(a_server_without_a_sign_of_life_is_given_up),
		cmocka_unit_test(a_server_that_hangs_up_is_said_to),
		cmocka_unit_test(a_server_of_another_protocol_is_recognised),
		cmocka_unit_test(a_missing_server_is_named),
		cmocka_unit_test(flags_come_before_the_environment),
		cmocka_unit_test(an_address_that_makes_no_sense_is_refused),
		cmocka_unit_test(messages_become_json_by_their_fields),
		cmocka_unit_test(every_reason_to_stop_has_its_words),
		cmocka_unit_test(reasons_of_several_sequences_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
