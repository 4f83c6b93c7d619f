/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logits that are not finite fail the job that they belong to. The error names the logit and, if a
 * stage found NaN or infinity in its weights, the tensor.
 */
#include "coordinator/coordinator_private.h"

#include "base/log.h"

#include <stdio.h>

#define TENSORS_TEXT_MAX (ERROR_TEXT_MAX - 64)	/* leaves room for the rest of the message */

/* "blk.0.attn_q.weight of model.gguf and 2 more tensors" */
static void name_tensors(const struct coordinator *c, const struct member *member, char *text,
			 size_t n_bytes)
{
	const char *path = gguf_tensor_path(c->config.model->gguf, member->not_finite);
	uint32_t n_more = member->n_not_finite - 1;

	if (n_more)
		snprintf(text, n_bytes, "%s of %s and %u more tensor%s", member->not_finite, path,
			 n_more, n_more == 1 ? "" : "s");
	else
		snprintf(text, n_bytes, "%s of %s", member->not_finite, path);
}

/* The first stage with such weights, or NULL. */
static const struct member *find_not_finite(const struct coordinator *c)
{
	for (unsigned i = 0; i < members_n_stages(c->members); i++) {
		const struct member *member = members_of_stage(c->members, i);

		if (member && member->n_not_finite)
			return member;
	}
	return NULL;
}

void coordinator_warn_of_weights(const struct coordinator *c)
{
	for (unsigned i = 0; i < members_n_stages(c->members); i++) {
		const struct member *member = members_of_stage(c->members, i);
		char tensors[TENSORS_TEXT_MAX];

		if (!member || !member->n_not_finite)
			continue;
		name_tensors(c, member, tensors, sizeof tensors);
		log_warning("stage %u: NaN or infinity in %s. Jobs that use these values will "
			    "fail; get another copy of the model", i + 1, tensors);
	}
}

static void describe_logit(const struct token_record *record, char *text, size_t n_bytes)
{
	switch (record->fault) {
	case TOKEN_FAULT_NAN:
		snprintf(text, n_bytes, "the logit of token %u at position %u is NaN",
			 record->token, record->position);
		break;
	case TOKEN_FAULT_INFINITE:
		snprintf(text, n_bytes, "the logit of token %u at position %u is infinite",
			 record->token, record->position);
		break;
	default:
		snprintf(text, n_bytes, "every logit at position %u is -infinity",
			 record->position);
	}
}

static void describe_cause(const struct coordinator *c, char *text, size_t n_bytes)
{
	const struct member *member = find_not_finite(c);
	char tensors[TENSORS_TEXT_MAX];

	if (!member) {
		snprintf(text, n_bytes, "all weights are finite, so a value overflowed on its way "
			 "through the layers");
		return;
	}
	name_tensors(c, member, tensors, sizeof tensors);
	snprintf(text, n_bytes, "stage %u has NaN or infinity in %s", member->stage + 1,
		 tensors);
}

/* The request's own doing. */
static void end_barred(struct coordinator *c, const struct sequence *sequence,
		       const struct token_record *record)
{
	struct error err;

	error_set(&err, SC_E_INVALID, "sequence %u: biases, min_tokens and penalties leave no token "
		  "for position %u: allow at least one more", sequence->index, record->position);
	if (sequence->job)
		coordinator_end_job(c, sequence->job, JOB_FAILED, &err);
}

void coordinator_take_fault(struct coordinator *c, struct sequence *sequence,
			    const struct token_record *record)
{
	struct job *job = sequence->job;
	char logit[96], cause[ERROR_TEXT_MAX];
	struct error err;

	if (record->fault == TOKEN_FAULT_BARRED) {
		end_barred(c, sequence, record);
		return;
	}
	describe_logit(record, logit, sizeof logit);
	describe_cause(c, cause, sizeof cause);
	error_set(&err, SC_E_NUMERIC, "sequence %u: %s; %s", sequence->index, logit, cause);
	if (!c->has_warned_of_fault)
		log_warning("%s: %s", job ? job_id(job) : "the first step", err.text);
	c->has_warned_of_fault = true;
	if (job)
		coordinator_end_job(c, job, JOB_FAILED, &err);
}
