/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_MODEL_FIXTURE_H
#define STAGECOACH_TESTS_MODEL_MODEL_FIXTURE_H
/*
 * model_fixture - a tiny model that is composed, then changed byte by byte, then opened: for tests
 * of what model_open accepts. Fails the test when something else goes wrong.
 */
#include "tests/model/tiny_model.h"

struct model_fixture {
	struct gguf_writer w;	/* between start and finish: add keys and tensors */
	struct buf file;	/* after finish: change bytes */
	struct model *model;	/* after open */
	struct error err;
};

void model_fixture_start(struct model_fixture *f, const struct tiny_model *tiny);
void model_fixture_finish(struct model_fixture *f);
void model_fixture_stop(struct model_fixture *f);

enum sc_status model_fixture_open(struct model_fixture *f, const char *path);
void expect_model(struct model_fixture *f);
/* Also stops. */
void expect_model_error(struct model_fixture *f, enum sc_status status, const char *text);

/* The file no longer has the key or tensor, but one of another name. */
void rename_away(struct model_fixture *f, const char *text);
/* Where a string stands that has its length in front: a key, a tensor's name, a string's value. */
char *find_text(struct model_fixture *f, const char *text);
/* A tensor's n_dims (4 bytes), dims (8 each), type (4), offset (8). */
char *tensor_entry(struct model_fixture *f, const char *name);
/* The key is there, with a value of that type. */
void set_u32(struct model_fixture *f, const char *key, uint32_t value);
void set_f32(struct model_fixture *f, const char *key, float value);

#endif
