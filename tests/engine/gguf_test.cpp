#include "engine/gguf/gguf.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/engine/gguf_builder.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

constexpr uint32_t kF32 = 0, kQ8_0 = 8, kIq2Xxs = 16;

void expect_error(const GgufBuilder& builder, ErrorCode code, std::string_view part) {
    const auto file = builder.open();
    ASSERT_FALSE(file) << "expected an error that says: " << part;
    EXPECT_EQ(error_name(file.error().code), std::string(error_name(code))) << file.error().message;
    EXPECT_NE(file.error().message.find(part), std::string::npos) << file.error().message;
}

// Two tensors and a few values of every kind.
GgufBuilder small_file() {
    GgufBuilder builder;
    builder.header(2, 4).string("general.name", "small").u32("n", 7).strings("words", {"a", "", "ccc"});
    builder.array("numbers", GgufType::i32, 2).put<int32_t>(-1).put<int32_t>(5);
    builder.tensor("weight", {32, 2}, kQ8_0, 0).tensor("bias", {3}, kF32, 96).pad();
    builder.bytes().append(96, '\1').append(12, '\2');
    return builder;
}

TEST(Gguf, AHeaderIsEnoughToKnowEveryTensorsSize) {
    const GgufBuilder whole = small_file();
    const auto bytes = whole.span();
    const auto file = GgufFile::open_header(bytes.first(bytes.size() - 108), bytes.size());  // not a byte of weights
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->tensor("weight")->data_bytes, 68u);
    EXPECT_TRUE(file->tensor("weight")->data.empty());
    EXPECT_EQ(whole.open()->tensor("weight")->data_bytes, 68u);
    const auto early = GgufFile::open_header(bytes.first(100), bytes.size());
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code, ErrorCode::corrupt_file);
    const auto short_file = GgufFile::open_header(bytes.first(bytes.size() - 108), bytes.size() - 50);
    EXPECT_FALSE(short_file) << "a file that is shorter than its tensors need";
}

// One of three files of a model: a tensor of four floats, whose values are its number.
std::string split_part(uint16_t no, uint16_t count, const char* tensor, int32_t promised = 3) {
    GgufBuilder builder;
    builder.header(1, 3).key("split.no", GgufType::u16).put(no).key("split.count", GgufType::u16).put(count);
    builder.key("split.tensors.count", GgufType::i32).put(promised).tensor(tensor, {4}, kF32, 0).pad();
    for (int i = 0; i < 4; ++i) builder.put(float(no));
    return builder.bytes();
}

Result<GgufFile> open_split(const std::vector<std::string>& parts, std::string& all) {
    std::vector<uint64_t> sizes;
    for (const std::string& part : parts) {
        all += part;
        sizes.push_back(part.size());
    }
    return GgufFile::open_parts({reinterpret_cast<const uint8_t*>(all.data()), all.size()}, sizes);
}

TEST(Gguf, PartsOfASplitModelAreOneModel) {
    std::string all;
    const auto file = open_split({split_part(0, 3, "a"), split_part(1, 3, "b"), split_part(2, 3, "c")}, all);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_EQ(file->tensors().size(), 3u);
    float value;
    std::memcpy(&value, file->tensor("c")->data.data(), sizeof value);
    EXPECT_EQ(value, 2);
}

TEST(Gguf, PartsThatDoNotBelongTogetherAreRefused) {
    const auto refused = [](const std::vector<std::string>& parts, const char* says) {
        std::string all;
        const auto file = open_split(parts, all);
        ASSERT_FALSE(file) << says;
        EXPECT_EQ(file.error().code, ErrorCode::corrupt_file);
        EXPECT_NE(file.error().message.find(says), std::string::npos) << file.error().message;
    };
    refused({split_part(0, 3, "a")}, "part 1 of a model in 3 files");
    refused({split_part(1, 2, "b"), split_part(0, 2, "a")}, "part 2 of a model in 2 files");
    refused({split_part(0, 2, "a", 2), split_part(1, 2, "a", 2)}, "there twice");
    refused({split_part(0, 2, "a"), split_part(1, 2, "b")}, "hold 2 tensors, where 3 were promised");
    const std::string one = split_part(0, 1, "a", 1);
    const std::vector<uint64_t> beyond = {one.size() + 1}, within = {one.size() - 1};
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(one.data()), one.size());
    EXPECT_FALSE(GgufFile::open_parts(bytes, beyond));
    EXPECT_FALSE(GgufFile::open_parts(bytes, within));
}

