#include "data/ingest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "data/test_directory.h"
#include "files/read.h"

namespace longhaul::data {
namespace {

std::vector<std::string> texts_of(const std::vector<Source>& sources, const IngestOptions& options = {}) {
  DocumentReader reader(list_files(sources), options);
  std::vector<std::string> texts;
  Document document;
  while (reader.next(document)) texts.emplace_back(document.text);
  return texts;
}

std::string error_of(const TestDirectory& directory, const std::string& name, const std::string& contents,
                     const IngestOptions& options = {}) {
  directory.write(name, contents);
  return message_of<DataError>([&] { texts_of({{"s", directory / name}}, options); });
}

TEST(Ingest, ReadsTextFilesAndLinesInOrderOfTheirPaths) {
  const TestDirectory directory;
  directory.write("d/b.txt", "second\n");
  directory.write("d/a.txt", "first");
  directory.write("d/c/x.jsonl", "{\"id\": 1, \"text\": \"third\"}\n\n  \r\n{\"text\": \"f\\u00f6urth\\n\"}");
  directory.write("d/readme.md", "ignored");
  const std::vector<std::string> expected = {"first", "second\n", "third", "föurth\n"};
  EXPECT_EQ(texts_of({{"s", directory / "d"}}), expected);
}

TEST(Ingest, NamesFilesRelativeToTheirSourceAndHashesThem) {
  const TestDirectory directory;
  directory.write("d/a.txt", "one");
  directory.write("d/sub/b.jsonl", "{\"text\":\"two\"}\n{\"text\":\"\"}\n");
  directory.write("e.txt", "");
  const auto files = list_files({{"d", directory / "d"}, {"e", directory / "e.txt"}});
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[1].name, "sub/b.jsonl");
  EXPECT_EQ(files[2].name, "e.txt");
  EXPECT_EQ(files[2].source, 1u);
  DocumentReader reader(files, {});
  Document document;
  int count = 0;
  while (reader.next(document)) ++count;
  EXPECT_EQ(count, 2);
  ASSERT_EQ(reader.summaries().size(), 3u);
  EXPECT_EQ(reader.summaries()[0].sha256, files::sha256_hex("one"));
  EXPECT_EQ(reader.summaries()[1].sha256, files::digest_file(directory / "d/sub/b.jsonl").sha256);
  EXPECT_EQ(reader.summaries()[1].empty_documents, 1);
  EXPECT_EQ(reader.summaries()[2].empty_documents, 1);
  EXPECT_EQ(reader.bytes_read(), 3 + 15 + 12);
}

TEST(Ingest, ReadsLinesLongerThanItsBufferAndManyOfThem) {
  const TestDirectory directory;
  const std::string longest(3u << 20, 'x');
  std::string lines;
  std::vector<std::string> expected;
  for (int i = 0; i < 5000; ++i) {
    expected.push_back(i % 1000 == 7 ? longest : "document " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 997), 'y'));
    lines += "{\"text\":\"" + expected.back() + "\"}\n";
  }
  directory.write("many.jsonl", lines);
  EXPECT_TRUE(texts_of({{"s", directory / "many.jsonl"}}) == expected);
}

TEST(Ingest, AnotherFieldMayHoldTheText) {
  const TestDirectory directory;
  directory.write("a.jsonl", "{\"text\":\"no\",\"content\":\"yes\"}");
  IngestOptions options;
  options.text_field = "content";
  EXPECT_EQ(texts_of({{"s", directory / "a.jsonl"}}, options), std::vector<std::string>{"yes"});
}

TEST(Ingest, FaultyLinesAreNamed) {
  const TestDirectory directory;
  const std::string good = "{\"text\":\"fine\"}\n";
  const auto line = [&](const std::string& bad) { return error_of(directory, "f.jsonl", good + good + bad); };
  const std::string where = (directory / "f.jsonl").string() + ":3: ";
  for (const char* bad : {"{\"text\":\"open", "{\"text\":\"a\"} trailing", "nonsense", "{\"text\":\"\\ud800\"}"})
    EXPECT_TRUE(contains(line(bad), where + "not a JSON document")) << line(bad);
  EXPECT_TRUE(contains(line("[1,2]"), where + "not a JSON object")) << line("[1,2]");
  EXPECT_TRUE(contains(line("{\"body\":\"x\",\"id\":1}"), where + "no field \"text\"; the line has \"body\", \"id\""))
      << line("{\"body\":1}");
  EXPECT_TRUE(contains(line("{\"text\":5}"), where + "the field \"text\" is not a string"));
  EXPECT_TRUE(contains(line("{\"text\":" + std::string(100, '[')), where)) << "depth";
}

