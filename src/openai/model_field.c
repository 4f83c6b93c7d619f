/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/model_field.h"

enum sc_status model_field_check(struct api_request *request)
{
	const struct openai *openai = request->openai;
	const char *name = "";

	json_read_string(&request->reader, "model", &name);
	if (api_request_check(request) != SC_OK)
		return request->error.error.status;
	if (openai_is_model(openai, name))
		return SC_OK;
	request->error.code = "model_not_found";
	return api_request_fail(request, SC_E_NOT_FOUND, "model", "model: this server has \"%s\" "
				"and not \"%.100s\". Give that name or none; the server's "
				"--alias adds names", openai_model_name(openai), name);
}
