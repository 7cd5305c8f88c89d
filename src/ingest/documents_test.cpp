#include "ingest/documents.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "files/read.h"
#include "ingest/line_rows.h"
#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

using namespace std::string_literals;
using Texts = std::vector<std::string>;

/// Everything that reading gives.
struct Reading {
  Texts texts;
  Texts places;    // "file:line" of each document, by its name in the source
  Texts rejected;  // "line:byte reason"
  std::vector<FileSummary> summaries;

  std::int64_t rows = 0, documents = 0, skipped = 0, replaced = 0;
};

Reading read_source(const Source& source, const IngestOptions& options = {}) {
  const Walk walk = walk_sources({source}, options.walk);
  Reading reading;
  DocumentReader reader(walk.files, options, [&](const RejectedRow& row) {
    reading.rejected.push_back(std::to_string(row.line) + ":" + std::to_string(row.byte) + " " + std::string(row.reason));
  });
  for (Document document; reader.next(document);) {
    reading.texts.emplace_back(document.text);
    reading.places.push_back(walk.files[document.file].name + ":" + std::to_string(document.line));
  }
  reading.summaries = reader.summaries();
  for (const FileSummary& summary : reading.summaries) {
    reading.rows += summary.rows;
    reading.documents += summary.documents;
    reading.replaced += summary.replaced_sequences;
    for (const auto& [reason, skipped] : summary.skipped) reading.skipped += skipped.count;
  }
  EXPECT_EQ(reading.documents + reading.skipped, reading.rows);
  EXPECT_EQ(reading.documents, std::ssize(reading.texts));
  return reading;
}

class Documents : public ::testing::Test {
 protected:
  Reading read(const std::string& name, const IngestOptions& options = {}) { return read_source({"s", directory_ / name}, options); }
  Reading read_file(const std::string& name, const std::string& contents, const IngestOptions& options = {}) {
    directory_.write(name, contents);
    return read(name, options);
  }
  std::string error_of(const std::string& name, const std::string& contents, const IngestOptions& options = {}) {
    directory_.write(name, contents);
    return message_of<DataError>([&] { read(name, options); });
  }
  void expect_error(const std::string& name, const std::string& contents, const std::string& says, const IngestOptions& options = {}) {
    const std::string message = error_of(name, contents, options);
    EXPECT_TRUE(contains(message, (directory_ / name).string() + says)) << message;
  }
  TestDirectory directory_;
};

TEST_F(Documents, TextFilesAndLinesComeInOrderOfTheirPaths) {
  directory_.write("d/b.txt", "second\n");
  directory_.write("d/a.txt", "first");
  directory_.write("d/c/x.jsonl", "{\"id\": 1, \"text\": \"third\"}\n\n  \r\n{\"text\": \"f\\u00f6urth\\n\"}");
  const Reading reading = read("d");
  EXPECT_EQ(reading.texts, (Texts{"first", "second\n", "third", "föurth\n"}));
  EXPECT_EQ(reading.places, (Texts{"a.txt:0", "b.txt:0", "c/x.jsonl:1", "c/x.jsonl:4"}));
  EXPECT_EQ(reading.summaries[0].sha256, files::sha256_hex("first"));
  EXPECT_EQ(reading.summaries[2].sha256, files::digest_file(directory_ / "d/c/x.jsonl").sha256);
  EXPECT_EQ(reading.rows, 4) << "blank lines are no rows";
}

TEST_F(Documents, LinesLongerThanABufferAndManyOfThem) {
  const std::string longest(3u << 20, 'x');
  std::string lines;
  Texts expected;
  for (int i = 0; i < 5000; ++i) {
    expected.push_back(i % 1000 == 7 ? longest : "document " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 997), 'y'));
    lines += "{\"text\":\"" + expected.back() + "\"}\n";
  }
  EXPECT_TRUE(read_file("many.jsonl", lines).texts == expected);
}

TEST_F(Documents, TheTextIsFoundByAPathOfFields) {
  const std::string row = R"({"text":"no","content":"yes","a":{"b":["x","deep"]},"a.b":"dotted"})";
  IngestOptions options;
  const auto text = [&](const char* field) {
    options.text_field = field;
    return read_file("a.jsonl", row, options).texts;
  };
  EXPECT_EQ(text("content"), Texts{"yes"});
  EXPECT_EQ(text("a.b.1"), Texts{"deep"});
  EXPECT_EQ(text("a.b"), Texts{"dotted"}) << "a key with dots of its own comes before the path";
  options.text_field = "a.b.2";
  expect_error("a.jsonl", row, ":1: byte 0: no place 2 (of \"a.b.2\") in a list of 2", options);
  options.text_field = "a.c";
  expect_error("a.jsonl", row, ":1: byte 0: no field \"a.c\"; the row has \"b\"", options);
}

