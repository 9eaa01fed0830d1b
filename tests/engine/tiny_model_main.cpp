// Writes tiny models (tests/engine/tiny_models.h) for other programs to read.
//   tiny_model                       lists what golden files are made of, as JSON
//   tiny_model NAME TYPE PART FILE   writes the model whose matrices, or embedding, are of that type (F32, Q8_0, ...);
//                                    prints FNV-1a of its bytes
#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "engine/base/hash.h"
#include "tests/engine/random_blocks.h"
#include "tests/engine/test_files.h"
#include "tests/engine/tiny_models.h"

using namespace strata;

namespace {

template <class List, class Write>
void list(const char* name, const List& items, const Write& write) {
    std::printf("\"%s\":[", name);
    const char* separator = "";
    for (const auto& item : items) {
        std::printf("%s", separator);
        write(item);
        separator = ",";
    }
    std::printf("]");
}

void list_type(TensorType type) { std::printf("\"%s\"", tensor_traits(type).name); }

void list_all() {
    std::printf("{");
    list("models", tiny_models(), [](const TinyModel& model) {
        std::printf("{\"name\":\"%s\",", model.name.c_str());
        list("types", golden_types_of(model), list_type);
        std::printf("}");
    });
    std::printf(",\"tensor_types_model\":\"%s\",", tensor_types_model().name.c_str());
    list("tensor_types", kAllTensorTypes, list_type);
    std::printf(",");
    list("tokens", tiny_tokens(), [](int token) { std::printf("%d", token); });
    std::printf(",\"context\":%d}\n", kTinyContext);
}

const TinyModel* model_named(const std::string& name) {
    return name == tensor_types_model().name ? &tensor_types_model() : find_tiny_model(name);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        list_all();
        return 0;
    }
    const TinyModel* model = argc == 5 ? model_named(argv[1]) : nullptr;
    for (const TensorType type : kAllTensorTypes)
        for (const TypedPart part : {TypedPart::matrices, TypedPart::embedding})
            if (model && std::string(argv[2]) == tensor_traits(type).name && std::string(argv[3]) == name_of(part)) {
                const std::string bytes = make_tiny_model(*model, type, part);
                std::ofstream(argv[4], std::ios::binary) << bytes;
                std::printf("%016" PRIx64 "\n", fnv1a(bytes_of(bytes)));
                return 0;
            }
    std::fprintf(stderr, "usage: tiny_model [NAME TYPE PART FILE]\n");
    return 2;
}
