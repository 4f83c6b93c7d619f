/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics_text.h"
#include "gateway/traffic.h"
#include "tests/gateway/fake_engine.h"
#include "tests/gateway/scrape.h"
#include "tests/model/failing_alloc.h"

#include "base/clock.h"
#include "base/process_usage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct loop *loop;
static struct engine *engine;
static struct traffic traffic;
static struct buf text;

static int set_up(void **state)
{
	(void)state;
	if (loop_create(&loop) != SC_OK)
		return 1;
	engine = fake_create(&(struct fake_config){ .loop = loop, .token_ms = 1, .max_queue = 4 });
	metrics_init(fake_metrics(engine), 100);
	traffic = (struct traffic){ .n_rows = 0 };
	buf_init(&text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_deinit(&text);
	fake_destroy(engine);
	loop_destroy(loop);
	return 0;
}

static struct scrape *scrape_as(const char *model_name)
{
	const struct metrics_source source = {
		.model_name = model_name, .engine = engine, .traffic = &traffic,
		.n_connections = 3, .max_connections = 7,
	};

	buf_truncate(&text, 0);
	assert_int_equal(metrics_write(&source, &text), SC_OK);
	return scrape_parse(text.data);
}

static void an_idle_server_has_all_families(void **state)
{
	struct scrape *s = scrape_as("m");

	(void)state;
	assert_true(scrape_n_families(s) > 80);
	assert_true(scrape_value(s, "vllm:num_requests_running{model_name=\"m\",engine=\"0\"}") == 0);
	assert_float_equal(scrape_value(s, "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\"}"),
			   1.0 - 8.0 / 64.0, 1e-12);	/* of the layers with a window */
	assert_true(scrape_sum(s, "vllm:request_success_total") == 0);
	assert_true(scrape_value(s, "stagecoach_stage_busy_seconds_total{stage=\"2\"}") == 1.5);
	assert_true(scrape_value(s, "stagecoach_connections") == 3);
	assert_true(scrape_sum(s, "stagecoach_stage_info") == 2);
	assert_true(scrape_value(s, "process_resident_memory_bytes") > 1e5);
	assert_true(scrape_value(s, "process_open_fds") > 2);
	assert_float_equal(scrape_value(s, "process_start_time_seconds"),
			   (double)clock_unix_ms() * 1e-3, 3600.0);
	scrape_free(s);
}

static void histograms_show_what_was_observed(void **state)
{
	struct metrics *m = fake_metrics(engine);
	const struct metrics_request request = { NS_PER_SECOND, 30, 8 };
	struct metrics_times times = { 0 };
	struct scrape *s;

	(void)state;
	metrics_note_started(&times, NS_PER_SECOND + 20 * NS_PER_MS);
	metrics_note_token(m, &times, &request, NS_PER_SECOND + 50 * NS_PER_MS);
	metrics_note_token(m, &times, &request, NS_PER_SECOND + 100 * NS_PER_MS);
	metrics_note_end(m, &times, &request, FINISH_STOP, NS_PER_SECOND + 100 * NS_PER_MS);
	s = scrape_as("m");
#define LABELS "model_name=\"m\",engine=\"0\""
	assert_true(scrape_value(s, "vllm:prompt_tokens_total{" LABELS "}") == 30);
	assert_true(scrape_value(s, "vllm:generation_tokens_total{" LABELS "}") == 2);
	assert_true(scrape_value(s, "vllm:request_success_total{" LABELS ",finished_reason=\"stop\"}") == 1);
	assert_true(scrape_value(s, "vllm:time_to_first_token_seconds_bucket{" LABELS ",le=\"0.04\"}") == 0);
	assert_true(scrape_value(s, "vllm:time_to_first_token_seconds_bucket{" LABELS ",le=\"0.06\"}") == 1);
	assert_true(scrape_value(s, "vllm:time_to_first_token_seconds_bucket{" LABELS ",le=\"1.0\"}") == 1);
	assert_float_equal(scrape_value(s, "vllm:time_to_first_token_seconds_sum{" LABELS "}"), 0.05, 1e-9);
	assert_true(scrape_value(s, "vllm:inter_token_latency_seconds_count{" LABELS "}") == 1);
	assert_true(scrape_value(s, "vllm:time_per_output_token_seconds_count{" LABELS "}") == 1);
	assert_true(scrape_value(s, "vllm:request_prompt_tokens_bucket{" LABELS ",le=\"20.0\"}") == 0);
	assert_true(scrape_value(s, "vllm:request_prompt_tokens_bucket{" LABELS ",le=\"50.0\"}") == 1);
	assert_true(scrape_value(s, "llamacpp:n_tokens_max") == 32);
	scrape_free(s);
}

static void names_of_any_bytes_are_escaped(void **state)
{
	struct scrape *s = scrape_as("a\"b\\c\nd\xff");

	(void)state;
	scrape_value(s, "vllm:num_requests_waiting{model_name=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",engine=\"0\"}");
	scrape_free(s);
}

static void requests_are_counted_by_route_method_and_status(void **state)
{
	static const struct http_route route = { .path = "/v1/models/*", .methods = HTTP_GET };
	struct http_head head;
	struct http_log http = { .head = &head, .route = &route, .id = "", .trace_id = "",
				 .key_name = "", .peer = "", .status = 200, .n_bytes_in = 10,
				 .n_bytes_out = 100 };
	struct grpc_log grpc = { .path = "/stagecoach.v1.Stagecoach/Get", .status = GRPC_NOT_FOUND,
				 .n_bytes_in = 1, .n_bytes_out = 2 };
	struct scrape *s;

	(void)state;
	http_head_init(&head);
	head.method = HTTP_GET;
	traffic_note_http(&traffic, &http);
	http.status = 204;
	traffic_note_http(&traffic, &http);
	http.status = 0;
	traffic_note_http(&traffic, &http);
	http.route = NULL;
	http.status = 404;
	head.method = HTTP_OTHER;
	traffic_note_http(&traffic, &http);
	traffic_note_grpc(&traffic, &grpc);
	traffic_note_grpc(&traffic, &grpc);
	grpc.path = NULL;
	traffic_note_grpc(&traffic, &grpc);
	s = scrape_as("m");
	assert_true(scrape_value(s, "http_requests_total{handler=\"/v1/models/*\",method=\"GET\",status=\"2xx\"}") == 2);
	assert_true(scrape_value(s, "http_requests_total{handler=\"/v1/models/*\",method=\"GET\",status=\"none\"}") == 1);
	assert_true(scrape_value(s, "http_requests_total{handler=\"none\",method=\"other\",status=\"4xx\"}") == 1);
	assert_true(scrape_value(s, "grpc_server_handled_total{grpc_service=\"stagecoach.v1.Stagecoach\","
				    "grpc_method=\"Get\",grpc_code=\"NOT_FOUND\"}") == 2);
	assert_true(scrape_sum(s, "grpc_server_handled_total") == 3);
	assert_true(scrape_value(s, "stagecoach_received_bytes_total") == 43);
	assert_true(scrape_value(s, "stagecoach_sent_bytes_total") == 406);
	scrape_free(s);
	http_head_deinit(&head);
}

static void numbers_that_are_none_are_written_as_prometheus_reads_them(void **state)
{
	struct exposition e = { .out = &text, .labels = "" };
	struct scrape *s;

	(void)state;
	exposition_begin(&e, "gauge", "g", "Odd numbers.");
	exposition_add(&e, "a=\"1\"", INFINITY);
	exposition_add(&e, "a=\"2\"", -INFINITY);
	exposition_add(&e, "a=\"3\"", NAN);
	exposition_add(&e, "a=\"4\"", 0.1);
	exposition_add_count(&e, "a=\"5\"", UINT64_MAX);
	assert_int_equal(e.status, SC_OK);
	assert_string_equal(text.data, "# HELP g Odd numbers.\n# TYPE g gauge\ng{a=\"1\"} +Inf\n"
			    "g{a=\"2\"} -Inf\ng{a=\"3\"} NaN\ng{a=\"4\"} 0.1\n"
			    "g{a=\"5\"} 18446744073709551615\n");
	s = scrape_parse(text.data);
	scrape_free(s);
}

/* What is written without a failure reads well, even if the process could not say what it takes. */
static void each_allocation_may_fail(void **state)
{
	const struct metrics_source source = {
		.model_name = "m", .engine = engine, .traffic = &traffic,
	};
	struct process_usage usage;
	bool has_failed = has_failing_alloc;

	(void)state;
	process_usage_read(&usage);	/* what it finds once */
	for (long n = 0; has_failed; n++) {
		const long n_before = failing_alloc_n_live();
		struct buf out = BUF_INIT;
		enum sc_status status;

		failing_alloc_arm(n);
		status = metrics_write(&source, &out);
		has_failed = failing_alloc_disarm();
		if (status == SC_OK)
			scrape_free(scrape_parse(out.data));
		else
			assert_int_equal(status, SC_E_NOMEM);
		buf_deinit(&out);
		assert_int_equal(failing_alloc_n_live(), n_before);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_idle_server_has_all_families),
		TEST(histograms_show_what_was_observed),
		TEST(names_of_any_bytes_are_escaped),
		TEST(requests_are_counted_by_route_method_and_status),
		TEST(each_allocation_may_fail),
		TEST(numbers_that_are_none_are_written_as_prometheus_reads_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
