#include "ingest/formats/tar_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingest/encoding.h"
#include "ingest/file_kind.h"
#include "ingest/json_fault.h"
#include "ingest/json_values.h"
#include "units/utf8.h"

namespace longhaul::ingest {

namespace {

constexpr std::size_t kListedFields = 8;
constexpr std::size_t kShownName = 200;
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

/// A member's name in a message.
std::string shown_name(std::string_view name) {
  return fmt::format("\"{}\"", replace_invalid_utf8(name.size() <= kShownName ? name : name.substr(0, kShownName)));
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// Whether any part of the path is `part`, or (of a hidden name) begins with a dot.
bool has_part(std::string_view name, bool hidden) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    begin = end + 1;
    if (hidden ? part.size() > 1 && part[0] == '.' && part != ".." : part == "..") return true;
  }
  return false;
}

std::string_view key_of(std::string_view name) { return name.substr(0, name.size() - last_part(name).size() + last_part(name).find('.')); }

/// Why a member can belong to no sample; nothing if it can.
std::optional<RowFault> refusal_of(const TarMember& member) {
  const std::string shown = shown_name(member.name);
  if (member.kind == TarMember::Kind::link) return RowFault{"link", fmt::format("the member {} is a link, not a file", shown)};
  if (member.kind == TarMember::Kind::other)
    return RowFault{"not a regular file", fmt::format("the member {} is a device, a sparse file or of another special kind", shown)};
  if (member.name.starts_with('/') || has_part(member.name, false))
    return RowFault{"unsafe name", fmt::format("the name {} of a member leads out of the archive", shown)};
  if (has_part(member.name, true) || member.name.find("__MACOSX/") != std::string::npos)
    return RowFault{"hidden name", fmt::format("the name {} of a member is hidden", shown), true};
  if (last_part(member.name).find('.') == std::string_view::npos)
    return RowFault{"no extension", fmt::format("the name {} of a member has no extension, so it names no field", shown), true};
  return std::nullopt;
}

/// Folders, and WebDataset's own notes (__name__).
bool is_no_row(const TarMember& member) {
  return member.kind == TarMember::Kind::folder ||
         (member.kind == TarMember::Kind::file && member.name.size() > 4 && member.name.starts_with("__") && member.name.ends_with("__"));
}

}  // namespace

/// Whether there is a next member, which is then in member_.
bool TarRows::look_ahead() {
  while (!ahead_ && state_ == TarMembers::State::member) {
    state_ = members_.next(member_);
    if (member_.name.starts_with("./")) member_.name.erase(0, 2);
    ahead_ = state_ == TarMembers::State::member && !is_no_row(member_);
  }
  return ahead_;
}

/// Behind the last member: an archive that is not whole ends with one more row, which says so.
bool TarRows::end(Row& row) {
  finished_ = true;
  if (state_ == TarMembers::State::end) return false;
  row.line = ++number_;
  row.byte = members_.position();
  if (state_ == TarMembers::State::cut_off)
    row.fault = RowFault{std::string(kTruncatedRow), "the archive ends without the block of zeros that ends one: it was cut off"};
  else
    row.fault = RowFault{"damaged archive", "the header of a member is damaged, or this is no tar archive; what follows is not read"};
  return true;
}

bool TarRows::next(Row& row) {
  row = {};
  if (finished_) return false;
  if (!look_ahead()) return end(row);
  row.line = ++number_;
  row.byte = member_.header;
  row.fault = refusal_of(member_);
  if (row.fault) {
    ahead_ = false;
    return true;
  }
  sample_ = {std::string(key_of(member_.name)), {}, {}, {}};
  do {
    if (!gather()) {
      finished_ = true;
      row.fault = RowFault{std::string(kTruncatedRow),
                           fmt::format("the archive ends inside the member {}: it was cut off", shown_name(member_.name))};
      return true;
    }
  } while (look_ahead() && !refusal_of(member_) && key_of(member_.name) == sample_.key);
  choose_text(row);
  return true;
}

