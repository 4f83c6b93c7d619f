/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_PUT_KEY_H
#define STAGECOACH_HF_PUT_KEY_H
/*
 * put_key - writes keys "ARCHITECTURE.NAME" into a head. Errors: SC_E_NOMEM only.
 * Private to this folder. Thread: one at a time.
 */
#include "model/gguf_head.h"

must_check enum sc_status put_u32(struct gguf_head *head, const char *arch, const char *name,
				  uint32_t value);
must_check enum sc_status put_f32(struct gguf_head *head, const char *arch, const char *name,
				  double value);
must_check enum sc_status put_bool(struct gguf_head *head, const char *arch, const char *name,
				   bool value);
must_check enum sc_status put_string(struct gguf_head *head, const char *arch, const char *name,
				     const char *value);
must_check enum sc_status put_bools(struct gguf_head *head, const char *arch, const char *name,
				    const uint8_t *values, size_t n);

#endif
