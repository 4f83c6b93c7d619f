/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models and /v1/models/ID: always one model, by all names that the operator gave it. */
#include "openai/api_request.h"
#include "openai/json_writer.h"

#include "model/model.h"

#include <string.h>

/* vLLM's, which some clients read. */
static void put_permission(struct json_writer *writer, const struct openai *openai)
{
	static const char *const rights[] = {
		"allow_create_engine", "allow_sampling", "allow_logprobs", "allow_search_indices",
		"allow_view", "allow_fine_tuning",
	};

	json_put_key(writer, "permission");
	json_put_open(writer, '[');
	json_put_open(writer, '{');
	json_put_member_string(writer, "id", "modelperm-stagecoach");
	json_put_member_string(writer, "object", "model_permission");
	json_put_member_uint(writer, "created", openai->created);
	for (size_t i = 0; i < sizeof rights / sizeof rights[0]; i++)
		json_put_member_bool(writer, rights[i], i >= 1 && i <= 4 && i != 3);
	json_put_member_string(writer, "organization", "*");
	json_put_member_null(writer, "group");
	json_put_member_bool(writer, "is_blocking", false);
	json_put_close(writer, '}');
	json_put_close(writer, ']');
}

/* llama.cpp's names. */
static void put_meta(struct json_writer *writer, const struct model *model)
{
	json_put_key(writer, "meta");
	json_put_open(writer, '{');
	json_put_member_string(writer, "architecture", model->arch->name);
	json_put_member_uint(writer, "n_vocab", model->hparams.n_vocab);
	json_put_member_uint(writer, "n_ctx_train", model->hparams.n_context);
	json_put_member_uint(writer, "n_embd", model->hparams.dim);
	json_put_member_uint(writer, "n_params", model->n_params);
	json_put_member_uint(writer, "size", gguf_n_bytes(model->gguf));
	json_put_close(writer, '}');
}

static void put_model(struct json_writer *writer, const struct openai *openai, const char *name)
{
	const struct model *model = engine_model(openai->engine);

	json_put_open(writer, '{');
	json_put_member_string(writer, "id", name);
	json_put_member_string(writer, "object", "model");
	json_put_member_uint(writer, "created", openai->created);
	json_put_member_string(writer, "owned_by", "stagecoach");
	json_put_member_string(writer, "root", model->name);
	json_put_member_null(writer, "parent");
	json_put_member_uint(writer, "max_model_len", engine_max_context(openai->engine));
	put_permission(writer, openai);
	put_meta(writer, model);
	json_put_close(writer, '}');
}

static void answer(struct http_call *call, const struct json_writer *writer)
{
	if (json_put_status(writer) == SC_OK)
		api_answer(call, writer->out);
	else
		http_call_fail(call, SC_E_NOMEM, NULL);
}

static void start_list(struct http_call *call)
{
	const struct openai *openai = http_call_context(call);
	struct buf text = BUF_INIT;
	struct json_writer writer;

	json_put_init(&writer, &text);
	json_put_open(&writer, '{');
	json_put_member_string(&writer, "object", "list");
	json_put_key(&writer, "data");
	json_put_open(&writer, '[');
	for (unsigned i = 0; i < openai->n_told; i++)
		put_model(&writer, openai, openai->names[i]);
	json_put_close(&writer, ']');
	json_put_close(&writer, '}');
	answer(call, &writer);
	buf_deinit(&text);
}

/* The end of the path, which may have slashes of its own. */
static const char *name_of(const char *path)
{
	static const char before[] = "/models/";
	const char *found = strstr(path, before);

	return found ? found + sizeof before - 1 : "";
}

static void start_one(struct http_call *call)
{
	const struct openai *openai = http_call_context(call);
	const char *name = name_of(http_call_path(call));
	struct buf text = BUF_INIT;
	struct json_writer writer;

	if (!openai_is_model(openai, name)) {
		http_call_refuse(call, 404, "this server has no model of that name: see /v1/models",
				 "model");
		return;
	}
	json_put_init(&writer, &text);
	put_model(&writer, openai, name);
	answer(call, &writer);
	buf_deinit(&text);
}

const struct http_call_ops openai_models = { .start = start_list };
const struct http_call_ops openai_model = { .start = start_one };
