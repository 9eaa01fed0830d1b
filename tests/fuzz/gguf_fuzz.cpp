// Any bytes are a GGUF file or an Error, and whatever opens can be read and tokenized with.
//   gguf_fuzz -max_total_time=60 CORPUS_FOLDER
#include <algorithm>
#include <vector>

#include "engine/base/check.h"
#include "engine/gguf/gguf.h"
#include "engine/kernels/kernels.h"
#include "engine/model/model.h"
#include "engine/model/plan.h"

namespace {

using namespace strata;

void read_metadata(const GgufFile& file) {
    for (const auto& [key, value] : file.metadata()) {
        CHECK(file.find(key) == &value);
        CHECK(!GgufFile::to_text(value).empty() || value.type == GgufType::string);
        file.unsigned_integer(key);
        file.number(key);
        file.boolean(key);
        file.string(key);
        file.strings(key);
        file.floats(key);
        file.integers(key);
    }
}

// Whatever the bytes are, a row is decoded, and the best kernels multiply with it.
void use_first_row(const GgufTensor& tensor) {
    const TensorTraits& traits = tensor_traits(tensor.type);
    constexpr uint64_t kMost = 1 << 12;
    const auto cols = int64_t(std::min(tensor.columns(), kMost));
    if (tensor.data.empty() || traits.block_values == 1) return;
    std::vector<float> values(size_t(cols), 1.0f), scales(size_t(cols / 32)), sums(size_t(n_activation_sums(cols)));
    traits.decode(tensor.data.data(), values.data(), cols);

    const Kernels& kernels = best_kernels();
    const std::vector<float> x(size_t(cols), 1.0f);
    std::vector<uint8_t> quantised(size_t(cols) * kernels.activation_bytes);
    kernels.quantise_row(x.data(), quantised.data(), scales.data(), cols);
    kernels.sum_activations(quantised.data(), cols, sums.data());
    float out;
    kernels.matmul(tensor.type)(
        {tensor.data.data(), cols, x.data(), quantised.data(), scales.data(), 1, &out, 1, sums.data()}, 0, 1);
}

void read_tensors(const GgufFile& file) {
    for (const GgufTensor& tensor : file.tensors()) {
        CHECK(file.tensor(tensor.name) == &tensor);
        CHECK(tensor.n_elements() == tensor.rows() * tensor.columns());
        volatile uint8_t seen = 0;
        if (!tensor.data.empty()) seen = tensor.data.front() ^ tensor.data.back();
        (void)seen;
        use_first_row(tensor);
    }
}

void use_tokenizer(const GgufFile& file) {
    const auto tokenizer = open_tokenizer(file);
    if (!tokenizer) return;
    for (const SpecialTokens special : {SpecialTokens::as_text, SpecialTokens::parse}) {
        const auto ids = tokenizer->encode("Hello <|im_end|>\n it's 1,234 \xC3\xA9\xFF ab", special);
        for (const int id : ids) CHECK(id >= 0 && id < tokenizer->size());
        tokenizer->decode(ids, true);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const uint8_t> bytes(data, size);
    (void)plan_memory(bytes, uint64_t(size) << 20, 0);
    const uint64_t halves[] = {size / 2, size - size / 2};
    if (const auto parts = GgufFile::open_parts(bytes, halves)) read_tensors(*parts);
    const auto file = GgufFile::open({data, size});
    if (!file) {
        CHECK(!file.error().message.empty());
        return 0;
    }
    read_metadata(*file);
    read_tensors(*file);
    use_tokenizer(*file);
    return 0;
}
