// Which lane holds which element: the emulation's mma and ldmatrix against tables that somebody else wrote down.
//
// mma: layouts of the traits SM80_16x8x16_F32BF16BF16F32_TN, SM80_16x8x16_S32S8S8S32_TN and SM80_16x8x32_S32S8S8S32_TN of
// NVIDIA's CUTLASS (include/cute/atom/mma_traits_sm80.hpp, commit 468e0ea), as numbers. A layout gives (thread, value) a
// place in a column-major matrix, [16, k] of a, [8, k] of b, [16, 8] of d: coordinates, the first running fastest, times
// strides.
// ldmatrix: PTX ISA 8.5, section 9.7.13.4.15: row r of an 8 x 8 matrix of 16-bit elements is held by lanes 4 r ... 4 r + 3,
// two elements each; the rows of matrix m have their addresses in lanes 8 m ... 8 m + 7.
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "../emulation/device.h"
#include "../emulation/device_memory.h"

namespace {

struct Mode {
  int shape, stride;
};

struct Layout {
  Mode thread[2];
  Mode value[3];

  int operator()(int t, int v) const {
    int place = t % thread[0].shape * thread[0].stride + t / thread[0].shape * thread[1].stride;
    for (const Mode &mode : value) {
      place += v % mode.shape * mode.stride;
      v /= mode.shape;
    }
    return place;
  }
};

constexpr Layout d_layout = {{{4, 32}, {8, 1}}, {{2, 16}, {2, 8}, {1, 0}}};

struct Instruction {
  const char *name;
  int inner, bytes_of_element;
  Layout a, b;
};

constexpr Instruction instructions[] = {
    {"m16n8k16 bf16", 16, 2, {{{4, 32}, {8, 1}}, {{2, 16}, {2, 8}, {2, 128}}}, {{{4, 16}, {8, 1}}, {{2, 8}, {2, 64}, {1, 0}}}},
    {"m16n8k32 s8", 32, 1, {{{4, 64}, {8, 1}}, {{4, 16}, {2, 8}, {2, 256}}}, {{{4, 32}, {8, 1}}, {{4, 8}, {2, 128}, {1, 0}}}},
    {"m16n8k16 s8", 16, 1, {{{4, 64}, {8, 1}}, {{4, 16}, {2, 8}, {1, 0}}}, {{{4, 32}, {8, 1}}, {{4, 8}, {1, 0}, {1, 0}}}},
};

// Whole numbers that bfloat16, int8 and float32 sums hold exactly, no two rows or columns alike.
int a_at(int row, int k) { return (row * 7 + k * 5 + row * k) % 31 - 15; }
int b_at(int column, int k) { return (column * 11 + k * 3 + column * k) % 29 - 14; }

int failures = 0;
float results[16][8];
std::uint16_t matrix_words[32][8];

std::uint32_t pack(const Instruction &instruction, const Layout &layout, int rows, int word, int lane,
                   int (*element)(int, int)) {
  const int each = 4 / instruction.bytes_of_element;
  std::uint32_t bits = 0;
  for (int e = 0; e < each; e++) {
    const int place = layout(lane, word * each + e), value = element(place % rows, place / rows);
    const float number = static_cast<float>(value);
    std::uint32_t element_bits;
    std::memcpy(&element_bits, &number, 4);
    element_bits = instruction.bytes_of_element == 2 ? element_bits >> 16 : std::uint32_t(value) & 0xff;
    bits |= element_bits << (8 * instruction.bytes_of_element * e);
  }
  return bits;
}

void run_instruction(const Instruction &instruction) {
  using namespace hass;
  const int lane = emulation::lane_index();
  std::uint32_t a[4] = {}, b[2] = {};
  const int words = instruction.inner * instruction.bytes_of_element / 16;
  for (int w = 0; w < 2 * words; w++) a[w] = pack(instruction, instruction.a, 16, w, lane, a_at);
  for (int w = 0; w < words; w++) b[w] = pack(instruction, instruction.b, 8, w, lane, b_at);
  float found[4] = {};
  if (instruction.bytes_of_element == 2) {
    for (float &value : found) value = 1000.0f;
    cuda::multiply_bfloats(found, a, b[0], b[1]);
  } else {
    std::int32_t sums[4];
    if (instruction.inner == 32) {
      cuda::multiply_bytes_32(sums, a, b[0], b[1]);
    } else {
      cuda::multiply_bytes_16(sums, a[0], a[1], b[0]);
    }
    for (int w = 0; w < 4; w++) found[w] = static_cast<float>(sums[w]);
  }
  for (int w = 0; w < 4; w++) results[d_layout(lane, w) % 16][d_layout(lane, w) / 16] = found[w];
}

void check(bool holds, const char *what) {
  if (holds) return;
  std::printf("FAILED: %s\n", what);
  failures++;
}

void check_instruction(const Instruction &instruction) {
  using namespace hass::emulation;
  const char *failure = run_grid({{1, 1, 1}, {32, 1, 1}, 0, {}, [&] { run_instruction(instruction); }});
  bool is_right = failure == nullptr;
  for (int row = 0; row < 16; row++) {
    for (int column = 0; column < 8; column++) {
      int expected = instruction.bytes_of_element == 2 ? 1000 : 0;
      for (int k = 0; k < instruction.inner; k++) expected += a_at(row, k) * b_at(column, k);
      is_right = is_right && results[row][column] == static_cast<float>(expected);
    }
  }
  check(is_right, instruction.name);
}

void check_matrices() {
  using namespace hass;
  for (int row = 0; row < 32; row++) {
    for (int column = 0; column < 8; column++) matrix_words[row][column] = static_cast<std::uint16_t>(row * 8 + column);
  }
  bool is_right = true;
  const char *failure = emulation::run_grid({{1, 1, 1}, {32, 1, 1}, 0, {}, [&] {
    const int lane = emulation::lane_index();
    std::uint32_t words[4];
    cuda::load_matrices(words, matrix_words[lane]);
    for (int matrix = 0; matrix < 4; matrix++) {
      const std::uint16_t *row = matrix_words[8 * matrix + lane / 4];
      const std::uint32_t expected = row[lane % 4 * 2] | std::uint32_t(row[lane % 4 * 2 + 1]) << 16;
      is_right = is_right && words[matrix] == expected;
    }
  }});
  check(is_right && !failure, "ldmatrix.x4");
}

// What the emulation must notice, whatever a kernel computes.
void check_refusals() {
  using namespace hass::emulation;
  const auto run = [](std::size_t shared, std::function<void()> thread) {
    return run_grid({{1, 1, 1}, {64, 1, 1}, shared, {}, thread});
  };
  check(run(0, [] { if (thread_index().x < 32) meet_block(1); }), "threads that end while others wait");
  check(run(0, [] { meet_block(thread_index().x < 32 ? 1 : 2); }), "threads at different barriers");
  check(run(0, [] { if (thread_index().x != 5) shuffle(1, 0); }), "a lane that does not come");
  check(run(16, [] { shared_memory()[16] = 1; }), "a write past the shared memory");
  check(!run(16, [] { shared_memory()[15] = 1; meet_block(1); shuffle(1, 0); }), "nothing wrong");
  auto *const piece = static_cast<unsigned char *>(allocate_piece(100));
  check(!run(16, [&] { copy_async(shared_memory(), piece + 84, 16, 0); }), "a copy of the last bytes");
  check(run(16, [&] { copy_async(shared_memory(), piece + 85, 16, 0); }), "a copy from behind a piece of memory");
  check(run(16, [&] { copy_async(shared_memory(), piece - 1, 16, 0); }), "a copy from before a piece of memory");
  check(!run(16, [&] { piece[99] = 1; }) && !is_a_piece_overrun(), "a write of the last byte");
  check(!run(16, [&] { piece[100] = 1; }) && is_a_piece_overrun(), "a write behind a piece of memory");
  release_piece(piece);
  check(!is_a_piece_overrun(), "memory that is gone");
  bool is_poisoned = true;
  run(64, [&] { is_poisoned = is_poisoned && shared_memory()[thread_index().x] == 0xff; });
  check(is_poisoned, "shared memory that is not poisoned");
}

}  // namespace

int main() {
  for (const Instruction &instruction : instructions) check_instruction(instruction);
  check_matrices();
  check_refusals();
  std::printf(failures == 0 ? "lane maps and meetings are right\n" : "%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
