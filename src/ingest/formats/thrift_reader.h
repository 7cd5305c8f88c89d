// ingest/formats/thrift_reader.h — values in Thrift's compact protocol, in which Parquet writes its footer and its page headers
// (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md).
//
// Any bytes may be read: a mistake makes the reader fail, after which every value is zero and every struct ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace longhaul::ingest {

class ThriftReader {
 public:
  enum class Type : std::uint8_t { stop, yes, no, i8, i16, i32, i64, real, binary, list, set, map, structure };

  explicit ThriftReader(std::string_view bytes) : bytes_(bytes) {}

  /// Calls field(id, type) for each field of a struct, which reads the value or passes it to skip().
  template <class Field>
  void read_struct(const Field& field) {
    if (++depth_ > kMaxDepth) fail();
    int id = 0;
    for (Type type = next_field(id); type != Type::stop; type = next_field(id)) field(id, type);
    --depth_;
  }
  /// Calls element(type) for each element of a list. @param type  of the field
  template <class Element>
  void read_list(Type type, const Element& element) {
    Type inner = Type::stop;
    std::size_t count = begin_list(type, inner);
    for (; count > 0 && good_; --count) element(inner);
  }
  std::int64_t integer(Type type);
  bool boolean(Type type);
  std::string_view binary(Type type);
  /// Begins a struct within: read_struct() follows. False, having skipped it, for another type.
  bool is_struct(Type type);
  void skip(Type type);

  bool good() const { return good_; }
  /// Whether it failed because the bytes end: with more of them it may not.
  bool ran_out() const { return ran_out_; }
  std::size_t position() const { return at_; }

 private:
  static constexpr int kMaxDepth = 32;

  void fail() { good_ = false; }
  std::uint8_t byte();
  std::uint64_t varint();
  std::string_view take(std::uint64_t size);
  Type next_field(int& id);
  std::size_t begin_list(Type type, Type& inner);
  void skip_element(Type type);

  std::string_view bytes_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool good_ = true, ran_out_ = false;
};

}  // namespace longhaul::ingest
