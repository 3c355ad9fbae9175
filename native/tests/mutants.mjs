/**
 * Faults that the tests must notice: each is one edit of a kernel source (or one compiler flag), and the test program
 * that has to fail with it. `on`: the platform whose kernels have the fault, by default this processor.
 */
export const mutants = [
  {
    name: 'float sums contracted into fused multiply-adds',
    // Contraction is a pass of -O2.
    flags: { '-ffp-contract=off': '-ffp-contract=fast', '-O1': '-O2' },
    caughtBy: 'exactness',
  },
  {
    name: 'four rows multiply in another order than one',
    file: 'linear_quantized_tiles.h',
    from: `blocks, products);
      for (int r = 0; r < rows; ++r) totals[r] = totals[r] + (scale * splat(blocks[r]->scales[p])) * products[r];
    }
    const Vec8 minimum`,
    to: `blocks, products);
      for (int r = 0; r < rows; ++r) totals[r] = totals[r] + (rows == 4 ? scale * (splat(blocks[r]->scales[p]) * products[r]) : (scale * splat(blocks[r]->scales[p])) * products[r]);
    }
    const Vec8 minimum`,
    caughtBy: 'exactness',
  },
  {
    name: 'a single row is not fused where six are',
    file: 'linear_float.h',
    from: 'multiply_add(value, left, totals[r][0])',
    to: '(rows == 1 ? value * left + totals[r][0] : multiply_add(value, left, totals[r][0]))',
    caughtBy: 'exactness',
  },
  {
    name: 'the borders of float tiles depend on the number of rows',
    file: 'linear_float.h',
    from: 'k += widened_inputs) {',
    to: 'k += widened_inputs) {\n    if (k > 0 && row_end - row_begin > 3) for (std::int64_t r = 0; r < row_end - row_begin; ++r) tile[r * tile_stride] = (tile[r * tile_stride] + 1e-3f) - 1e-3f;',
    caughtBy: 'exactness',
  },
  {
    name: 'attention sums values by tiles, which begin where sharing ends',
    file: 'attention.h',
    edits: [
      ['totals[i] = load(target + 8 * i);', 'totals[i] = splat(0.0f);'],
      ['store(target + 8 * i, totals[i]);', 'store(target + 8 * i, load(target + 8 * i) + totals[i]);'],
    ],
    caughtBy: 'exactness',
  },
  {
    name: 'attention counts lanes past the end of the context',
    file: 'attention.h',
    from: 'select(first_lanes(count), terms, splat(0.0f))',
    to: 'terms',
    caughtBy: 'accuracy',
  },
  {
    name: 'rows share one slot more than they have in common',
    file: 'attention.h',
    from: 'return committed(begin) + shared;',
    to: 'return committed(begin) + (shared + 1 < ancestors(begin) ? shared + 1 : shared);',
    caughtBy: 'exactness',
  },
  {
    name: 'a NaN wins a maximum',
    file: 'vec8_avx2.h',
    from: '_mm256_max_ps(a.v, best.v)',
    to: '_mm256_max_ps(best.v, a.v)',
    caughtBy: 'exactness',
  },
  {
    name: 'horizontal sums in another order',
    file: 'vec8_avx2.h',
    from: '_mm256_permute2f128_ps(a.v, b.v, 0x20), _mm256_permute2f128_ps(a.v, b.v, 0x31)',
    to: '_mm256_permute2f128_ps(_mm256_permute_ps(a.v, 0xb1), _mm256_permute_ps(b.v, 0xb1), 0x20), _mm256_permute2f128_ps(a.v, b.v, 0x31)',
    caughtBy: 'exactness',
  },
  {
    name: 'the high nibbles of 8-bit weights weigh half',
    file: 'linear_quantized_avx2.h',
    from: 'widen_sums(high_sums[r], 16)',
    to: 'widen_sums(high_sums[r], 8)',
    caughtBy: 'exactness',
  },
  {
    name: 'the offset of 8-bit weights is one off',
    file: 'quantize.h',
    from: '-128 * static_cast',
    to: '-127 * static_cast',
    caughtBy: 'exactness',
  },
  {
    name: 'an infinite activation goes unnoticed',
    file: 'quantize.h',
    from: 'is_finite = is_finite && maximum < infinity;',
    to: '',
    caughtBy: 'accuracy',
  },
  {
    name: 'activations are rounded down',
    file: 'quantize.h',
    from: 'round_to_even(load(x + i) * splat(inverse))',
    to: 'round_to_even(load(x + i) * splat(inverse) - splat(0.5f))',
    caughtBy: 'accuracy',
  },
  {
    name: 'bias is added for the wrong columns',
    file: 'linear.h',
    from: 'a.bias[begin + i]',
    to: 'a.bias[i]',
    caughtBy: 'accuracy',
  },
  {
    name: 'an equal replaces in the top k',
    file: 'choice.h',
    from: 'if (!(x[i] > values[0])) return;',
    to: 'if (!(x[i] >= values[0])) return;',
    caughtBy: 'accuracy',
  },
  {
    name: 'noise that could still win is not computed',
    file: 'gumbel.h',
    from: 'largest_gumbel = 22.875',
    to: 'largest_gumbel = 2.0',
    caughtBy: 'accuracy',
  },
  {
    name: 'a step of the exponential is left out',
    file: 'functions.h',
    from: 'q = q * r + splat(0x1.5558f2p-5f);',
    to: 'q = q * r;',
    caughtBy: 'accuracy',
  },
  {
    name: 'a tie of float16 goes up',
    file: 'half.h',
    from: '0xfffu + is_odd',
    to: '0x1000u',
    caughtBy: 'packing',
  },
  {
    name: 'rows of a panel are packed in another place than they are read',
    file: 'packing.cc',
    from: 'plane + nibble_offset(output, i), &both',
    to: 'plane + nibble_offset(output ^ 1, i), &both',
    caughtBy: 'packing',
  },
  {
    name: 'VNNI products of high nibbles take the low integers',
    on: 'simde',
    file: 'linear_quantized_avx512.h',
    from: '_mm256_srli_epi16(bytes, 4), low_mask), 2 * v + 1,',
    to: '_mm256_srli_epi16(bytes, 4), low_mask), 2 * v,',
    caughtBy: 'exactness',
  },
  {
    name: 'VNNI bytes lose the offset of 128',
    on: 'simde',
    file: 'linear_quantized_avx512.h',
    from: '_mm256_set1_epi32(blocks[r]->offsets[part])',
    to: '_mm256_setzero_si256()',
    caughtBy: 'exactness',
  },
  {
    name: 'float sums contracted into fused multiply-adds on AArch64',
    on: 'aarch64',
    flags: { '-ffp-contract=off': '-ffp-contract=fast', '-O1': '-O2' },
    caughtBy: 'exactness',
  },
  {
    name: 'NEON adds a vector of lanes in another order',
    on: 'aarch64',
    file: 'vec8_neon.h',
    from: 'return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);',
    to: 'return (vgetq_lane_f32(four, 0) + vgetq_lane_f32(four, 1)) + (vgetq_lane_f32(four, 2) + vgetq_lane_f32(four, 3));',
    caughtBy: 'exactness',
  },
  {
    name: 'a NaN wins a NEON maximum',
    on: 'aarch64',
    file: 'vec8_neon.h',
    from: 'return select(greater(a, best), a, best);',
    to: 'return {vmaxq_f32(a.low, best.low), vmaxq_f32(a.high, best.high)};',
    caughtBy: 'exactness',
  },
  {
    name: 'bytes for NEON are joined the wrong way round',
    on: 'aarch64',
    file: 'neon_weights.h',
    from: 'vsriq_n_u8(high, low, 4)',
    to: 'vsriq_n_u8(low, high, 4)',
    caughtBy: 'exactness',
  },
]
