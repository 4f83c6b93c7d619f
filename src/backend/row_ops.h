/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_ROW_OPS_H
#define STAGECOACH_BACKEND_ROW_OPS_H
/* row_ops - what norms and activations compute; parameters of operations of backend.h. */
#include <stdbool.h>

enum activation_kind {
	ACTIVATION_SILU,	/* x / (1 + e^-x) */
	ACTIVATION_GELU_TANH,	/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
	ACTIVATION_GELU_ERF,	/* x / 2 * (1 + erf(x / sqrt(2))) */
	ACTIVATION_RELU,	/* max(x, 0) */
	ACTIVATION_RELU2,	/* max(x, 0)^2 */
	/* x > 0: alpha_p x^2 + beta x; else alpha_n (e^min(x, eps) - 1 - x) + beta x
	 * ("Deriving Activation Functions Using Integration", arXiv 2411.13010). */
	ACTIVATION_XIELU,
};

/* The parameters belong to ACTIVATION_XIELU; they are those of the formula above. (Files store
 * numbers from which softplus makes alpha_p and alpha_n; and beta is part of alpha_n.) */
struct activation {
	enum activation_kind kind;
	float alpha_p;
	float alpha_n;
	float beta;
	float eps;		/* at most 0 */
};

enum norm_kind {
	NORM_RMS,		/* x / sqrt(mean(x^2) + eps) */
	NORM_LAYER,		/* d / sqrt(mean(d^2) + eps) with d = x - mean(x) */
};

/* A row is n_groups vectors of n elements (a row of queries has a vector per head, for instance).
 * Each vector is normalised alone, multiplied by gain and added to bias. */
struct norm {
	enum norm_kind kind;
	const float *gain;	/* [n], or [n_groups][n] if is_per_group; NULL: ones */
	const float *bias;	/* likewise; NULL: zeros */
	float eps;
	unsigned n_groups;	/* at least 1 */
	bool is_per_group;
};

#endif