TEST(Gguf, ReadsMetadataOfEveryType) {
    GgufBuilder builder;
    builder.header(0, 12);
    builder.key("u8", GgufType::u8).put<uint8_t>(200).key("i8", GgufType::i8).put<int8_t>(-3);
    builder.key("u16", GgufType::u16).put<uint16_t>(60000).key("i16", GgufType::i16).put<int16_t>(300);
    builder.u32("u32", 4000000000u).key("i32", GgufType::i32).put<int32_t>(-70000);
    builder.key("u64", GgufType::u64).put(~uint64_t{0}).key("i64", GgufType::i64).put(int64_t{1} << 40);
    builder.key("f32", GgufType::f32).put(0.1f).key("f64", GgufType::f64).put(1e-5);
    builder.boolean("bool", true).string("text", "line\nbreak");
    const auto file = builder.open();
    ASSERT_TRUE(file) << file.error().message;

    EXPECT_EQ(file->unsigned_integer("u8"), 200u);
    EXPECT_EQ(file->unsigned_integer("i8"), std::nullopt);
    EXPECT_EQ(file->number("i8"), -3.0);
    EXPECT_EQ(file->unsigned_integer("u16"), 60000u);
    EXPECT_EQ(file->unsigned_integer("i16"), 300u);
    EXPECT_EQ(file->unsigned_integer("u32"), 4000000000u);
    EXPECT_EQ(file->number("i32"), -70000.0);
    EXPECT_EQ(file->unsigned_integer("u64"), ~uint64_t{0});
    EXPECT_EQ(file->unsigned_integer("i64"), uint64_t{1} << 40);
    EXPECT_EQ(file->number("f32"), 0.1f);
    EXPECT_EQ(file->number("f64"), 1e-5);
    EXPECT_EQ(file->boolean("bool"), true);
    EXPECT_EQ(file->string("text"), "line\nbreak");

    EXPECT_EQ(file->unsigned_integer("f32"), std::nullopt);
    EXPECT_EQ(file->number("text"), std::nullopt);
    EXPECT_EQ(file->boolean("u8"), std::nullopt);
    EXPECT_EQ(file->string("absent"), std::nullopt);
    EXPECT_EQ(file->find("absent"), nullptr);
    EXPECT_EQ(file->metadata().size(), 12u);
    EXPECT_EQ(file->metadata()[11].first, "text");

    EXPECT_EQ(GgufFile::to_text(*file->find("i8")), "-3");
    EXPECT_EQ(GgufFile::to_text(*file->find("u64")), "18446744073709551615");
    EXPECT_EQ(GgufFile::to_text(*file->find("f32")), "0.1");
    EXPECT_EQ(GgufFile::to_text(*file->find("f64")), "1e-05");
    EXPECT_EQ(GgufFile::to_text(*file->find("bool")), "true");
    EXPECT_EQ(GgufFile::to_text(*file->find("text")), "line\\nbreak");
}

TEST(Gguf, ReadsArraysAndTensorsWithoutCopying) {
    const GgufBuilder builder = small_file();
    const auto file = builder.open();
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->version(), 3u);
    EXPECT_EQ(file->strings("words"), (std::vector<std::string_view>{"a", "", "ccc"}));
    EXPECT_EQ(file->integers("numbers"), (std::vector<int64_t>{-1, 5}));
    EXPECT_EQ(file->floats("numbers"), std::nullopt);
    EXPECT_EQ(file->strings("numbers"), std::nullopt);
    EXPECT_EQ(GgufFile::to_text(*file->find("words")), "[\"a\", \"\", \"ccc\"]");

    const GgufTensor* weight = file->tensor("weight");
    ASSERT_NE(weight, nullptr);
    EXPECT_EQ(weight->type, TensorType::q8_0);
    EXPECT_EQ(weight->columns(), 32u);
    EXPECT_EQ(weight->rows(), 2u);
    EXPECT_EQ(weight->data.size(), 68u);
    const GgufTensor* bias = file->tensor("bias");
    ASSERT_NE(bias, nullptr);
    EXPECT_EQ(bias->data.data(), builder.span().data() + builder.span().size() - 12);
    EXPECT_EQ(bias->data[0], 2);
    EXPECT_EQ(file->tensor("absent"), nullptr);
}

TEST(Gguf, LongArraysAreAbbreviatedForPeople) {
    GgufBuilder builder;
    builder.header(0, 1).array("a", GgufType::u8, 100);
    builder.bytes().append(100, '\7');
    const auto file = builder.open();
    ASSERT_TRUE(file);
    EXPECT_EQ(GgufFile::to_text(*file->find("a")), "[7, 7, 7, 7, 7, 7, … 100 in all]");
}

TEST(Gguf, OpensTheDefaultModel) {
    const std::string bytes = read_file(kDefaultModel);
    const auto file = GgufFile::open(bytes_of(bytes));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->string("general.architecture"), "llama");
    EXPECT_EQ(file->tensors().size(), 56u);
    EXPECT_EQ(file->strings("tokenizer.ggml.tokens")->size(), 4096u);
    ASSERT_NE(file->tensor("token_embd.weight"), nullptr);
    EXPECT_EQ(file->tensor("token_embd.weight")->shape, (std::vector<uint64_t>{256, 4096}));
}

