/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_CONFIG_KNOWN_H
#define STAGECOACH_HF_CONFIG_KNOWN_H
/*
 * config_known - guards against values of config.json that change the computation unnoticed.
 * - A key of the family's checks with a value that is not supported is an error.
 * - A method of quantisation other than FP8 is an error.
 * - A key that nothing knows is named in a warning. It is no error: transformers ignores keys that
 *   a class does not know, too, and tools leave notes of their own in config.json.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/family.h"

/* SC_E_UNSUPPORTED: err names the key, its value and what is supported. */
must_check enum sc_status hf_config_check(const struct hf_family *family,
					  const struct hf_config *config, struct error *err);

/* The unknown keys with values that say something, with ", " between them, cut to fit. Returns
 * their number. */
size_t hf_config_unknown(const struct hf_family *family, const struct hf_config *config,
			 char *out, size_t n_bytes);

#endif
