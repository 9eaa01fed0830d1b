// Writes the models of tests/engine/tensor_type_models.h for other programs to read.
//   tensor_type_model                  lists tensor types, parts and tokens, as JSON
//   tensor_type_model TYPE PART FILE   writes the model; prints FNV-1a of its bytes
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include "engine/base/hash.h"
#include "tests/engine/tensor_type_models.h"
#include "tests/engine/test_files.h"

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

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        std::printf("{");
        list("types", kAllTensorTypes, [](TensorType type) { std::printf("\"%s\"", tensor_traits(type).name); });
        std::printf(",");
        list("parts", kTypedParts, [](TypedPart part) { std::printf("\"%s\"", name_of(part)); });
        std::printf(",");
        list("tokens", typed_model_tokens(), [](int token) { std::printf("%d", token); });
        std::printf("}\n");
        return 0;
    }
    for (const TensorType type : kAllTensorTypes)
        for (const TypedPart part : kTypedParts)
            if (argc == 4 && std::string(argv[1]) == tensor_traits(type).name &&
                std::string(argv[2]) == name_of(part)) {
                const std::string bytes = TypedModel::make(part, type);
                std::ofstream(argv[3], std::ios::binary) << bytes;
                std::printf("%016" PRIx64 "\n", fnv1a(bytes_of(bytes)));
                return 0;
            }
    std::fprintf(stderr, "usage: tensor_type_model [TYPE PART FILE]\n");
    return 2;
}
