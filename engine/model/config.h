// Reads and checks the shape of a transformer from a GGUF file's metadata.
#pragma once
#include "engine/base/result.h"
#include "engine/gguf/gguf.h"
#include "engine/model/model.h"

namespace strata {

// unsupported_arch names the architecture and those that are known; corrupt_file names the key and what was expected.
Result<ModelConfig> read_config(const GgufFile& file);

}  // namespace strata
