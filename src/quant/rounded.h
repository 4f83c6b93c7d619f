/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ROUNDED_H
#define STAGECOACH_QUANT_ROUNDED_H
/*
 * rounded - a model whose matrices are rounded to smaller types while they are read. It has the
 * head and the bytes of the file that `quantize` would write, but takes no room on a disk: a stage
 * makes its own layers' tensors, one at a time, when it loads them.
 * Thread: as gguf.h.
 */
#include "quant/encode.h"
#include "quant/mix.h"

/* Takes `from`, also on failure, and closes it with the result. Tensors that are quantised already
 * are refused. A value that the type cannot hold is SC_E_FORMAT when the tensor is read.
 * SC_E_UNSUPPORTED, SC_E_NOMEM; as gguf_open_head. */
must_check enum sc_status quant_round(struct gguf *from, const struct quant_mix *mix,
				      const struct quant_kernels *kernels, struct gguf **gguf_out,
				      struct error *err);

#endif
