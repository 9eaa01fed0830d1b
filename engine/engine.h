// The public face of the engine: the only header that wasm/ and engine/cli/ include.
#pragma once
#include "engine/base/printable.h"
#include "engine/base/result.h"
#include "engine/eval/guard.h"
#include "engine/eval/kld.h"
#include "engine/eval/logits_digest.h"
#include "engine/eval/perplexity.h"
#include "engine/eval/recall.h"
#include "engine/gguf/gguf.h"
#include "engine/kv/kv_options.h"
#include "engine/model/model.h"
#include "engine/model/plan.h"
#include "engine/model/weights.h"
#include "engine/sampler/sampler.h"
#include "engine/session.h"
#include "engine/tokenizer/tokenizer.h"

namespace strata {

// What this build is: for `--version`, the page's about line and every record of a measurement.
struct BuildInfo {
    const char* commit;  // short hash, "-dirty" where the tree had changes; "unknown" outside a checkout
    const char* compiler;
    const char* simd;  // the best backend of this build on this machine
};
BuildInfo build_info();

// One number for everything the kernels compute, on inputs made from a fixed seed: the same in every build, on every
// machine, for every thread count (tests/engine/signature.h holds it).
uint32_t kernel_signature();
uint32_t weights_signature();

}  // namespace strata
