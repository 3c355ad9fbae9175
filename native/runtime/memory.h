// All memory of the runtime: every allocation may fail, and tests can make it fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace hass {

// Throws std::bad_alloc. Memory is aligned for any scalar.
void *allocate(std::size_t bytes);
void *allocate_aligned(std::size_t bytes, std::size_t alignment);
void release(void *memory) noexcept;

template <typename T> struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <typename U> Allocator(const Allocator<U> &) {}
  T *allocate(std::size_t count) {
    if (count > SIZE_MAX / sizeof(T)) throw std::bad_alloc();
    return static_cast<T *>(hass::allocate(count * sizeof(T)));
  }
  void deallocate(T *memory, std::size_t) noexcept { hass::release(memory); }
  template <typename U> bool operator==(const Allocator<U> &) const { return true; }
  template <typename U> bool operator!=(const Allocator<U> &) const { return false; }
};

template <typename T> using Vector = std::vector<T, Allocator<T>>;

// Classes that `new` shall allocate the same way; the second pair is for what is aligned to cache lines.
struct Managed {
  static void *operator new(std::size_t bytes) { return allocate(bytes); }
  static void operator delete(void *memory) noexcept { release(memory); }
  static void *operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate_aligned(bytes, static_cast<std::size_t>(alignment));
  }
  static void operator delete(void *memory, std::align_val_t) noexcept { release(memory); }
};

// Zeroed bytes at a 64-byte boundary. Pages that nobody touches cost nothing.
class Block {
 public:
  Block() = default;
  explicit Block(std::uint64_t bytes);
  ~Block() { release(base_); }
  Block(Block &&other) noexcept { swap(other); }
  Block &operator=(Block &&other) noexcept {
    Block moved(std::move(other));
    swap(moved);
    return *this;
  }
  Block(const Block &) = delete;
  Block &operator=(const Block &) = delete;

  unsigned char *data() const { return data_; }
  std::uint64_t size() const { return size_; }

 private:
  void swap(Block &other) noexcept {
    std::swap(base_, other.base_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  void *base_ = nullptr;
  unsigned char *data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace hass
