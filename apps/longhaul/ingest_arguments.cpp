#include "ingest_arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::app {

namespace {

/// A separator as it is typed: \n, \r, \t and a doubled backslash are what they are in C.
std::string unescape(const std::string& typed) {
  std::string text;
  for (std::size_t i = 0; i < typed.size(); ++i) {
    const std::size_t known =
        typed[i] == '\\' && i + 1 < typed.size() ? std::string_view("nrt\\").find(typed[i + 1]) : std::string_view::npos;
    text += known == std::string_view::npos ? typed[i] : "\n\r\t\\"[known];
    i += known != std::string_view::npos;
  }
  return text;
}

ingest::Encoding parse_encoding(const std::string& argument, const std::string& name) {
  const auto encoding = ingest::encoding_from_name(name);
  const std::vector<std::string> names = ingest::encoding_names();
  if (!encoding)
    throw UsageError(fmt::format("--encoding {}: unknown encoding '{}'; allowed: {}; nearest: {}", argument, name, fmt::join(names, ", "),
                                 nearest(name, names)));
  return *encoding;
}

}  // namespace

void IngestArguments::add_to(CommandLine& line) {
  line.option("--include", include_,
              "only files that this pattern selects, whatever their extension: \"*.md\", \"notes/**/*.txt\"; may be repeated")
      .one_value_each_time();
  line.option("--exclude", exclude_, "no file, and nothing in a folder, that this pattern selects; may be repeated").one_value_each_time();
  line.option("--encoding", encodings_,
              fmt::format("[NAME=]ENCODING of all files, or of those of one source: {}", fmt::join(ingest::encoding_names(), ", ")))
      .one_value_each_time();
  const Option separator =
      line.option("--separator", separator_, "text that divides a text file into documents, such as \"<|endoftext|>\"; \\n is a line end")
          .not_empty();
  line.flag("--split-paragraphs", split_paragraphs_, "blank lines divide a text file into documents").excludes(separator);
  line.option("--text-field", text_field_, "field of a row that holds the text; a path may lead into it: a.b.0").not_empty().show_default();
  line.option("--invalid-utf8", invalid_utf8_, "at bytes that are no UTF-8: stop, replace by U+FFFD, or skip-document").show_default();
  line.option("--bad-rows", bad_rows_, "at a row without text: stop, skip and count it, or replace what can be mended and skip the rest")
      .one_of({"stop", "skip", "replace"})
      .show_default();
  line.option("--repeated-keys", repeated_keys_, "a field that a row has twice: stop makes it a bad row, last takes the last")
      .one_of({"stop", "last"})
      .show_default();
}

ingest::IngestOptions IngestArguments::options() const {
  ingest::IngestOptions options;
  options.text_field = text_field_;
  if (invalid_utf8_ == "error") throw UsageError("--invalid-utf8 error: it is called stop now; allowed: stop, replace, skip-document");
  if (invalid_utf8_ != "stop" && invalid_utf8_ != "replace" && invalid_utf8_ != "skip-document")
    throw UsageError(fmt::format("--invalid-utf8 {}: allowed: stop, replace, skip-document", invalid_utf8_));
  options.invalid_utf8 = invalid_utf8_ == "stop"      ? ingest::InvalidUtf8::stop
                         : invalid_utf8_ == "replace" ? ingest::InvalidUtf8::replace
                                                      : ingest::InvalidUtf8::skip_document;
  options.bad_rows = bad_rows_ == "stop" ? ingest::BadRows::stop : bad_rows_ == "skip" ? ingest::BadRows::skip : ingest::BadRows::replace;
  options.last_of_repeated_keys = repeated_keys_ == "last";
  options.split = {unescape(separator_), split_paragraphs_};
  options.walk = {include_, exclude_, {}};
  for (const std::string& argument : encodings_) {
    const std::size_t equals = argument.find('=');
    const std::string source = equals == std::string::npos ? "" : argument.substr(0, equals);
    options.walk.encodings[source] = parse_encoding(argument, equals == std::string::npos ? argument : argument.substr(equals + 1));
  }
  return options;
}

std::vector<ingest::Source> parse_sources(const std::vector<std::string>& arguments, const std::string& option) {
  std::vector<ingest::Source> sources;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == argument.size())
      throw UsageError(fmt::format("{} {}: expected NAME=PATH, for example {} books=corpus/books", option, argument, option));
    const std::string name = argument.substr(0, equals), path = argument.substr(equals + 1);
    const auto same = std::find_if(sources.begin(), sources.end(), [&](const ingest::Source& source) { return source.name == name; });
    if (same == sources.end())
      sources.emplace_back(name, path);
    else
      same->paths.emplace_back(path);
  }
  return sources;
}

}  // namespace longhaul::app
