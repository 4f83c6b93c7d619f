/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_HF_H
#define STAGECOACH_HF_HF_H
/*
 * hf - reads a model's folder as Hugging Face's tools write it: config.json, *.safetensors,
 * tokenizer.json or tokenizer.model, and what goes with them.
 * The folder becomes the head of a GGUF file in memory, with the keys, names and shapes that
 * llama.cpp's converter would write. The weights stay in the mapped files; what is stored in
 * another order or type is made when a stage loads it. A folder and the file that is converted from
 * it therefore compute the same bits.
 * Nothing is fetched, and pickled weights (.bin, .pt) are never read.
 * Thread: as gguf.h.
 */
#include "base/error.h"
#include "model/gguf.h"

#include <stdbool.h>

/* Returns true if path is a directory. */
bool hf_is_folder(const char *path);

/* Returns true if path is a file of the folder, by whatever name or link. GGUF files in a folder
 * are not files of its model. */
bool hf_is_file_of(const char *folder, const char *path);

/* The caller closes the result with gguf_close. err names the file in the folder, for JSON with
 * line and column, and says what to do.
 * SC_E_NOT_FOUND: no config.json, or a file that it needs is missing. SC_E_FORMAT: a file is
 * malformed, or files contradict each other. SC_E_UNSUPPORTED: a family, a type or a tokenizer that
 * is not supported. SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status hf_open(const char *path, struct gguf **gguf_out, struct error *err);

#endif