TEST(Gguf, SaysWhatIsNoGguf) {
    GgufBuilder empty, page, old, future, big_endian;
    page.bytes() = "<!DOCTYPE html>";
    expect_error(empty, ErrorCode::not_gguf, "no GGUF file");
    expect_error(page, ErrorCode::not_gguf, "\"<!DO\"");
    expect_error(old.header(0, 0, 1), ErrorCode::not_gguf, "version 1");
    expect_error(future.header(0, 0, 4), ErrorCode::not_gguf, "version 4");
    expect_error(big_endian.header(0, 0, 0x03000000), ErrorCode::not_gguf, "big-endian");
}

TEST(Gguf, EveryTruncationIsAnError) {
    const GgufBuilder builder = small_file();
    ASSERT_TRUE(builder.open());
    for (size_t size = 0; size < builder.span().size(); ++size) {
        const std::string shorter(reinterpret_cast<const char*>(builder.span().data()), size);
        EXPECT_FALSE(GgufFile::open(bytes_of(shorter))) << "cut to " << size << " bytes";
    }
}

// Reads everything that a file which opened has to offer.
void read_all(const GgufFile& file) {
    for (const auto& [key, value] : file.metadata()) {
        EXPECT_EQ(file.find(key), &value);
        GgufFile::to_text(value);
        file.strings(key);
        file.integers(key);
        file.floats(key);
        file.number(key);
    }
    unsigned sum = 0;
    for (const GgufTensor& tensor : file.tensors()) {
        for (const uint8_t byte : tensor.data) sum += byte;
        EXPECT_EQ(file.tensor(tensor.name), &tensor);
    }
    EXPECT_LE(sum, 255u * 1000000);
}

TEST(Gguf, AnyChangedByteGivesAFileOrAnError) {
    GgufBuilder builder = small_file();
    std::string& bytes = builder.bytes();
    for (char& byte : bytes) {
        const char original = byte;
        for (const int value : {0x00, 0x01, 0x08, 0x09, 0x7F, 0x80, 0xFF}) {
            byte = static_cast<char>(value);
            // A copy of its own size, so that AddressSanitizer sees a step over the end.
            const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
            if (const auto file = GgufFile::open(exact)) read_all(*file);
        }
        byte = original;
    }
}

TEST(Gguf, FuzzerFindingsAndSeedsGiveAFileOrAnError) {
    int n = 0;
    for (const auto& entry : std::filesystem::directory_iterator("tests/fuzz/corpus/gguf")) {
        const std::string bytes = read_file(entry.path());
        if (const auto file = GgufFile::open(bytes_of(bytes))) read_all(*file);
        ++n;
    }
    EXPECT_GT(n, 0);
}

TEST(Gguf, PromisesLargerThanTheFileAreErrorsBeforeAnythingIsAllocated) {
    constexpr uint64_t kHuge = uint64_t{1} << 60;
    GgufBuilder tensors, metadata, strings, scalars, arrays, text;
    expect_error(tensors.header(kHuge, 0), ErrorCode::corrupt_file, "tensors");
    expect_error(metadata.header(0, kHuge), ErrorCode::corrupt_file, "metadata entries");
    expect_error(strings.header(0, 1).array("s", GgufType::string, kHuge), ErrorCode::corrupt_file, "\"s\"");
    expect_error(scalars.header(0, 1).array("u", GgufType::u64, kHuge << 1), ErrorCode::corrupt_file, "elements");
    expect_error(arrays.header(0, 1).array("a", GgufType::array, kHuge), ErrorCode::corrupt_file, "elements");
    text.header(0, 1).key("t", GgufType::string).put(~uint64_t{0}).put<uint64_t>(0);
    expect_error(text, ErrorCode::corrupt_file, "\"t\"");
}

TEST(Gguf, ValueTypesThatDoNotExistAreErrors) {
    GgufBuilder value, element;
    value.header(0, 1).text("k").put<uint32_t>(13).put<uint64_t>(0);
    expect_error(value, ErrorCode::corrupt_file, "value type 13");
    element.header(0, 1).key("k", GgufType::array).put<uint32_t>(99).put<uint64_t>(0).put<uint64_t>(0);
    expect_error(element, ErrorCode::corrupt_file, "value type 99");
}

// `depth` arrays of one array each, the innermost empty.
GgufBuilder nested(int depth) {
    GgufBuilder builder;
    builder.header(0, 1).key("deep", GgufType::array);
    for (int i = 1; i < depth; ++i) builder.put(static_cast<uint32_t>(GgufType::array)).put<uint64_t>(1);
    builder.put(static_cast<uint32_t>(GgufType::u8)).put<uint64_t>(0);
    return builder;
}

