/* The program format: what crosses the boundary between TypeScript and a backend.
 *
 * packages/kernels/src/program.ts writes it, every backend (TypeScript reference, CPU, CUDA) runs it. A program is an
 * array of 32-bit words, little-endian, recorded once; a forward pass is one call that binds dimensions and inputs.
 *
 *   header     HASS_PROGRAM_MAGIC, HASS_PROGRAM_VERSION, num_dims, num_tensors, num_ops
 *   dims       num_dims x { max_size }                     sizes bound at every run, 0 <= size <= max_size
 *   tensors    num_tensors x { kind, dtype, rank, extent[0..3] }
 *              extent >= 0 is fixed; extent < 0 is dimension (-1 - extent); unused extents are 1; row-major
 *   ops        num_ops x { opcode, num_operands, operand..., num_attributes, attribute... }
 *              operands are tensor indices, HASS_NONE where optional and absent; float attributes by their bits
 *
 * Operations are listed in execution order. Outputs come first among the operands. Every tensor but weights and
 * state is written by exactly one operation before it is read. Shapes are checked by whoever builds the program AND
 * by the backend when it is created: a malformed program is an error, never undefined behaviour. Only a tensor's first
 * extent may be a dimension; index operands are inputs or activations.
 */
#ifndef HASS_PROGRAM_H
#define HASS_PROGRAM_H

#define HASS_PROGRAM_MAGIC 0x53534148 /* "HASS" */
#define HASS_PROGRAM_VERSION 1
#define HASS_NONE (-1)

enum hass_tensor_kind {
  HASS_ACTIVATION = 0, /* lives in the program's arena during a run */
  HASS_WEIGHT = 1,     /* bound to a device buffer when the program is created; read only */
  HASS_STATE = 2,      /* bound likewise; read and written (key/value cache) */
  HASS_INPUT = 3,      /* copied in at every run */
  HASS_OUTPUT = 4,     /* in the arena; readable from the end of a run until the next one begins */
};

enum hass_dtype {
  HASS_F32 = 0,
  HASS_F16 = 1,
  HASS_BF16 = 2,
  HASS_I32 = 3,
  HASS_U32 = 4,
  /* Packed weight layouts, [out, in] only; in is a multiple of the block. See NUMERICS.md. */
  HASS_Q4 = 16,  /* 4-bit affine, blocks of 32: w = d * q + m, d and m float16 */
  HASS_Q8 = 17,  /* 8-bit symmetric, blocks of 32: w = d * q, d float16 */
  HASS_Q4K = 18, /* as Q4, d and m a float16 of 256 inputs times a 6-bit integer of 32 */
  HASS_F8 = 19,  /* float8 e4m3, blocks of 128: w = s * code, s float32 */
};

/* R rows, L selected rows, E in, O out, H heads, G kv heads, D head size, V vocabulary, S cache slots, B sequences.
 * x, y are F32 unless said otherwise. "weights": F32, F16, BF16, Q4, Q8, Q4K, F8. */
enum hass_opcode {
  /* y[R,E], tokens[R] U32, table[V,E] weights. A token >= V fails the run. */
  HASS_OP_EMBEDDING = 1,
  /* y[R,N*D], x[R,N*D], weight[D] F32. Attributes: eps. Normalises each group of D (N = 1: the whole row). */
  HASS_OP_RMS_NORM = 2,
  /* y[R,O], x[R,E], weight[O,E] weights, bias[O] F32 or none, residual[R,O] or none (may not be y).
   * Attributes: activation block (0: float32 activations, also for packed weights; 16 or 32: int8 with one scale per block, F8 apart). */
  HASS_OP_LINEAR = 3,
  /* y[R,F] = silu(gate[R,F]) * up[R,F] */
  HASS_OP_SILU_MUL = 4,
  /* y[R,N*D], x[R,N*D], positions[R] U32, table[P, D] F32: cos of the D/2 frequencies, then sin.
   * Attributes: D, pairing (0: element i with i + D/2; 1: 2i with 2i + 1). A position >= P fails the run. */
  HASS_OP_ROPE = 5,
  /* cache[S,N] state F32, F16 or BF16; x[R,N], slots[R] U32: row r is stored in slot slots[r]. Duplicates fail the run. */
  HASS_OP_CACHE_WRITE = 6,
  /* y[R,H*D], q[R,H*D], keys[S,G*D] state, values[S,G*D] state, then the context of each row (all U32):
   * row_sequence[R], sequence_offsets[B+1] into context_slots[C] (committed slots in logical order),
   * ancestor_offsets[R+1] into ancestor_slots[A] (same-pass ancestors from the oldest, the row itself last).
   * Attributes: H, G, D, scale. Row r sees its sequence's committed slots, then its ancestor slots, and nothing else. */
  HASS_OP_TREE_ATTENTION = 7,
  /* y[L,E], x[R,E] any dtype, rows[L] U32 < R */
  HASS_OP_GATHER_ROWS = 8,
  /* y[R,A+B], a[R,A], b[R,B] */
  HASS_OP_CONCAT_COLUMNS = 9,
  /* y[R,N] = x[R, from .. from+N]. Attributes: from */
  HASS_OP_SLICE_COLUMNS = 10,
  /* y[R,N] = a[R,N] + b[R,N] */
  HASS_OP_ADD = 11,
  /* y[R,N] = a[R,N] * b[R,N] */
  HASS_OP_MUL = 12,
  /* token[R] U32, x[R,V]. The lowest id among the largest; NaN never wins; a row of NaNs gives 0. */
  HASS_OP_ARG_MAX = 13,
  /* ids[R,K] U32, values[R,K], x[R,V]. Attributes: K. Falling values, equals by rising id; NaN counts as -infinity. */
  HASS_OP_TOP_K = 14,
  /* y[R,V] = x - log(sum(exp(x))) of each row, both F32 */
  HASS_OP_LOG_SOFTMAX = 15,
  /* token[R] U32, x[R,V], temperatures[R,2] U32 (the words of a float64), positions[R] U32, seeds[R,2] U32; low word first.
   * argmax_v(x[v] / temperature + G(seed, position, v)), noise of stream 0, in float64. A row whose temperature is 0
   * takes the arg max. */
  HASS_OP_GUMBEL_ARG_MAX = 16,
  /* state[S,N] rows: state[to[i]] = state[from[i]], all reads before all writes; from[L], to[L] U32 */
  HASS_OP_CACHE_COPY = 17,