TEST(Ingest, ALineOverTheLimitIsRefused) {
  const TestDirectory directory;
  const std::string message = error_of(
      directory, "f.jsonl", "{\"text\":\"a\"}\n{\"text\":\"" + std::string(static_cast<std::size_t>(kMaxLineBytes), 'x') + "\"}\n");
  EXPECT_TRUE(contains(message, "f.jsonl:2: the line is longer than 64 MiB")) << message;
}

TEST(Ingest, InvalidUtf8IsNamedByFileAndByteOffset) {
  const TestDirectory directory;
  const std::string text = error_of(directory, "f.txt", "gr\xC3\xBC\xDF dich");
  EXPECT_TRUE(contains(text, "f.txt: byte offset 4: invalid UTF-8 (byte 0xdf)") && contains(text, "--invalid-utf8 replace")) << text;
  const std::string line = error_of(directory, "f.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\xFF\"}\n");
  EXPECT_TRUE(contains(line, "f.jsonl:2: byte offset 22: invalid UTF-8 (byte 0xff)")) << line;
}

TEST(Ingest, InvalidUtf8IsReplacedAndCountedWhenAsked) {
  const TestDirectory directory;
  directory.write("d/a.txt", "a\xFF\xE2\x82 b \xEF\xBF\xBD");  // two ill-formed parts, and a U+FFFD of its own
  directory.write("d/b.jsonl", "{\"text\":\"x\xC0y\"}\n{\"text\":\"fine\"}\n");
  IngestOptions options;
  options.invalid_utf8 = InvalidUtf8::replace;
  DocumentReader reader(list_files({{"s", directory / "d"}}), options);
  Document document;
  std::vector<std::string> texts;
  while (reader.next(document)) texts.emplace_back(document.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"a\xEF\xBF\xBD\xEF\xBF\xBD b \xEF\xBF\xBD", "x\xEF\xBF\xBDy", "fine"}));
  EXPECT_EQ(reader.summaries()[0].replaced_sequences, 2);
  EXPECT_EQ(reader.summaries()[1].replaced_sequences, 1);
}

TEST(Ingest, WhatIsMissingOrUnknownIsSaid) {
  const TestDirectory directory;
  std::filesystem::create_directory(directory / "empty");
  directory.write("a.pdf", "x");
  const auto list = [&](const std::string& name) { return message_of<DataError>([&] { list_files({{"books", directory / name}}); }); };
  EXPECT_TRUE(contains(list("none"), "source books: " + (directory / "none").string() + " does not exist"));
  EXPECT_TRUE(contains(list("empty"), "holds no .txt or .jsonl file"));
  EXPECT_TRUE(contains(list("a.pdf"), "allowed: .txt (a document a file), .jsonl (a document a line)"));
}

TEST(Split, DependsOnTheDocumentAndTheSaltAlone) {
  int heldout = 0, moved = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = "document " + std::to_string(i);
    const bool here = is_heldout(text, "longhaul", 0.05);
    EXPECT_EQ(here, is_heldout(text, "longhaul", 0.05));
    EXPECT_TRUE(!here || is_heldout(text, "longhaul", 0.10)) << "a larger fraction keeps what a smaller one holds out";
    heldout += here;
    moved += here != is_heldout(text, "another", 0.05);
  }
  EXPECT_NEAR(heldout, 1000, 154);  // five standard deviations of a binomial with p = 0.05
  EXPECT_NEAR(moved, 1900, 207);    // independent salts: 2·p·(1−p)
  EXPECT_FALSE(is_heldout("document", "longhaul", 0));
}

TEST(Split, IsTheSameOnEveryMachineForEver) {
  // Stored when the split was defined: a change here moves documents between training and validation.
  std::string pattern;
  for (int i = 0; i < 32; ++i) pattern += is_heldout("document " + std::to_string(i), "longhaul", 0.25) ? '1' : '0';
  EXPECT_EQ(pattern, "00010001100001001111001010011001");
}

}  // namespace
}  // namespace longhaul::data
