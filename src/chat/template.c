/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/template.h"

#include <stdlib.h>
#include <string.h>

enum sc_status chat_template_init(struct chat_template *tmpl, const char *text, size_t n_bytes,
				  const char *bos, const char *eos, struct error *err)
{
	enum sc_status status;

	*tmpl = (struct chat_template){
		.text = strndup(text, n_bytes),
		.constants = json_pack("{s:s, s:s}", "bos_token", bos, "eos_token", eos),
	};
	if (!tmpl->text || !tmpl->constants)
		status = error_set(err, SC_E_NOMEM, "no memory for a chat template");
	else
		status = jinja_parse(text, n_bytes, &tmpl->parsed, err);
	if (!status)
		status = abilities_find(tmpl, &tmpl->abilities);
	if (status)
		chat_template_deinit(tmpl);
	return status;
}

void chat_template_deinit(struct chat_template *tmpl)
{
	jinja_destroy(tmpl->parsed);
	json_decref(tmpl->constants);
	free(tmpl->text);
	*tmpl = (struct chat_template){ 0 };
}

enum sc_status chat_template_render(const struct chat_template *tmpl, const json_t *variables,
				    int64_t now_unix, const struct jinja_limits *limits,
				    struct jinja_output *output, struct error *err)
{
	return jinja_render(tmpl->parsed, variables, tmpl->constants, now_unix, limits, output,
			    err);
}
