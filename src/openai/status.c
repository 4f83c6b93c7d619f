/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health, /livez, /version, /props: what the server is and whether it serves. */
#include "openai/api_request.h"
#include "openai/json_writer.h"

#include "chat/chat.h"
#include "model/model.h"
#include "model/tokenizer.h"

#include <stdlib.h>

/* As grpc.health.v1 has it: ready means that a request sent now would run, rather than wait for a
 * model to load or for a stage that was lost. */
static bool is_ready(const struct openai *openai)
{
	return !openai->is_draining && engine_phase(openai->engine) == COORDINATOR_READY;
}

/* A restart would be of no use: the server comes up, serves, recovers or drains. */
static bool is_alive(const struct openai *openai)
{
	enum coordinator_phase phase = engine_phase(openai->engine);

	return phase != COORDINATOR_STOPPED && phase != COORDINATOR_FAILED;
}

static void answer_state(struct http_call *call, bool is_well)
{
	static const char well[] = "{\"status\":\"ok\"}";
	const struct openai *openai = http_call_context(call);
	enum coordinator_phase phase = engine_phase(openai->engine);
	struct api_error error;

	if (is_well) {
		http_call_answer(call, 200, "application/json", well, sizeof well - 1);
		return;
	}
	api_error_init(&error);
	if (phase < COORDINATOR_READY)
		error_set(&error.error, SC_E_UNAVAILABLE, "Loading model");
	else
		error_set(&error.error, SC_E_UNAVAILABLE, "the server is %s", openai->is_draining
			  ? "draining" : coordinator_phase_name(phase));
	api_error_answer(call, &error);
}

static void start_health(struct http_call *call)
{
	answer_state(call, is_ready(http_call_context(call)));
}

static void start_live(struct http_call *call)
{
	answer_state(call, is_alive(http_call_context(call)));
}

static void answer(struct http_call *call, const struct json_writer *writer)
{
	if (json_put_status(writer) == SC_OK)
		api_answer(call, writer->out);
	else
		http_call_fail(call, SC_E_NOMEM, NULL);
}

static void start_version(struct http_call *call)
{
	struct buf text = BUF_INIT;
	struct json_writer writer;

	json_put_init(&writer, &text);
	json_put_open(&writer, '{');
	json_put_member_string(&writer, "version", PACKAGE_VERSION);
	json_put_close(&writer, '}');
	answer(call, &writer);
	buf_deinit(&text);
}

/* --- props --- */

static void put_token(struct json_writer *writer, const char *name,
		      const struct tokenizer *tokenizer, uint32_t id)
{
	size_t n_bytes;
	const char *piece;

	json_put_key(writer, name);
	if (id == TOKEN_NONE) {
		json_put_string(writer, "");
		return;
	}
	piece = tokenizer_piece(tokenizer, id, &n_bytes);
	json_put_text(writer, piece, n_bytes);
}

static void put_samplers(struct json_writer *writer)
{
	static const char *const names[] = {
		"penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc",
		"temperature",
	};

	json_put_key(writer, "samplers");
	json_put_open(writer, '[');
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		json_put_string(writer, names[i]);
	json_put_close(writer, ']');
}

/* What llama.cpp's web page shows as the values of fields that it leaves out. */
static void put_params(struct json_writer *writer)
{
	const struct job_request job = job_request_default();

	json_put_key(writer, "params");
	json_put_open(writer, '{');
	json_put_member_double(writer, "temperature", (double)job.temperature);
	json_put_member_double(writer, "dynatemp_range", (double)job.dynatemp_range);
	json_put_member_double(writer, "dynatemp_exponent", (double)job.dynatemp_exponent);
	json_put_member_uint(writer, "top_k", job.top_k);
	json_put_member_double(writer, "top_p", (double)job.top_p);
	json_put_member_double(writer, "min_p", (double)job.min_p);
	json_put_member_double(writer, "top_n_sigma", (double)job.top_n_sigma);
	json_put_member_double(writer, "xtc_probability", (double)job.xtc_probability);
	json_put_member_double(writer, "xtc_threshold", (double)job.xtc_threshold);
	json_put_member_double(writer, "typ_p", (double)job.typical_p);
	json_put_member_uint(writer, "repeat_last_n", job.penalty_last_n);
	json_put_member_double(writer, "repeat_penalty", (double)job.repetition_penalty);
	json_put_member_double(writer, "presence_penalty", (double)job.presence_penalty);
	json_put_member_double(writer, "frequency_penalty", (double)job.frequency_penalty);
	json_put_member_double(writer, "dry_multiplier", (double)job.dry_multiplier);
	json_put_member_double(writer, "dry_base", (double)job.dry_base);
	json_put_member_uint(writer, "dry_allowed_length", job.dry_allowed_length);
	json_put_member_double(writer, "dry_penalty_last_n", -1.0);	/* see sampling_reader.c */
	json_put_member_double(writer, "max_tokens", -1.0);
	put_samplers(writer);
	json_put_close(writer, '}');
}

/* llama.cpp's, as far as its web page and other clients read them. */
static void put_props(struct json_writer *writer, const struct openai *openai)
{
	const struct tokenizer *tokenizer = engine_tokenizer(openai->engine);
	const struct model *model = engine_model(openai->engine);

	json_put_open(writer, '{');
	json_put_key(writer, "default_generation_settings");
	json_put_open(writer, '{');
	json_put_member_uint(writer, "n_ctx", engine_max_context(openai->engine));
	put_params(writer);
	json_put_close(writer, '}');
	json_put_member_uint(writer, "total_slots", openai->n_slots);
	json_put_member_string(writer, "model_alias", openai_model_name(openai));
	json_put_member_string(writer, "model_path", gguf_path(model->gguf));
	json_put_key(writer, "modalities");
	json_put_open(writer, '{');
	json_put_member_bool(writer, "vision", false);
	json_put_member_bool(writer, "audio", false);
	json_put_close(writer, '}');
	json_put_member_string(writer, "chat_template",
			       openai->chat ? chat_format_template(openai->chat) : "");
	put_token(writer, "bos_token", tokenizer, tokenizer_bos(tokenizer));
	put_token(writer, "eos_token", tokenizer, tokenizer_eos(tokenizer));
	json_put_member_string(writer, "build_info", PACKAGE_NAME " " PACKAGE_VERSION);
	json_put_close(writer, '}');
}

static void start_props(struct http_call *call)
{
	struct buf text = BUF_INIT;
	struct json_writer writer;

	json_put_init(&writer, &text);
	put_props(&writer, http_call_context(call));
	answer(call, &writer);
	buf_deinit(&text);
}

const struct http_call_ops openai_health = { .start = start_health };
const struct http_call_ops openai_live = { .start = start_live };
const struct http_call_ops openai_version = { .start = start_version };
const struct http_call_ops openai_props = { .start = start_props };
