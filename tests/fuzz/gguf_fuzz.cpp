// Any bytes are a GGUF file or an Error, and whatever opens can be read and tokenized with.
//   gguf_fuzz -max_total_time=60 CORPUS_FOLDER
#include "engine/base/check.h"
#include "engine/gguf/gguf.h"
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

void read_tensors(const GgufFile& file) {
    for (const GgufTensor& tensor : file.tensors()) {
        CHECK(file.tensor(tensor.name) == &tensor);
        CHECK(tensor.n_elements() == tensor.rows() * tensor.columns());
        volatile uint8_t seen = 0;
        if (!tensor.data.empty()) seen = tensor.data.front() ^ tensor.data.back();
        (void)seen;
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
