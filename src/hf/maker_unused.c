/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "hf/maker.h"

#include <string.h>

/* Stored tensors of every family that no computation needs: tables that are made of config.json. */
static const char skipped[] = ".rotary_emb.inv_freq|.masked_bias";
/* The other parts of a wrapper. */
static const char outside[] =
	"vision_tower.|multi_modal_projector.|model.vision_tower.|model.multi_modal_projector.|"
	"model.vision_model.|vision_model.|model.connector.";

static bool is_matched(const char *list, const char *name, bool at_start)
{
	while (list && *list) {
		size_t n = strcspn(list, "|"), length = strlen(name);

		if (length >= n && !memcmp(at_start ? name : name + length - n, list, n))
			return true;
		list += n + (list[n] == '|');
	}
	return false;
}

enum sc_status maker_check_unused(const struct maker *m)
{
	const struct hf_stored *stored, *first = NULL;
	size_t n = 0, n_outside = 0;

	for (size_t i = 0; (stored = hf_names_unused(m->names, i, &i)); i++) {
		if (stored->is_scale || is_matched(skipped, stored->name, false) ||
		    is_matched(m->family->skipped, stored->name, false))
			continue;
		if (m->config->is_wrapped && is_matched(outside, stored->name, true)) {
			n_outside++;
			continue;
		}
		first = first ? first : stored;
		n++;
	}
	if (n_outside)
		log_write(LOG_LEVEL_WARNING, "%s: %zu tensors of other parts than the language "
			  "model are left out: the model answers texts only", m->config->folder,
			  n_outside);
	if (!n)
		return SC_OK;
	return hf_stored_error(first, SC_E_UNSUPPORTED, m->err,
			       "models of the family %s have no such tensor (and %zu more). "
			       "Perhaps it is a variant that is not supported", m->family->name,
			       n - 1);
}

