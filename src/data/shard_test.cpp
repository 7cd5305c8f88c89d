#include "data/shard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "units/test_directory.h"

namespace longhaul::data {
namespace {

using Ids = std::vector<std::int32_t>;
using Bytes = std::vector<std::byte>;

/// A small shard: documents [e 1 2 3], [e], [e 7]; e = vocab_size − 1.
Bytes small_shard(std::uint32_t vocab_size) {
  const auto e = static_cast<std::int32_t>(vocab_size - 1);
  ShardBuilder builder(vocab_size, {e, e}, "fingerprint");
  builder.add(Ids{1, 2, 3}, 11, 0);
  builder.add(Ids{}, 1, 1);
  builder.add(Ids{7}, 5, 0);
  ShardHeader header;
  return builder.finish(header);
}

std::filesystem::path write_shard(const TestDirectory& directory, const std::string& name) {
  const Bytes bytes = small_shard(100);
  return directory.write(name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

TEST(Shard, ReadsBackWhatWasWrittenInBothWidths) {
  for (const std::uint32_t vocab_size : {100u, 65536u, 65537u, 200000u}) {
    const Bytes bytes = small_shard(vocab_size);
    const ShardView view = parse_shard(bytes, "memory", ShardCheck::contents);
    const auto e = static_cast<std::int32_t>(vocab_size - 1);
    EXPECT_EQ(view.header.token_bytes, vocab_size <= 65536 ? 2u : 4u);
    Ids ids(view.header.token_count);
    view.read(0, ids);
    EXPECT_EQ(ids, (Ids{e, 1, 2, 3, e, e, 7}));
    ASSERT_EQ(view.header.document_count, 3u);
    EXPECT_EQ(view.document(2).first_token, 5u);
    EXPECT_EQ(view.document(1).source, 1u);
    EXPECT_EQ(view.header.text_bytes, 17u);
    EXPECT_EQ(view.header.tokenizer_hash, tokenizer_hash("fingerprint"));
  }
}

/// Documents [b 1 2 3 e] and [b 7 e]; without b where it is kNone.
Bytes separate_shard(std::int32_t begin) {
  ShardBuilder builder(100, {begin, 99}, "fingerprint");
  builder.add(Ids{1, 2, 3}, 11, 0);
  builder.add(Ids{7}, 5, 0);
  ShardHeader header;
  return builder.finish(header);
}

TEST(Shard, StoresBothTokensWhereBeginAndEndDiffer) {
  for (const std::int32_t begin : {98, tokenizer::Framing::kNone}) {
    const Bytes bytes = separate_shard(begin);
    const ShardView view = parse_shard(bytes, "memory", ShardCheck::contents);
    EXPECT_EQ(view.header.framing, (tokenizer::Framing{begin, 99}));
    Ids ids(view.header.token_count);
    view.read(0, ids);
    EXPECT_EQ(ids, (begin == 98 ? Ids{98, 1, 2, 3, 99, 98, 7, 99} : Ids{1, 2, 3, 99, 7, 99}));
  }
}

class ShardKinds : public ::testing::TestWithParam<int> {
 protected:
  Bytes good = GetParam() == 0 ? small_shard(100) : separate_shard(GetParam() == 1 ? 98 : tokenizer::Framing::kNone);
};
INSTANTIATE_TEST_SUITE_P(Framings, ShardKinds, ::testing::Values(0, 1, 2));

TEST_P(ShardKinds, EveryFlippedBitIsFound) {
  EXPECT_NO_THROW(parse_shard(good, "good", ShardCheck::contents));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] ^= static_cast<std::byte>(1 << bit);
      ASSERT_THROW(parse_shard(bad, "bad", ShardCheck::contents), DataError) << "byte " << at << ", bit " << bit;
    }
  }
}

TEST_P(ShardKinds, EveryTruncationAndExtensionIsFoundWithoutReadingTheContents) {
  for (std::size_t size = 0; size < good.size(); ++size)
    ASSERT_THROW(parse_shard(std::span(good).first(size), "cut", ShardCheck::structure), DataError) << size;
  Bytes longer = good;
  longer.push_back(std::byte{0});
  EXPECT_THROW(parse_shard(longer, "long", ShardCheck::structure), DataError);
}

/// Resident pages of mapped files, in KiB (proc(5)).
long resident_file_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:")) return std::stol(line.substr(8));
  return -1;
}

