// Memory of the emulated device. Behind each piece lie bytes that no kernel may write, and asynchronous copies may read
// what is in a piece alone.
#pragma once

#include <cstddef>

namespace hass::emulation {

// 256-byte aligned; NULL where there is none left.
void *allocate_piece(std::size_t bytes);
void release_piece(void *piece);

// Whether all of [first, first + bytes) is in one piece.
bool is_in_a_piece(const void *first, std::size_t bytes);
// Whether something has written behind a piece.
bool is_a_piece_overrun();

}  // namespace hass::emulation
