#include "engine/base/byte_reader.h"

#include <gtest/gtest.h>

#include <vector>

namespace strata {
namespace {

TEST(ByteReader, ReadsLittleEndianFieldsInOrder) {
    const std::vector<uint8_t> bytes = {0x01, 0x34, 0x12, 0xFF, 0xFF, 0xFF, 0xFF};
    ByteReader reader(bytes);
    EXPECT_EQ(*reader.read<uint8_t>(), 1);
    EXPECT_EQ(*reader.read<uint16_t>(), 0x1234);
    EXPECT_EQ(*reader.read<int32_t>(), -1);
    EXPECT_EQ(reader.position(), 7u);
    EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, ARunOffTheEndNamesThePlaceAndConsumesNothing) {
    const std::vector<uint8_t> bytes = {1, 2, 3};
    ByteReader reader(bytes, 1);
    const auto value = reader.read<uint32_t>();
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, ErrorCode::corrupt_file);
    EXPECT_NE(value.error().message.find("ends at byte 3"), std::string::npos) << value.error().message;
    EXPECT_NE(value.error().message.find("starts at byte 1"), std::string::npos) << value.error().message;
    EXPECT_EQ(reader.position(), 1u);
}

TEST(ByteReader, BytesAndStringsAreViews) {
    const std::vector<uint8_t> bytes = {2, 0, 0, 0, 0, 0, 0, 0, 'h', 'i', 9};
    ByteReader reader(bytes);
    const auto text = reader.string();
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, "hi");
    EXPECT_EQ(static_cast<const void*>(text->data()), bytes.data() + 8);
    EXPECT_EQ((*reader.bytes(1))[0], 9);
    EXPECT_EQ(reader.bytes(0)->size(), 0u);
    EXPECT_FALSE(reader.bytes(1));
}

TEST(ByteReader, AnEnormousStringLengthIsAnError) {
    const std::vector<uint8_t> bytes(12, 0xFF);
    ByteReader reader(bytes);
    EXPECT_FALSE(reader.string());
}

TEST(ByteReader, SinceIsWhatWasRead) {
    const std::vector<uint8_t> bytes = {1, 2, 3, 4};
    ByteReader reader(bytes);
    ASSERT_TRUE(reader.bytes(1));
    const uint64_t begin = reader.position();
    ASSERT_TRUE(reader.bytes(2));
    ASSERT_EQ(reader.since(begin).size(), 2u);
    EXPECT_EQ(reader.since(begin)[0], 2);
}

}  // namespace
}  // namespace strata