TEST_F(Documents, BadRowsAreNamedByFileLineAndByte) {
  const std::string good = "{\"text\":\"fine\"}\n";
  const auto expect = [&](const std::string& bad, const std::string& says) {
    expect_error("f.jsonl", good + good + bad, ":3: byte 32: " + says);
  };
  expect(R"({"text":null})", "the field \"text\" is null; --bad-rows skip");
  expect(R"({"body":"x","id":1})", "no field \"text\"; the row has \"body\", \"id\"; name the right one with --text-field");
  expect(R"({"text":5})", "the field \"text\" is a number (5), not a text");
  expect(R"({"text":["a"]})", "the field \"text\" is a list, not a text");
  expect(R"({"text":"a","text":"b"})", "the field \"text\" is there 2 times; --repeated-keys last");
  expect("[1,2]", "the row is a list, not an object");
  expect(R"({"text":"\ud800"})", "\\ud800 is half of a surrogate pair, which is no character (byte 41)");
  expect(R"({"text":"open)", "the row ends inside a text: it was cut off");
  expect("{\n  \"text\": \"pretty\"\n}", "the row ends inside an object: it was cut off, or its document goes on in the next line");
  expect(R"({"text":"a"}{"text":"b"})", "a second document begins in the same row");
  expect(R"({"text":"a"} trailing)", "'t' behind the end of the document");
  expect("{'text':'a'}", "a name in single quotes");
  expect(R"({"text":NaN})", "NaN is no JSON value");
  expect("nonsense", "'n' where a value should be");
  expect("{\"text\":\"a\tb\"}", "byte 0x09 inside a text; JSON writes it as \\u0009 (byte 42)");
  expect(R"({"text":)" + std::string(100, '['), "nested more than 64 levels deep");
}

TEST_F(Documents, BadRowsAreSkippedAndCountedWhenAsked) {
  const std::string rows =
      "{\"text\":null}\n{\"text\":\"one\"}\n{\"text\":\"\\ud800x\"}\n{\"text\":\"\"}\n{\"text\":null}\n{\"text\":\"a\",\"text\":\"b\"}\n{"
      "\"text\":";
  IngestOptions options;
  options.bad_rows = BadRows::skip;
  Reading reading = read_file("f.jsonl", rows, options);
  EXPECT_EQ(reading.texts, Texts{"one"});
  EXPECT_EQ(reading.rejected, (Texts{"1:0 null", "3:29 lone surrogate", "5:60 null", "6:74 repeated field", "7:98 cut off"}));
  EXPECT_EQ(reading.summaries[0].skipped.at("null").count, 2);
  EXPECT_EQ(reading.summaries[0].skipped.at("null").names, (Texts{"f.jsonl:1", "f.jsonl:5"}));
  EXPECT_EQ(reading.summaries[0].skipped.at("empty").count, 1);
  options.bad_rows = BadRows::replace;
  options.last_of_repeated_keys = true;
  reading = read_file("f.jsonl", rows, options);
  EXPECT_EQ(reading.texts, (Texts{"one", "\uFFFDx", "b"}));
  EXPECT_EQ(reading.replaced, 1);
}

TEST_F(Documents, ALineOverTheLimitIsRefusedOrSkippedWithoutBeingKept) {
  const std::string rows =
      "{\"text\":\"a\"}\n{\"text\":\"" + std::string(static_cast<std::size_t>(kMaxRowBytes), 'x') + "\"}\n{\"text\":\"b\"}\n";
  expect_error("f.jsonl", rows, ":2: byte 13: the line is longer than 64 MiB");
  IngestOptions options;
  options.bad_rows = BadRows::skip;
  const Reading reading = read("f.jsonl", options);
  EXPECT_EQ(reading.texts, (Texts{"a", "b"}));
  EXPECT_EQ(reading.rejected, Texts{"2:13 too long"});
}

TEST_F(Documents, InvalidUtf8IsNamedReplacedOrSkipsItsDocument) {
  directory_.write("d/a.txt", "a\xFF\xE2\x82 b \xEF\xBF\xBD é é é");  // two ill-formed parts, and a U+FFFD of its own
  directory_.write("d/b.jsonl", "{\"text\":\"x\xC0y\"}\n{\"text\":\"fine\"}\n");
  expect_error("f.txt", "gr\xC3\xBC\xDF dich", ": byte offset 4: invalid UTF-8 (byte 0xdf); repair the file");
  expect_error("f.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\xFF\"}\n", ":2: byte offset 22: invalid UTF-8 (byte 0xff)");
  IngestOptions options;
  options.invalid_utf8 = InvalidUtf8::replace;
  Reading reading = read("d", options);
  EXPECT_EQ(reading.texts, (Texts{"a\uFFFD\uFFFD b \uFFFD é é é", "x\uFFFDy", "fine"}));
  EXPECT_EQ(reading.summaries[0].replaced_sequences, 2);
  EXPECT_EQ(reading.summaries[1].replaced_sequences, 1);
  options.invalid_utf8 = InvalidUtf8::skip_document;
  reading = read("d", options);
  EXPECT_EQ(reading.texts, Texts{"fine"});
  EXPECT_EQ(reading.rejected, (Texts{"0:0 invalid UTF-8", "1:0 invalid UTF-8"}));
}