  /* Of training. All float32; what is summed over rows is summed ascending. S slots or rows of a state. */
  /* y[R,O] = x[R,E] * weight[O,E]^T, bias[O] or none, residual[R,O] or none: LINEAR of a plain, row-major weight */
  HASS_OP_PLAIN_LINEAR = 32,
  /* y[R,E] = a[R,O] * b[O,E] */
  HASS_OP_MATMUL = 33,
  /* sum[O,E] state += a[R,O]^T * b[R,E] */
  HASS_OP_ADD_PRODUCT = 34,
  /* sum[O] state += the sum of the rows of x[R,O] */
  HASS_OP_ADD_COLUMN_SUMS = 35,
  /* dx[R,N*D], x[R,N*D], weight[D], dy[R,N*D]. Attributes: eps */
  HASS_OP_RMS_NORM_GRADIENT = 36,
  /* sum[D] state += the gradient by the weight; x[R,N*D], dy[R,N*D]. Attributes: eps */
  HASS_OP_RMS_NORM_WEIGHT_GRADIENT = 37,
  /* dgate[R,F], dup[R,F], gate[R,F], up[R,F], dy[R,F] */
  HASS_OP_SILU_MUL_GRADIENT = 38,
  /* dx[R,N*D], dy[R,N*D], positions[R] U32, table[P,D]: rotates back. Attributes as ROPE */
  HASS_OP_ROPE_GRADIENT = 39,
  /* y[R,E] = 0, then y[rows[i]] += x[i] for i ascending; x[L,E], rows[L] U32 < R */
  HASS_OP_SCATTER_ADD_ROWS = 40,
  /* y[S,E] = rows of a[A,E], then of b[B,E]; S != A + B fails the run */
  HASS_OP_CONCAT_ROWS = 41,
  /* y[L,E] = the first or last rows of x[R,E]; L > R fails the run. Attributes: is last (0, 1) */
  HASS_OP_SLICE_ROWS = 42,
  /* y[R,E] = 0 but for x[R,N] from column `from` on. Attributes: from */
  HASS_OP_PAD_COLUMNS = 43,
  /* y[R,H*D], shift[R,H], q[R,H*D], keys[S,G*D], values[S,G*D], then U32: begins[R], ends[R] <= S, near_offsets[R+1]
   * into near[C] < S. Row r sees slots begins[r] ... ends[r], then its near ones. shift: what scores are lowered by to
   * become logarithms of weights. Attributes: H, G, D, scale */
  HASS_OP_ALIGNED_ATTENTION = 44,
  /* dq[R,H*D], dkeys[S,G*D], dvalues[S,G*D], dy[R,H*D], y, shift, then operands and attributes from q on as above */
  HASS_OP_ALIGNED_ATTENTION_GRADIENT = 45,
  /* losses[R,4], gradient[R,E], prediction[R,E], target[R,E], p[R,V], lm_head[V,E], feature_weights[R],
   * token_weights[R]. Attributes: K, w_feature, w_token, w_top. With q = softmax(lm_head prediction):
   * smooth L1 (mean of columns), -sum p log q, the same over the K largest of p, whether p and q agree in their largest;
   * gradient of feature_weights * w_feature * first + token_weights * (w_token * second + w_top * third) by prediction */
  HASS_OP_DISTILLATION = 46,
  /* facts[S,3], gradient[S,N]: of each row the sum of squares, how many pass clip, how many are not finite.
   * Attributes: clip */
  HASS_OP_GRADIENT_FACTS = 47,
  /* parameter, gradient, first, second, all state [S,N]; rates[3]: 1 - lr * decay, lr / (1 - beta1^t),
   * 1 / sqrt(1 - beta2^t). The gradient is clipped by value, and zero afterwards. Attributes: beta1, beta2, eps, clip */
  HASS_OP_ADAM_W = 48,
  /* y[R,V] = exp(x) / sum(exp(x)) of each row */
  HASS_OP_SOFTMAX = 49,

  /* Written by compile() in place of chains of the above; each gives the bits of its chain. */
  /* hidden[R,E] = x + residual, y = rms_norm(hidden, weight). Operands: y, hidden, x, residual, weight. Attributes: eps */
  HASS_OP_ADD_RMS_NORM = 64,
  /* y[R,F] = silu(gate) * up where [gate | up] = linear(x, weight[2F, E]). Operands: y, x, weight, bias|none. Attributes: activation block */
  HASS_OP_LINEAR_SILU_MUL = 65,
  /* q[R,H*D], keys state, values state, x[R,E], weight[(H+2G)*D, E], bias|none, q_norm[D]|none, k_norm[D]|none,
   * positions[R], rope table, slots[R]: qkv linear, optional per-head norms, rope of q and k, cache writes.
   * Attributes: activation block, H, G, D, pairing, eps */
  HASS_OP_QKV_ROPE_CACHE = 66,
};

#endif
