#include "tokenizer/sentencepiece_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "tokenizer/bpe_tables.h"
#include "tokenizer/vocabulary_lines.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

// One field of a message; of a number `value`, of anything longer `bytes`.
struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
  bool is_bytes = false;
};

// The fields of a message, in the wire format of protocol buffers.
class Fields {
 public:
  /// @param offset   of the message in the file, for messages
  Fields(std::string_view message, std::size_t offset, const std::string& name) : message_(message), offset_(offset), name_(name) {}

  std::optional<Field> next() {
    if (at_ == message_.size()) return std::nullopt;
    const std::uint64_t key = varint();
    Field field;
    if (key >> 3 == 0 || key >> 3 > UINT32_MAX) damaged("a field has no number");
    field.number = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = little_endian(8);
        break;
      case 2:
        field.bytes = take(varint());
        field.is_bytes = true;
        break;
      case 5:
        field.value = little_endian(4);
        break;
      default:
        damaged(fmt::format("a field has the type {}", key & 7));
    }
    return field;
  }

  /// Offset in the file of what `next` returned last.
  std::size_t end() const { return offset_ + at_; }

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    throw DataError(fmt::format("{}: damaged at byte {}: {}", name_, offset_ + at_, what));
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == message_.size()) damaged("the file ends inside a number");
      const auto byte = static_cast<unsigned char>(message_[at_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    damaged("a number of more than ten bytes");
  }

  std::uint64_t little_endian(std::size_t count) {
    std::uint64_t value = 0;
    const std::string_view bytes = take(count);
    for (std::size_t i = 0; i < count; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return value;
  }

  std::string_view take(std::uint64_t count) {
    if (count > message_.size() - at_) damaged(fmt::format("{} bytes are announced, {} are left", count, message_.size() - at_));
    at_ += count;
    return message_.substr(at_ - count, count);
  }

  std::string_view message_;
  std::size_t offset_, at_ = 0;
  const std::string& name_;
};

enum class PieceType : std::uint64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct Piece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::normal;
};

struct SentencePieceModel {
  std::vector<Piece> pieces;
  std::uint64_t model_type = 1;  // of the format: unigram where it is absent
  bool whitespace_as_suffix = false, dummy_prefix = true, removes_whitespace = true, escapes_whitespace = true;
  std::string normalizer;
  std::size_t charsmap_bytes = 0;
};

class SentencePieceReader {
 public:
  SentencePieceReader(std::string_view contents, const std::string& name) : contents_(contents), name_(name) {}

