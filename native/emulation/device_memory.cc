#include "device_memory.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace hass::emulation {

namespace {

constexpr std::size_t alignment = 256;
constexpr std::size_t guard_bytes = 1024;
constexpr unsigned char guard = 0xa5;

std::mutex mutex;
std::map<const unsigned char *, std::size_t> pieces;  // by where they begin
std::atomic<unsigned> changes{0};

struct Piece {
  const unsigned char *begin = nullptr, *end = nullptr;

  bool has(const unsigned char *first, std::size_t bytes) const { return first >= begin && first + bytes <= end; }
};

}  // namespace

void *allocate_piece(std::size_t bytes) {
  // Pages that nobody touches cost nothing, as scratch memory for the longest context mostly is.
  const std::size_t whole = (bytes + guard_bytes + alignment - 1) / alignment * alignment;
  auto *piece = static_cast<unsigned char *>(std::aligned_alloc(alignment, whole));
  if (!piece) return nullptr;
  std::memset(piece + bytes, guard, whole - bytes);
  const std::lock_guard<std::mutex> lock(mutex);
  pieces[piece] = bytes;
  ++changes;
  return piece;
}

void release_piece(void *piece) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    pieces.erase(static_cast<unsigned char *>(piece));
    ++changes;
  }
  std::free(piece);
}

bool is_in_a_piece(const void *first, std::size_t bytes) {
  // Copies of a block mostly follow each other.
  thread_local Piece last;
  thread_local unsigned last_changes = 0;
  const auto *begin = static_cast<const unsigned char *>(first);
  if (last_changes == changes && last.has(begin, bytes)) return true;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto next = pieces.upper_bound(begin);
  if (next == pieces.begin()) return false;
  const auto &[start, size] = *std::prev(next);
  last = {start, start + size};
  last_changes = changes;
  return last.has(begin, bytes);
}

bool is_a_piece_overrun() {
  const std::lock_guard<std::mutex> lock(mutex);
  return std::any_of(pieces.begin(), pieces.end(), [](const auto &piece) {
    const unsigned char *first = piece.first + piece.second;
    return !std::all_of(first, first + guard_bytes, [](unsigned char byte) { return byte == guard; });
  });
}

}  // namespace hass::emulation
