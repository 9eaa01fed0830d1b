// A backend for tests alone: Scalar, with activations that lie as AVX-512's do, which few machines have. 32 of them
// share what lies behind their bytes, so that whoever takes them for bytes in a row reads what is none. And it fetches
// by storing, as WebAssembly does.
#include <cstring>

#include "engine/kernels/kernels.inl.h"
#include "engine/simd/scalar.h"
#include "tests/engine/every_backend.h"

namespace strata {

namespace {

struct Shared : Scalar {
    static constexpr const char* kName = "shared";
    static constexpr int kPanelTokens = 8;
    struct Activation {
        uint8_t half[2];
    };
    static constexpr bool kFetchesByStoring = true;
    static void store_again(const uint8_t* p, uint8_t byte) { *const_cast<volatile uint8_t*>(p) = byte; }

    static void quantise32(const float* x, float scale, Activation* out) {
        int8_t* q = reinterpret_cast<int8_t*>(out);
        Scalar::quantise32(x, scale, q);
        std::memset(q + 32, 0x55, 32);
    }
    static Ints dot(Weights32 w, const Activation* x) { return Scalar::dot(w, bytes(x)); }
    using Scalar::dot;
    static Ints dot_start(const Activation*) { return {0, 0}; }
    static Ints dot_add(Ints acc, Weights32 w, const Activation* x) { return add(acc, dot(w, x)); }
    using Scalar::add;
    static Ints dot_unsigned(Weights32 w, const Activation* x) { return dot(w, x); }
    static RowSums start_rows(const Activation*) { return {}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Activation* x, int column, CellConstants constants) {
        return Scalar::dot_rows<kPositive>(acc, w, bytes(x + column / 32 * 32), column % 32, constants);
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        constexpr int64_t kBytes = sizeof(Activation);
        Scalar::panel_dots<kCodes, kOffset, kTokens, kFirst, kColumns>(w, bytes(x), stride * kBytes, dots);
    }

private:
    static const int8_t* bytes(const Activation* x) { return reinterpret_cast<const int8_t*>(x); }
};

}  // namespace

const Kernels kSharedKernels = KernelsFor<Shared>::table();

}  // namespace strata
