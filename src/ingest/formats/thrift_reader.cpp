#include "ingest/formats/thrift_reader.h"

namespace longhaul::ingest {

namespace {

std::int64_t from_zigzag(std::uint64_t value) { return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1); }

}  // namespace

std::uint8_t ThriftReader::byte() {
  const std::string_view one = take(1);
  return one.empty() ? 0 : static_cast<std::uint8_t>(one[0]);
}

std::string_view ThriftReader::take(std::uint64_t size) {
  if (!good_) return {};
  if (size > bytes_.size() - at_) {
    ran_out_ = true;
    fail();
    return {};
  }
  const std::string_view taken = bytes_.substr(at_, static_cast<std::size_t>(size));
  at_ += taken.size();
  return taken;
}

std::uint64_t ThriftReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t next = byte();
    value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
    if ((next & 0x80) == 0) return good_ ? value : 0;
  }
  fail();
  return 0;
}

/// The type of the next field, and its id: the difference from the one before in four bits, or written out.
ThriftReader::Type ThriftReader::next_field(int& id) {
  const std::uint8_t head = byte();
  if (!good_ || (head & 0x0F) == 0) return Type::stop;
  if ((head & 0x0F) > static_cast<int>(Type::structure)) fail();
  id = (head >> 4) != 0 ? id + (head >> 4) : static_cast<std::int16_t>(from_zigzag(varint()));
  return good_ ? static_cast<Type>(head & 0x0F) : Type::stop;
}

std::int64_t ThriftReader::integer(Type type) {
  if (type == Type::i8) return static_cast<std::int8_t>(byte());
  if (type == Type::i16 || type == Type::i32 || type == Type::i64) return from_zigzag(varint());
  fail();
  return 0;
}

bool ThriftReader::boolean(Type type) {
  if (type != Type::yes && type != Type::no) fail();
  return good_ && type == Type::yes;
}

std::string_view ThriftReader::binary(Type type) {
  if (type != Type::binary) fail();
  return take(varint());
}

bool ThriftReader::is_struct(Type type) {
  if (type == Type::structure) return good_;
  fail();
  return false;
}

std::size_t ThriftReader::begin_list(Type type, Type& inner) {
  if (type != Type::list && type != Type::set) fail();
  const std::uint8_t head = byte();
  inner = static_cast<Type>(head & 0x0F);
  const std::uint64_t count = (head >> 4) == 15 ? varint() : head >> 4;
  if (count > 0 && (inner == Type::stop || inner > Type::structure)) fail();  // fastparquet's empty lists have no type
  // An element has a byte at least.
  if (good_ && count > bytes_.size() - at_) take(count);
  return good_ ? static_cast<std::size_t>(count) : 0;
}

/// In a list or a map a truth value is a byte.
void ThriftReader::skip_element(Type type) {
  if (type == Type::yes || type == Type::no)
    byte();
  else
    skip(type);
}

void ThriftReader::skip(Type type) {
  switch (type) {
    case Type::stop:
      return fail();
    case Type::yes:
    case Type::no:
      return;  // the type is the value
    case Type::i8:
      byte();
      return;
    case Type::i16:
    case Type::i32:
    case Type::i64:
      varint();
      return;
    case Type::real:
      take(8);
      return;
    case Type::binary:
      take(varint());
      return;
    case Type::list:
    case Type::set:
      return read_list(type, [this](Type inner) { skip_element(inner); });
    case Type::map: {
      const std::uint64_t count = varint();
      if (count == 0 || !good_) return;
      const std::uint8_t types = byte();
      for (std::uint64_t i = 0; i < count && good_; ++i) {
        skip_element(static_cast<Type>(types >> 4));
        skip_element(static_cast<Type>(types & 0x0F));
      }
      return;
    }
    case Type::structure:
      return read_struct([this](int, Type inner) { skip(inner); });
  }
  fail();
}

}  // namespace longhaul::ingest
