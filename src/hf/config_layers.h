/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_CONFIG_LAYERS_H
#define STAGECOACH_HF_CONFIG_LAYERS_H
/*
 * config_layers - what config.json says of single layers: which have a sliding window, and which
 * have no rotary positions.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/family.h"

/* Writes the window and, unless the architecture knows it, which layers slide.
 * SC_E_UNSUPPORTED: kinds of layers that are not supported. SC_E_FORMAT. */
must_check enum sc_status hf_layers_put(const struct hf_family *family,
					const struct hf_config *config,
					const struct hf_numbers *numbers, struct gguf_head *head,
					struct error *err);

#endif
