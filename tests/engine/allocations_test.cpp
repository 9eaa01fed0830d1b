#include "tests/engine/allocations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace {

std::atomic<size_t> in_use{0};
constexpr size_t kHeader = 64;  // keeps the largest alignment that is asked for

void* allocate(size_t size) {
    const size_t whole = (size + 2 * kHeader - 1) / kHeader * kHeader;
    char* block = static_cast<char*>(std::aligned_alloc(kHeader, whole));
    if (!block) return nullptr;
    *reinterpret_cast<size_t*>(block) = size;
    in_use += size;
    return block + kHeader;
}

void release(void* p) {
    if (!p) return;
    char* block = static_cast<char*>(p) - kHeader;
    in_use -= *reinterpret_cast<size_t*>(block);
    std::free(block);
}

}  // namespace

void* operator new(size_t size) {
    if (void* p = allocate(size)) return p;
    throw std::bad_alloc();
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return size_t(alignment) <= kHeader ? allocate(size) : nullptr;
}
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, size_t) noexcept { release(p); }
void operator delete[](void* p, size_t) noexcept { release(p); }

namespace strata {

size_t allocated_bytes() { return in_use; }

TEST(Allocations, AreCounted) {
    const size_t before = allocated_bytes();
    const std::vector<float> floats(1000);
    const std::unique_ptr<uint8_t[]> bytes(new (std::nothrow) uint8_t[500]);
    EXPECT_EQ(allocated_bytes() - before, 4500u);
}

}  // namespace strata
