// The names and sizes that the safetensors specification gives (https://github.com/huggingface/safetensors).
#include "units/element_type.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(ElementType, HasTheNamesAndSizesOfSafetensors) {
  struct Row {
    ElementType type;
    const char* name;
    std::int64_t size;
  };
  constexpr Row kRows[] = {{ElementType::boolean, "BOOL", 1},    {ElementType::u8, "U8", 1},           {ElementType::i8, "I8", 1},
                           {ElementType::f8_e5m2, "F8_E5M2", 1}, {ElementType::f8_e4m3, "F8_E4M3", 1}, {ElementType::i16, "I16", 2},
                           {ElementType::u16, "U16", 2},         {ElementType::f16, "F16", 2},         {ElementType::bf16, "BF16", 2},
                           {ElementType::i32, "I32", 4},         {ElementType::u32, "U32", 4},         {ElementType::f32, "F32", 4},
                           {ElementType::f64, "F64", 8},         {ElementType::i64, "I64", 8},         {ElementType::u64, "U64", 8}};
  static_assert(std::size(kRows) == kElementTypes);
  for (const Row& row : kRows) {
    EXPECT_EQ(name(row.type), row.name);
    EXPECT_EQ(size_of(row.type), row.size) << row.name;
    EXPECT_EQ(element_type(row.name), row.type) << row.name;
  }
  EXPECT_EQ(element_type("f32"), std::nullopt);
}

}  // namespace
}  // namespace longhaul
