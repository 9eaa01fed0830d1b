#include "engine/kernels/kernels.h"

#include "engine/base/check.h"

namespace strata {

MatmulFn Kernels::matmul(TensorType type) const {
    switch (type) {
        case TensorType::f32:
            return matmul_f32;
        case TensorType::f16:
            return matmul_f16;
        case TensorType::bf16:
            return matmul_bf16;
        case TensorType::q8_0:
            return matmul_q8_0;
        case TensorType::q4_0:
            return matmul_q4_0;
        case TensorType::q4_1:
            return matmul_q4_1;
        case TensorType::q5_0:
            return matmul_q5_0;
        case TensorType::q5_1:
            return matmul_q5_1;
        case TensorType::q2_k:
            return matmul_q2_k;
        case TensorType::q3_k:
            return matmul_q3_k;
        case TensorType::q4_k:
            return matmul_q4_k;
        case TensorType::q5_k:
            return matmul_q5_k;
        case TensorType::q6_k:
            return matmul_q6_k;
        case TensorType::iq4_nl:
            return matmul_iq4_nl;
        case TensorType::iq4_xs:
            return matmul_iq4_xs;
    }
    CHECK(!"a tensor type without a kernel");
    return nullptr;
}

const Kernels* find_kernels(std::string_view name) {
    for (const Kernels* kernels : available_kernels())
        if (name == kernels->name) return kernels;
    return nullptr;
}

}  // namespace strata