  TokenizerParts read() {
    Fields fields(contents_, 0, name_);
    while (const std::optional<Field> field = fields.next()) {
      if (!field->is_bytes) continue;
      const std::size_t offset = fields.end() - field->bytes.size();
      if (field->number == 1) read_piece(field->bytes, offset);
      if (field->number == 2) read_trainer(field->bytes, offset);
      if (field->number == 3) read_normalizer(field->bytes, offset);
    }
    check();
    fill();
    return std::move(parts_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(name_ + ": " + what); }

  void read_piece(std::string_view message, std::size_t offset) {
    Piece piece;
    Fields fields(message, offset, name_);
    while (const std::optional<Field> field = fields.next()) {
      if (field->number == 1) piece.text = field->bytes;
      if (field->number == 2) piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field->value));
      if (field->number == 3) piece.type = static_cast<PieceType>(field->value);
    }
    const std::size_t id = model_.pieces.size();
    if (piece.text.empty() || first_invalid_utf8(piece.text)) fail(fmt::format("piece {} ('{}') is no text", id, shown(piece.text)));
    if (!std::isfinite(piece.score)) fail(fmt::format("piece {} ('{}') has no finite score", id, piece.text));
    if (id >= static_cast<std::size_t>(kMaxVocabulary)) fail(fmt::format("more than {} pieces", kMaxVocabulary));
    model_.pieces.push_back(std::move(piece));
  }

  void read_trainer(std::string_view message, std::size_t offset) {
    Fields fields(message, offset, name_);
    while (const std::optional<Field> field = fields.next()) {
      if (field->number == 3) model_.model_type = field->value;
      if (field->number == 24) model_.whitespace_as_suffix = field->value != 0;
    }
  }

  void read_normalizer(std::string_view message, std::size_t offset) {
    Fields fields(message, offset, name_);
    while (const std::optional<Field> field = fields.next()) {
      if (field->number == 1) model_.normalizer = field->bytes;
      if (field->number == 2) model_.charsmap_bytes = field->bytes.size();
      if (field->number == 3) model_.dummy_prefix = field->value != 0;
      if (field->number == 4) model_.removes_whitespace = field->value != 0;
      if (field->number == 5) model_.escapes_whitespace = field->value != 0;
    }
  }

  void check() const {
    static constexpr const char* kModelTypes[] = {"0", "unigram", "bpe", "word", "char"};
    if (model_.model_type != 2) {
      const std::string type =
          model_.model_type < std::size(kModelTypes) ? kModelTypes[model_.model_type] : std::to_string(model_.model_type);
      fail("trainer_spec.model_type is " + type + "; implemented: bpe");
    }
    if (model_.charsmap_bytes > 0) {
      fail(fmt::format("normalizer_spec '{}' has a table of {} bytes (precompiled_charsmap); implemented: identity",
                       shown(model_.normalizer), model_.charsmap_bytes));
    }
    if (model_.removes_whitespace) fail("normalizer_spec.remove_extra_whitespaces is true; implemented: false");
    if (!model_.escapes_whitespace) fail("normalizer_spec.escape_whitespaces is false; implemented: true");
    if (model_.whitespace_as_suffix) fail("trainer_spec.treat_whitespace_as_suffix is true; implemented: false");
  }

  void fill() {
    parts_.origin = name_;
    parts_.units = Units::characters;
    parts_.pattern = PatternKind::whole;
    parts_.merge_by_rank = true;
    const std::string mark(kMetaspace);
    if (model_.dummy_prefix) parts_.rules.normalizer.push_back({NormalizerStep::Kind::prepend, "", mark});
    parts_.rules.normalizer.push_back({NormalizerStep::Kind::replace, " ", mark});
    parts_.tokens.resize(model_.pieces.size());
    for (std::size_t i = 0; i < model_.pieces.size(); ++i) add(model_.pieces[i], static_cast<std::int32_t>(i));
    if (parts_.byte_ids.empty()) {
      fail(
          "no pieces <0x00>… of single bytes (trainer_spec.byte_fallback is false): characters without a piece would be lost; implemented: "
          "with them");
    }
    check_characters();
    rank();
  }

  void add(const Piece& piece, std::int32_t id) {
    switch (piece.type) {
      case PieceType::normal:
        parts_.tokens[static_cast<std::size_t>(id)] = piece.text;
        break;
      case PieceType::unknown:
      case PieceType::control:
        parts_.specials.push_back({piece.text, id});
        break;
      case PieceType::user_defined:
        if (model_.dummy_prefix) {
          fail(fmt::format("piece {} ('{}') is user-defined where normalizer_spec.add_dummy_prefix is true; implemented: one of the two",
                           id, piece.text));
        }
        parts_.added.push_back({piece.text, id, true});  // looked for in normalised text
        break;
      case PieceType::byte: {
        unsigned byte = 0;
        for (; byte < 256 && piece.text != fmt::format("<0x{:02X}>", byte); ++byte) {
        }
        if (byte == 256) fail(fmt::format("piece {} ('{}') is of type BYTE; allowed: <0x00> to <0xFF>", id, piece.text));
        if (parts_.byte_ids.empty()) parts_.byte_ids.assign(256, kNoId);
        if (parts_.byte_ids[byte] != kNoId)
          fail(fmt::format("ids {} and {} are both the token {} of a byte", parts_.byte_ids[byte], id, piece.text));
        parts_.byte_ids[byte] = id;
        break;
      }
      case PieceType::unused:
        fail(fmt::format("piece {} ('{}') is of type UNUSED; implemented: NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE", id, piece.text));
      default:
        fail(fmt::format("piece {} ('{}') is of type {}; allowed: 1 to 6", id, piece.text, static_cast<std::uint64_t>(piece.type)));
    }
  }

  // Merging begins with characters, so each of a piece must be a piece: SentencePiece's trainer sees to it.
  void check_characters() const {
    const std::unordered_set<std::string_view> pieces(parts_.tokens.begin(), parts_.tokens.end());
    for (const std::string& text : parts_.tokens) {
      for (std::size_t offset = 0; offset < text.size();) {
        const std::size_t begin = offset;
        next_code_point(text, offset);
        const std::string_view character = std::string_view(text).substr(begin, offset - begin);
        if (!pieces.contains(character)) fail(fmt::format("piece '{}' has the character '{}', which is no piece", text, character));
      }
    }
  }

  void rank() {
    for (std::size_t i = 0; i < parts_.tokens.size(); ++i) {
      std::size_t behind_first = 0;
      if (!parts_.tokens[i].empty()) next_code_point(parts_.tokens[i], behind_first);
      if (behind_first < parts_.tokens[i].size()) parts_.rank_order.push_back(static_cast<std::int32_t>(i));  // of two characters or more
    }
    const auto score = [&](std::int32_t id) { return model_.pieces[static_cast<std::size_t>(id)].score; };
    std::ranges::stable_sort(parts_.rank_order, [&](std::int32_t a, std::int32_t b) { return score(a) > score(b); });
    const auto equal = std::ranges::adjacent_find(parts_.rank_order, [&](std::int32_t a, std::int32_t b) { return score(a) == score(b); });
    if (equal != parts_.rank_order.end()) {
      fail(fmt::format("pieces {} and {} have the same score {}; implemented: scores that differ", equal[0], equal[1], score(*equal)));
    }
    if (parts_.rank_order.empty()) parts_.merge_by_rank = false;
  }

  std::string_view contents_;
  const std::string& name_;
  SentencePieceModel model_;
  TokenizerParts parts_;
};

}  // namespace

// A piece is field 1 of the file, its text field 1 of the piece: 0A length 0A length text.
bool is_sentencepiece_model(std::string_view contents) {
  if (contents.size() < 5 || contents[0] != '\n' || contents[2] != '\n') return false;
  const auto length = static_cast<unsigned char>(contents[1]), text = static_cast<unsigned char>(contents[3]);
  return length < 0x80 && text + 2 <= length && contents.substr(4, text).find('\n') == std::string_view::npos;
}

TokenizerParts parse_sentencepiece_model(std::string_view contents, const std::string& name) {
  return SentencePieceReader(contents, name).read();
}

}  // namespace longhaul::tokenizer
