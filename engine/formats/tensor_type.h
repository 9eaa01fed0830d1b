// The tensor types of GGUF that the engine can compute with, and what each occupies.
// A new type is one file engine/formats/NAME.h plus one line in tensor_type.cpp.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace strata {

// Numbered as in the file.
enum class TensorType : uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    iq4_nl = 20,
    iq4_xs = 23,
    bf16 = 30
};

struct TensorTraits {
    TensorType type;
    const char* name;  // as llama.cpp spells it: "Q8_0"
    int block_values;  // values that share a block; a row is a whole number of blocks
    int block_bytes;
    // Slow and obvious: out (n), n a multiple of block_values. The reference for every kernel.
    void (*decode)(const uint8_t* blocks, float* out, int64_t n);
};

// nullptr for a type that the engine does not know.
const TensorTraits* tensor_traits(uint32_t type_in_file);
const TensorTraits& tensor_traits(TensorType type);

// "F32, F16, Q4_0, …" for error messages.
std::string supported_tensor_types();

// The name of any GGUF tensor type, also of those that the engine cannot compute with ("IQ2_XXS", "type 99").
std::string tensor_type_name(uint32_t type_in_file);

}  // namespace strata
