/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_HPARAMS_READER_H
#define STAGECOACH_MODEL_HPARAMS_READER_H
/*
 * hparams_reader - reads keys of the architecture and checks their ranges. Private to hparams*.c.
 * Errors name the key: SC_E_FORMAT, or as said.
 */
#include "model/model.h"

#define KEY_MAX 96

/* The file, the architecture's prefix, and space for the full key. */
struct reader {
	const struct gguf *gguf;
	const struct arch *arch;
	char key[KEY_MAX];
	struct error *err;
};

/* Selects the key to read. Returns false if the file does not have it. */
bool reader_seek(struct reader *r, const char *name);
/* Likewise; SC_E_FORMAT if the file does not have it. */
must_check enum sc_status reader_need(struct reader *r, const char *name);

/* An error about the selected key. */
#define reader_error(r, status, ...) \
	gguf_key_error((r)->gguf, (r)->key, status, (r)->err, __VA_ARGS__)
/* SC_E_UNSUPPORTED: "WHAT not supported". */
enum sc_status reader_unsupported(struct reader *r, const char *what);

/* These read the selected key. */
must_check enum sc_status reader_u32(struct reader *r, uint32_t min, uint32_t max,
				     uint32_t *value_out);
/* Reads the selected key, a finite number. */
must_check enum sc_status reader_finite(struct reader *r, float *value_out);
must_check enum sc_status reader_positive(struct reader *r, float *value_out);
/* Some files write 0 for "no factor"; like llama.cpp, that counts as 1. */
must_check enum sc_status reader_factor(struct reader *r, float *value_out);

/* These select a key first. Without the key, maybe leaves the value as it is. */
must_check enum sc_status reader_need_u32(struct reader *r, const char *name, uint32_t max,
					  uint32_t *value_out);
must_check enum sc_status reader_maybe_u32(struct reader *r, const char *name, uint32_t max,
					   uint32_t *value);
must_check enum sc_status reader_maybe_factor(struct reader *r, const char *name, float *value);
must_check enum sc_status reader_maybe_bool(struct reader *r, const char *name, bool *value);

/* A number for all layers, or an array with one for each of the n layers. Without the key, the values
 * stay as they are. */
must_check enum sc_status reader_layers_u32(struct reader *r, const char *name, uint32_t max,
					    uint32_t n, uint32_t *values);

/* hparams_rope.c: rotary positions. */
must_check enum sc_status hparams_read_rope(struct reader *r, struct model *model);
/* hparams_layers.c: windows and rotary positions of layers. */
must_check enum sc_status hparams_read_windows(struct reader *r, struct model *model);

#endif