/// Adds the member ahead to the sample. False: the archive ends within.
bool TarRows::gather() {
  ahead_ = false;
  const std::string name = lower_case(std::string_view(member_.name).substr(sample_.key.size() + 1));
  if (sample_.names.size() < kListedFields) sample_.names.push_back(name);
  if (!is_wanted(name)) return true;
  if (field_named(name)) {
    sample_.repeated = name;
    return true;
  }
  Field& field = sample_.fields.emplace_back(Field{name, {}, member_.data, member_.size > kMaxRowBytes});
  if (field.too_long) return true;
  if (!members_.read(field.data)) return false;
  if (std::string_view(field.data).starts_with(kUtf8Mark)) {
    field.data.erase(0, kUtf8Mark.size());
    field.byte += static_cast<std::int64_t>(kUtf8Mark.size());
  }
  return true;
}

/// Whether the text or the metadata may be in this field.
bool TarRows::is_wanted(const std::string& field) const {
  const auto means = [&](const std::string& chosen) {
    const std::string lower = lower_case(chosen);
    return lower == field || (lower == "text" && field == "txt") || lower.starts_with(field + ".");
  };
  return field == "json" || means(options_.text_field) || std::any_of(options_.metadata.begin(), options_.metadata.end(), means);
}

const TarRows::Field* TarRows::field_named(std::string_view name) const {
  const auto found = std::find_if(sample_.fields.begin(), sample_.fields.end(), [&](const Field& field) { return field.name == name; });
  return found == sample_.fields.end() ? nullptr : &*found;
}

TarRows::Place TarRows::find(const std::string& field) const {
  const std::string lower = lower_case(field);
  if (const Field* whole = field_named(lower)) return {whole, {}};
  if (const Field* text = field_named("txt"); text && lower == "text") return {text, {}};
  for (std::size_t dot = field.rfind('.'); dot != std::string::npos && dot > 0; dot = field.rfind('.', dot - 1))
    if (const Field* json = field_named(std::string_view(lower).substr(0, dot))) return {json, field.substr(dot + 1)};
  return {field_named("json"), field};
}

void TarRows::choose_text(Row& row) {
  text_ = find(options_.text_field);
  if (!text_.field) {
    const bool is_text = lower_case(options_.text_field) == "text";
    row.fault = RowFault{"missing field", fmt::format("the sample {} has no member {}; it has {}{}; name the right one with --text-field",
                                                      shown_name(sample_.key), is_text ? ".txt (or .json)" : "." + options_.text_field,
                                                      fmt::format(".{}", fmt::join(sample_.names, ", .")),
                                                      sample_.names.size() == kListedFields ? ", …" : "")};
    return;
  }
  row.byte = text_.field->byte;
  row.raw = text_.field->data;
  if (!sample_.repeated.empty())
    row.fault = RowFault{"repeated field", fmt::format("the sample {} has .{} twice", shown_name(sample_.key), sample_.repeated)};
  else if (text_.field->too_long)
    row.fault = RowFault{"too long", fmt::format("the member .{} of {} is longer than {} MiB, the most a row may have", text_.field->name,
                                                 shown_name(sample_.key), kMaxRowBytes >> 20)};
  else if (const std::string_view binary = binary_content(row.raw); !binary.empty())
    row.fault =
        RowFault{"not a text", fmt::format("the member .{} of {} holds {}, not text", text_.field->name, shown_name(sample_.key), binary)};
}

void TarRows::read(Row& row) {
  row.text = row.raw;
  if (!text_.path.empty()) {
    if (!parser_ || parser_path_ != text_.path) {
      RowOptions options = options_;
      options.text_field = parser_path_ = text_.path;
      options.metadata.clear();
      parser_ = std::make_unique<JsonRowParser>(options);
    }
    parser_->read(row, false);
  }
  if (!row.fault && !options_.metadata.empty()) row.metadata = metadata();
}

std::string TarRows::metadata() {
  std::vector<std::string> values;
  for (const std::string& name : options_.metadata) {
    const Place place = find(name);
    if (name == "__key__")
      values.push_back(json_string(sample_.key));
    else if (!place.field)
      values.emplace_back("null");
    else
      values.push_back(place.path.empty() ? json_string(place.field->data) : json_value_at(place.field->data, place.path));
  }
  return json_object(options_.metadata, values);
}

}  // namespace longhaul::ingest
