// Counts what operator new hands out in the test program: the allocator's own word on how many bytes are in use.
#pragma once
#include <cstddef>

namespace strata {

size_t allocated_bytes();

}  // namespace strata