TEST(Gguf, NestedArraysAreReadUpToALimit) {
    const GgufBuilder builder = nested(4);
    const auto file = builder.open();
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(GgufFile::to_text(*file->find("deep")), "[[[[]]]]");
    EXPECT_EQ(file->strings("deep"), std::nullopt);
    expect_error(nested(5), ErrorCode::corrupt_file, "nested");
    expect_error(nested(100000), ErrorCode::corrupt_file, "nested");
}

TEST(Gguf, DuplicatesAreErrors) {
    GgufBuilder keys, tensors;
    expect_error(keys.header(0, 2).u32("same", 1).u32("same", 1), ErrorCode::corrupt_file, "\"same\" is there twice");
    tensors.header(2, 0).tensor("t", {1}, kF32, 0).tensor("t", {1}, kF32, 0).pad();
    tensors.bytes().append(4, '\0');
    expect_error(tensors, ErrorCode::corrupt_file, "\"t\" is there twice");
}

TEST(Gguf, WhatAFileSaysIsMadeSafeToShow) {
    GgufBuilder escape, endless;
    expect_error(escape.header(0, 1).key("a\x1B[31m\n", GgufType::string), ErrorCode::corrupt_file,
                 "\"a\\x1b[31m\\n\"");
    endless.header(0, 1).key(std::string(79, 'x') + "é" + std::string(1000, 'x'), GgufType::string);
    expect_error(endless, ErrorCode::corrupt_file, "\"" + std::string(79, 'x') + "…\"");
}

TEST(Gguf, AlignmentIsAPowerOfTwo) {
    for (const uint32_t bad : {0u, 3u, 48u}) {
        GgufBuilder builder;
        expect_error(builder.header(0, 1).u32("general.alignment", bad), ErrorCode::corrupt_file, "power of two");
    }
    GgufBuilder text;
    expect_error(text.header(0, 1).string("general.alignment", "32"), ErrorCode::corrupt_file, "power of two");

    GgufBuilder builder;
    builder.header(1, 1).u32("general.alignment", 256).tensor("t", {1}, kF32, 256).pad(256);
    builder.bytes().append(256, '\0').append(4, '\5');
    const auto file = builder.open();
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->tensor("t")->data[0], 5);
}

TEST(Gguf, AFileWithoutTensorsNeedsNoPadding) {
    GgufBuilder builder;
    EXPECT_TRUE(builder.header(0, 1, 2).u32("n", 1).open());
}

GgufBuilder one_tensor(std::initializer_list<uint64_t> shape, uint32_t type, uint64_t offset) {
    GgufBuilder builder;
    builder.header(1, 0).tensor("t", shape, type, offset).pad();
    builder.bytes().append(128, '\0');
    return builder;
}

TEST(Gguf, TensorsThatCannotBeAreErrors) {
    constexpr uint64_t kHalf = uint64_t{1} << 32;
    expect_error(one_tensor({kHalf, kHalf}, kF32, 0), ErrorCode::corrupt_file, "64 bits");
    expect_error(one_tensor({kHalf, kHalf / 4, 2}, kF32, 0), ErrorCode::corrupt_file, "64 bits");
    expect_error(one_tensor({33}, kF32, 0), ErrorCode::corrupt_file, "132 bytes");
    expect_error(one_tensor({1}, kF32, 128), ErrorCode::corrupt_file, "from byte 128");
    expect_error(one_tensor({1}, kF32, ~uint64_t{31}), ErrorCode::corrupt_file, "file holds 128");
    expect_error(one_tensor({1}, kF32, 4), ErrorCode::corrupt_file, "alignment 32");
    expect_error(one_tensor({33}, kQ8_0, 0), ErrorCode::corrupt_file, "whole blocks of 32");
    expect_error(one_tensor({}, kF32, 0), ErrorCode::corrupt_file, "0 dimensions");
    expect_error(one_tensor({1, 1, 1, 1, 1}, kF32, 0), ErrorCode::corrupt_file, "5 dimensions");
    EXPECT_TRUE(one_tensor({1, 2, 4, 4}, kF32, 0).open());
    EXPECT_TRUE(one_tensor({8, 0}, kF32, 128).open());
}

TEST(Gguf, AnUnsupportedTensorTypeIsNamedWithTheTensorAndWhatIsSupported) {
    expect_error(one_tensor({256}, kIq2Xxs, 0), ErrorCode::unsupported_type, "tensor \"t\": type IQ2_XXS");
    expect_error(one_tensor({256}, kIq2Xxs, 0), ErrorCode::unsupported_type, "Q8_0");
    expect_error(one_tensor({256}, 12345, 0), ErrorCode::unsupported_type, "12345");
}

}  // namespace
}  // namespace strata
