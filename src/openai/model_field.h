/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_MODEL_FIELD_H
#define STAGECOACH_OPENAI_MODEL_FIELD_H
/* model_field - the field "model" of a request. Thread: any. */
#include "openai/api_request.h"

/* SC_E_NOT_FOUND: the request names another model; request->error says so, with the code
 * "model_not_found" that OpenAI gives. */
must_check enum sc_status model_field_check(struct api_request *request);

#endif
