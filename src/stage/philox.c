/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/philox.h"

#define N_ROUNDS 10

/* Multipliers and Weyl increments that the paper gives for four words of 32 bits. */
#define MULTIPLIER_0 UINT32_C(0xD2511F53)
#define MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define INCREMENT_0 UINT32_C(0x9E3779B9)
#define INCREMENT_1 UINT32_C(0xBB67AE85)

void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];

	for (unsigned round = 0; round < N_ROUNDS; round++) {
		uint64_t product_0 = (uint64_t)MULTIPLIER_0 * c0;
		uint64_t product_1 = (uint64_t)MULTIPLIER_1 * c2;

		c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)product_1;
		c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)product_0;
		k0 += INCREMENT_0;
		k1 += INCREMENT_1;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

double philox_uniform(uint64_t seed, uint32_t stream, uint32_t position)
{
	const uint32_t counter[4] = { position, 0, stream, 0 };
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
	uint32_t words[4];
	uint64_t bits;

	philox4x32_10(counter, key, words);
	bits = (uint64_t)words[1] << 32 | words[0];
	return (double)(bits >> 11) * 0x1p-53;
}
