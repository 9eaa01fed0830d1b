// Writes a tiny model (tests/engine/tiny_models.h) for other programs to read.
//   tiny_model                  lists the names, and the tokens that golden files are made with, as JSON
//   tiny_model NAME TYPE FILE   writes the model with matrices of that type (F32, Q8_0, ...); prints FNV-1a of its
//   bytes
#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "engine/base/hash.h"
#include "tests/engine/test_files.h"
#include "tests/engine/tiny_models.h"

using namespace strata;

namespace {

std::optional<TensorType> type_named(std::string_view name) {
    for (uint32_t number = 0; number < 64; ++number)
        if (const TensorTraits* traits = tensor_traits(number); traits && name == traits->name) return traits->type;
    return std::nullopt;
}

void list() {
    std::printf("{\"models\":[");
    const char* separator = "";
    for (const TinyModel& model : tiny_models()) {
        std::printf("%s\"%s\"", separator, model.name.c_str());
        separator = ",";
    }
    std::printf("],\"tokens\":[");
    separator = "";
    for (const int token : tiny_tokens()) {
        std::printf("%s%d", separator, token);
        separator = ",";
    }
    std::printf("],\"context\":%d}\n", kTinyContext);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        list();
        return 0;
    }
    const TinyModel* model = argc == 4 ? find_tiny_model(argv[1]) : nullptr;
    const auto type = argc == 4 ? type_named(argv[2]) : std::nullopt;
    if (!model || !type) {
        std::fprintf(stderr, "usage: tiny_model [NAME TYPE FILE]\n");
        return 2;
    }
    const std::string bytes = make_tiny_model(*model, *type);
    std::ofstream(argv[3], std::ios::binary) << bytes;
    std::printf("%016" PRIx64 "\n", fnv1a(bytes_of(bytes)));
    return 0;
}
