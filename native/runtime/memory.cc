#include "memory.h"

#include <atomic>
#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "../include/hass_backend.h"

namespace hass {
namespace {

std::atomic<std::int64_t> countdown{0};

bool is_made_to_fail() {
  if (countdown.load(std::memory_order_relaxed) <= 0) return false;
  return countdown.fetch_sub(1, std::memory_order_relaxed) == 1;
}

constexpr std::uint64_t huge_page = 2u << 20;

}  // namespace

void *allocate(std::size_t bytes) {
  void *memory = is_made_to_fail() ? nullptr : std::malloc(bytes ? bytes : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}

void *allocate_aligned(std::size_t bytes, std::size_t alignment) {
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void *memory = is_made_to_fail() ? nullptr : std::aligned_alloc(alignment, rounded);
  if (!memory) throw std::bad_alloc();
  return memory;
}

void release(void *memory) noexcept { std::free(memory); }

Block::Block(std::uint64_t bytes) : size_(bytes) {
  if (bytes > HASS_MAX_BYTES || bytes > SIZE_MAX / 2 || is_made_to_fail()) throw std::bad_alloc();
  base_ = std::calloc(1, static_cast<std::size_t>(bytes) + HASS_ALIGNMENT);
  if (!base_) throw std::bad_alloc();
  const auto address = reinterpret_cast<std::uintptr_t>(base_);
  data_ = reinterpret_cast<unsigned char *>((address + HASS_ALIGNMENT - 1) & ~std::uintptr_t(HASS_ALIGNMENT - 1));
#if defined(__linux__)
  // Streaming gigabytes of weights through 4 KiB pages costs a TLB miss per page. Only advice: failure is no matter.
  if (bytes >= 4 * huge_page) {
    const std::uintptr_t begin = (address + huge_page - 1) & ~std::uintptr_t(huge_page - 1);
    const std::uintptr_t end = (address + bytes) & ~std::uintptr_t(huge_page - 1);
    if (begin < end) madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
  }
#endif
}

}  // namespace hass

extern "C" void hass_fail_allocation(std::int64_t count) { hass::countdown.store(count, std::memory_order_relaxed); }
