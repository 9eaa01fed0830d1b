// Whatever a model's header says, it opens and computes finite or infinite numbers, or it is an Error. The first byte
// chooses a tiny model, every three more change one byte of its header, metadata before the vocabulary and the list of
// tensors behind it:
//   model_fuzz -max_total_time=60
#include "engine/base/check.h"
#include "engine/session.h"
#include "tests/engine/tiny_models.h"

namespace {

using namespace strata;

// As small as each architecture gets.
std::string small_model(TinyModel model) {
    model.layers = 2;
    model.d_model = model.d_ffn = model.head_dim = 32;
    model.heads = 2;
    model.kv_heads = 1;
    model.rope_dim = 0;
    return make_tiny_model(model, TensorType::q4_0);
}

const std::string& base(size_t index) {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> models;
        for (const TinyModel& model : tiny_models()) models.push_back(small_model(model));
        return models;
    }();
    return all[index % all.size()];
}

void use(const Model& model) {
    const ModelConfig& c = model.config();
    // What a header may ask for is not what this machine must give.
    if (uint64_t(c.n_layers) * uint64_t(c.n_kv_heads) * uint64_t(c.head_dim) > 1 << 16) return;
    SessionOptions options;
    options.kv = {KvType::fp32, KvType::fp32, 0, 0};
    const auto session = Session::open(model, options);
    if (!session) return;
    const std::vector<int> tokens = {3, 260, 5, 9};
    CHECK((*session)->append(tokens));
    CHECK(int((*session)->logits().size()) == c.n_vocab);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) return 0;
    std::string bytes = base(data[0]);
    const size_t vocabulary = bytes.find("tokenizer.ggml.model"), tensors = bytes.find("tokenizer.ggml.eos_token_id");
    const size_t end = std::min(bytes.size(), tensors + 4096);
    for (size_t i = 1; i + 2 < size; i += 3) {
        const size_t at = (size_t(data[i]) << 8 | data[i + 1]) % (vocabulary + end - tensors);
        bytes[at < vocabulary ? at : tensors + at - vocabulary] = char(data[i + 2]);
    }
    const auto model = Model::open({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    if (model)
        use(**model);
    else
        CHECK(!model.error().message.empty());
    return 0;
}