TEST(Shard, ReleasedPagesAreNotResidentAndReadAgain) {
  ShardBuilder builder(100, {99, 99}, "fingerprint");
  builder.add(Ids(std::size_t{4} << 20, 7), 11, 0);  // 8 MiB
  ShardHeader header;
  const Bytes bytes = builder.finish(header);
  const TestDirectory directory;
  const auto path = directory.write("large", std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const auto shard = Shard::map(path, ShardCheck::contents);
  const long verified = resident_file_kib();
  shard->release_pages();
  EXPECT_LT(resident_file_kib(), verified - 7 * 1024);
  EXPECT_EQ(shard->view().token(std::int64_t{4} << 20), 7);
}

TEST(Shard, MessagesNameFileOffsetAndFix) {
  const TestDirectory directory;
  const std::filesystem::path file = write_shard(directory, "shard-00000.tokens");
  const Bytes good = small_shard(100);
  EXPECT_EQ(Shard::map(file, ShardCheck::contents)->view().header.token_count, 7u);
  const std::string cut = message_of<DataError>([&] { parse_shard(std::span(good).first(100), file.string(), ShardCheck::structure); });
  EXPECT_TRUE(contains(cut, file.string()) && contains(cut, "truncated: 100 bytes, its header promises 136") && contains(cut, "prepare"))
      << cut;
  Bytes flipped = good;
  flipped[80] ^= std::byte{1};
  const std::string hash = message_of<DataError>([&] { parse_shard(flipped, "f", ShardCheck::contents); });
  EXPECT_TRUE(contains(hash, "bytes 72 to 135 do not match their hash")) << hash;
  directory.write("empty", "");
  EXPECT_TRUE(contains(message_of<DataError>([&] { Shard::map(directory / "empty", ShardCheck::structure); }), "truncated: 0 bytes"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { Shard::map(directory / "none", ShardCheck::structure); }), "none"));
  EXPECT_THROW(Shard::map(directory.path(), ShardCheck::structure), DataError);
}

TEST(TokenStream, ShardsReadAsOneStream) {
  const TestDirectory directory;
  std::vector<std::shared_ptr<const Shard>> shards;
  for (const char* name : {"a", "b", "c"}) shards.push_back(Shard::map(write_shard(directory, name), ShardCheck::contents));
  const TokenStream stream(shards);
  EXPECT_EQ(stream.tokens(), 22) << "with the end of the last document";
  EXPECT_EQ(stream.documents(), 9);
  EXPECT_EQ(stream.text_bytes(), 51);
  Ids ids(10);
  stream.read(5, ids);  // over two joints' worth of the first, into the third
  EXPECT_EQ(ids, (Ids{99, 7, 99, 1, 2, 3, 99, 99, 7, 99}));
  Ids last(3);
  stream.read(19, last);
  EXPECT_EQ(last, (Ids{99, 7, 99}));
  EXPECT_EQ(stream.document_begin(3), 7);
  EXPECT_EQ(stream.document_begin(9), 21);
  for (std::int64_t position = 0; position < stream.document_begin(9); ++position) {
    const std::int64_t document = stream.document_of(position);
    EXPECT_LE(stream.document_begin(document), position);
    EXPECT_GT(stream.document_begin(document + 1), position);
  }
  EXPECT_EQ(stream.document_entry(5).text_bytes, 5u);
}

}  // namespace
}  // namespace longhaul::data
