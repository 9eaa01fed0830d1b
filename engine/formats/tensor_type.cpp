#include "engine/formats/tensor_type.h"

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/formats/iq4_nl.h"
#include "engine/formats/iq4_xs.h"
#include "engine/formats/q2_k.h"
#include "engine/formats/q3_k.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q4_1.h"
#include "engine/formats/q4_k.h"
#include "engine/formats/q5_0.h"
#include "engine/formats/q5_1.h"
#include "engine/formats/q5_k.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"

namespace strata {

namespace {

void decode_f32(const uint8_t* bytes, float* out, int64_t n) { std::memcpy(out, bytes, size_t(n) * sizeof(float)); }
void decode_f16(const uint8_t* bytes, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = half_to_float(load_unaligned<uint16_t>(bytes + 2 * i));
}
void decode_bf16(const uint8_t* bytes, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = bfloat_to_float(load_unaligned<uint16_t>(bytes + 2 * i));
}

constexpr TensorTraits kTraits[] = {
    {TensorType::f32, "F32", 1, 4, decode_f32},
    {TensorType::f16, "F16", 1, 2, decode_f16},
    {TensorType::bf16, "BF16", 1, 2, decode_bf16},
    {TensorType::q8_0, "Q8_0", BlockQ8_0::kValues, sizeof(BlockQ8_0), decode_q8_0},
    {TensorType::q4_0, "Q4_0", BlockQ4_0::kValues, sizeof(BlockQ4_0), decode_q4_0},
    {TensorType::q4_1, "Q4_1", BlockQ4_1::kValues, sizeof(BlockQ4_1), decode_q4_1},
    {TensorType::q5_0, "Q5_0", BlockQ5_0::kValues, sizeof(BlockQ5_0), decode_q5_0},
    {TensorType::q5_1, "Q5_1", BlockQ5_1::kValues, sizeof(BlockQ5_1), decode_q5_1},
    {TensorType::q2_k, "Q2_K", BlockQ2_K::kValues, sizeof(BlockQ2_K), decode_q2_k},
    {TensorType::q3_k, "Q3_K", BlockQ3_K::kValues, sizeof(BlockQ3_K), decode_q3_k},
    {TensorType::q4_k, "Q4_K", BlockQ4_K::kValues, sizeof(BlockQ4_K), decode_q4_k},
    {TensorType::q5_k, "Q5_K", BlockQ5_K::kValues, sizeof(BlockQ5_K), decode_q5_k},
    {TensorType::q6_k, "Q6_K", BlockQ6_K::kValues, sizeof(BlockQ6_K), decode_q6_k},
    {TensorType::iq4_nl, "IQ4_NL", BlockIQ4_NL::kValues, sizeof(BlockIQ4_NL), decode_iq4_nl},
    {TensorType::iq4_xs, "IQ4_XS", BlockIQ4_XS::kValues, sizeof(BlockIQ4_XS), decode_iq4_xs},
};

// Every type that GGUF numbers; nullptr where a number was given up.
constexpr const char* kNames[] = {"F32",     "F16",    "Q4_0",    "Q4_1",  "Q4_2",   "Q4_3",  "Q5_0",  "Q5_1",
                                  "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
                                  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
                                  "I8",      "I16",    "I32",     "I64",   "F64",    "IQ1_M", "BF16",  nullptr,
                                  nullptr,   nullptr,  "TQ1_0",   "TQ2_0", nullptr,  nullptr, nullptr, "MXFP4"};

}  // namespace

const TensorTraits* tensor_traits(uint32_t type_in_file) {
    for (const TensorTraits& traits : kTraits)
        if (uint32_t(traits.type) == type_in_file) return &traits;
    return nullptr;
}

const TensorTraits& tensor_traits(TensorType type) {
    const TensorTraits* traits = tensor_traits(uint32_t(type));
    CHECK(traits != nullptr);
    return *traits;
}

std::string supported_tensor_types() {
    std::string list;
    for (const TensorTraits& traits : kTraits) list += (list.empty() ? "" : ", ") + std::string(traits.name);
    return list;
}

std::string tensor_type_name(uint32_t type_in_file) {
    if (type_in_file < std::size(kNames) && kNames[type_in_file]) return kNames[type_in_file];
    return "type " + std::to_string(type_in_file);
}

}  // namespace strata