TEST_F(Documents, ByteOrderMarksAreNoText) {
  EXPECT_EQ(read_file("a.txt", "\xEF\xBB\xBFtext").texts, Texts{"text"});
  EXPECT_EQ(read_file("a.jsonl", "\xEF\xBB\xBF{\"text\":\"text\"}\n").texts, Texts{"text"});
  const Reading together = read_file("c.jsonl", "\xEF\xBB\xBF{\"text\":\"one\"}\n\xEF\xBB\xBF{\"text\":\"two\"}\n");
  EXPECT_EQ(together.texts, (Texts{"one", "two"})) << "marked files, put together";
  EXPECT_EQ(read_file("b.txt", "\xEF\xBB\xBF").summaries[0].skipped.at("empty").count, 1);
}

TEST_F(Documents, OtherEncodingsAreNamedWithTheOptionThatReadsThem) {
  const std::string utf16 = "T\0h\0e\0 \0e\0n\0d\0.\0"s, utf16_be = "\0T\0h\0e\0 \0e\0n\0d\0."s;
  expect_error("a.txt", utf16, ": NUL bytes: probably utf-16le; --encoding utf-16le reads it");
  expect_error("a.txt", utf16_be, ": NUL bytes: probably utf-16be; --encoding utf-16be reads it");
  expect_error("a.jsonl", "\xFF\xFE{\0"s, ": its byte-order mark says utf-16le; --encoding utf-16le reads it");
  expect_error("a.txt", "\xFF\xFE\0\0a\0\0\0"s, ": its byte-order mark says utf-32le; --encoding utf-32le");
  expect_error("a.txt", "Le caf\xE9 \xE0 c\xF4t\xE9, l'\xE9t\xE9 dernier",
               ": byte offset 6: invalid UTF-8 (byte 0xe9), probably Windows-1252; --encoding windows-1252 reads it");
  expect_error("a.txt", "text with a NUL \0 inside"s, ": byte offset 16: a NUL byte, which no text has");
  IngestOptions options;
  options.walk.encodings = {{"", Encoding::utf16le}};
  EXPECT_EQ(read_file("a.txt", utf16, options).texts, Texts{"The end."});
  expect_error("a.txt", "plain text", ": looks like utf-8, not utf-16le", options);
  expect_error("a.txt", "\xFE\xFF" + utf16_be, ": its byte-order mark says utf-16be", options);
  options.walk.encodings = {{"", Encoding::utf16le}, {"s", Encoding::windows1252}};
  EXPECT_EQ(read_file("a.txt", "caf\xE9 \x93", options).texts, Texts{"café “"}) << "its own source's encoding comes first";
  options.walk.encodings = {{"other", Encoding::utf16le}};
  EXPECT_TRUE(contains(message_of<UsageError>([&] { read("a.txt", options); }), "no source is named other"));
}

TEST_F(Documents, WhatIsNoTextIsNamed) {
  expect_error("a.txt", "%PDF-1.7\n%…", ": holds a PDF document, not text; ");
  expect_error("a.txt", "PK\3\4……", ": holds a zip archive");
  expect_error("a.jsonl", "PAR1……", ": holds a Parquet file");
}

TEST_F(Documents, ATextFileIsDividedWhenAskedAndTheMarkIsToldWhenNot) {
  const std::string stories = "One.\n<|endoftext|>\nTwo.\n<|endoftext|>\nThree.\n<|endoftext|>\n";
  const Reading whole = read_file("a.txt", stories);
  EXPECT_EQ(whole.texts, Texts{stories});
  EXPECT_EQ(whole.summaries[0].separator, "<|endoftext|>");
  EXPECT_EQ(whole.summaries[0].separator_count, 3);
  IngestOptions options;
  options.split.separator = "<|endoftext|>";
  const Reading divided = read("a.txt", options);
  EXPECT_EQ(divided.texts, (Texts{"One.\n", "Two.\n", "Three.\n"}));
  EXPECT_EQ(divided.places, (Texts{"a.txt:1", "a.txt:3", "a.txt:5"}));
  EXPECT_EQ(divided.summaries[0].separator, "");
}

}  // namespace
}  // namespace longhaul::ingest
