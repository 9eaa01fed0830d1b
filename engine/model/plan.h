// What a model will need, from its file's header alone: asked before it is downloaded.
// `strata inspect` and the page say the same numbers, because both ask here.
#pragma once
#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>

#include "engine/kv/kv_options.h"
#include "engine/model/model.h"

namespace strata {

struct MemoryPlan {
    ModelConfig config;
    std::string weight_types;    // as Model::weight_types(); of a split model: of its first file
    uint64_t n_parameters = 0;   // 0: not in the header (split models)
    uint64_t weight_bytes = 0;   // in memory: the whole file or files, as they are
    uint64_t working_bytes = 0;  // activations, tokenizer, tables: about, and rather more than less
    uint64_t window_bytes = 0;   // the least that a conversation takes: its exact window and the last turn's copy
    // Of a token that has left the exact window, in layers that see everything and in those with a window.
    struct TokenBytes {
        double global, windowed;
    };
    // For each of kKvPresets. nullopt: heads of this model cannot be compressed.
    std::array<std::optional<TokenBytes>, std::size(kKvPresets)> bytes_per_token;
    int64_t windowed_tokens = 0;   // the most in layers with a window, those kept for the last turn and its answer too
    double scratch_per_token = 0;  // beside those, whatever the preset

    // How many tokens of conversation fit into `bytes` beside the weights; 0: the model itself does not fit.
    int64_t tokens_within(KvPreset preset, uint64_t bytes) const;
};

// `start`: the first bytes of a file of file_bytes; all_bytes: the same, or the sum over all files of a split model; 0:
// nobody knows, and what the tensors need is taken (file_bytes may be anything large then).
// Errors are those of Model::open as far as the header shows them, and corrupt_file while the header does not end in
// `start` (GgufFile::open_header).
Result<MemoryPlan> plan_memory(std::span<const uint8_t> start, uint64_t file_bytes, uint64_t all_bytes);

// What a WebAssembly memory of 32-bit addresses holds, less what the engine's code and the allocator need.
constexpr uint64_t kTabBytes = (uint64_t(1) << 32) - (uint64_t(64) << 20);

}  // namespace strata
