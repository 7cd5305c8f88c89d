#include "ingest/token_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

constexpr int kEnd = 5;

/// Ids 0 to 4 are "a" to "e", 5 ends a document, 6 begins one, 7 is no token.
TokenVocabulary letters() {
  TokenVocabulary vocabulary;
  vocabulary.name = "letters";
  vocabulary.bytes = {"a", "b", "c", "d", "e", "<end>", "<begin>", ""};
  vocabulary.end = kEnd;
  return vocabulary;
}

template <class Id>
std::string bytes_of(const std::vector<Id>& ids) {
  std::string bytes(ids.size() * sizeof(Id), '\0');
  if (!ids.empty()) std::memcpy(bytes.data(), ids.data(), bytes.size());
  return bytes;
}

using Texts = std::vector<std::string>;

Texts read(const std::filesystem::path& file, TokenFormat format, const TokenVocabulary& vocabulary = letters()) {
  TokenFile tokens(std::make_unique<DiskFile>(file), format, vocabulary);
  Texts texts;
  for (TokenDocument document; tokens.next(document);) texts.push_back(document.text);
  EXPECT_EQ(tokens.bytes_read(), static_cast<std::int64_t>(std::filesystem::file_size(file)));
  return texts;
}

class TokenFileTest : public testing::Test {
 protected:
  Texts of_ids(const std::vector<std::uint16_t>& ids, const TokenVocabulary& vocabulary = letters()) {
    return read(directory_.write("a.bin", bytes_of(ids)), TokenFormat::uint16, vocabulary);
  }
  std::string fault(const std::string& bytes, TokenFormat format, const TokenVocabulary& vocabulary = letters()) {
    const auto file = directory_.write("a.bin", bytes);
    return message_of<DataError>([&] { read(file, format, vocabulary); });
  }
  TestDirectory directory_;
};

TEST_F(TokenFileTest, TheEndTokenDividesWhereverItStands) {
  EXPECT_EQ(of_ids({0, 1, kEnd, 2, kEnd}), (Texts{"ab", "c"}));  // nanoGPT
  EXPECT_EQ(of_ids({kEnd, 0, 1, kEnd, 2}), (Texts{"ab", "c"}));  // llm.c
  EXPECT_EQ(of_ids({0, kEnd, kEnd, 1, kEnd}), (Texts{"a", "", "b"}));
  EXPECT_EQ(of_ids({kEnd, kEnd, 1}), (Texts{"", "b"}));
  EXPECT_EQ(of_ids({kEnd}), (Texts{""}));
}

TEST_F(TokenFileTest, AFileWithoutAnEndTokenIsOneDocumentIfThatIsSaid) {
  TokenVocabulary vocabulary = letters();
  EXPECT_TRUE(contains(fault(bytes_of<std::uint16_t>({0, 1}), TokenFormat::uint16), "none of its 2 ids is the end token, 5"));
  vocabulary.whole_files = true;
  EXPECT_EQ(of_ids({0, 1}, vocabulary), Texts{"ab"});
}

TEST_F(TokenFileTest, EveryDocumentBeginsWithTheBeginTokenIfThereIsOne) {
  TokenVocabulary vocabulary = letters();
  vocabulary.begin = 6;
  EXPECT_EQ(of_ids({6, 0, kEnd, 6, 1, kEnd, 6, kEnd}, vocabulary), (Texts{"a", "b", ""}));
  const std::string message = fault(bytes_of<std::uint16_t>({6, 0, kEnd, 1, kEnd}), TokenFormat::uint16, vocabulary);
  EXPECT_TRUE(contains(message, "byte offset 6 (token 3): a document begins with id 1, not with the begin token, 6; --begin none"));
}

TEST_F(TokenFileTest, ASpaceThatEncodingHadAddedIsNoText) {
  TokenVocabulary vocabulary = letters();
  vocabulary.bytes[0] = " ";
  EXPECT_EQ(of_ids({0, 1, 0, 1, kEnd}, vocabulary), Texts{" b b"});
  vocabulary.added_space = true;
  EXPECT_EQ(of_ids({0, 1, 0, 1, kEnd}, vocabulary), Texts{"b b"});
}

TEST_F(TokenFileTest, LongFilesAreReadInBlocks) {
  std::vector<std::uint32_t> ids;
  Texts expected;
  for (std::size_t length : {std::size_t{300000}, std::size_t{1}, std::size_t{262144}, std::size_t{500000}}) {
    ids.insert(ids.end(), length, 3);
    ids.push_back(kEnd);
    expected.emplace_back(length, 'd');
  }
  EXPECT_EQ(read(directory_.write("a.bin", bytes_of(ids)), TokenFormat::uint32), expected);
  ids[600000] = 7;
  EXPECT_TRUE(contains(fault(bytes_of(ids), TokenFormat::uint32), "byte offset 2400000 (token 600000): id 7 is no token of 8 (letters)"));
}

TEST_F(TokenFileTest, WhatIsNoSuchFileIsNamed) {
  const auto says = [&](const std::string& bytes, TokenFormat format, const std::string& what) {
    const std::string message = fault(bytes, format);
    EXPECT_TRUE(contains(message, what)) << message;
    EXPECT_TRUE(contains(message, "a.bin")) << message;
  };
  says(bytes_of<std::uint16_t>({0, 8, kEnd}), TokenFormat::uint16, "byte offset 2 (token 1): id 8 is outside the vocabulary of 8");
  says(bytes_of<std::uint16_t>({0, kEnd}) + "x", TokenFormat::uint16, "byte offset 4 (token 2): truncated: 5 bytes");
  says(bytes_of(std::vector<std::uint32_t>(40, 1)), TokenFormat::uint16, "every second id is 0: probably --tokens uint32");
  says(bytes_of(std::vector<std::uint16_t>(40, 1)), TokenFormat::uint32, "id 65537 is outside");
  says("\x93NUMPY and an array.", TokenFormat::uint16, "a NumPy file");
  says(bytes_of<std::int32_t>({20240520, 1, 4, 0}), TokenFormat::uint16, "--tokens llm.c reads it");
  TokenVocabulary large = letters();
  large.bytes.resize(100277, "x");
  EXPECT_TRUE(contains(fault(bytes_of<std::uint16_t>({0, kEnd}), TokenFormat::uint16, large), "too few for the vocabulary of 100277"));
}

std::string llm_c(std::int32_t magic, std::int32_t version, std::int32_t tokens, const std::string& ids) {
  std::vector<std::int32_t> header(256);
  header[0] = magic, header[1] = version, header[2] = tokens;
  return bytes_of(header) + ids;
}

TEST_F(TokenFileTest, LlmC) {
  const std::string ids = bytes_of<std::uint16_t>({kEnd, 0, 1, kEnd, 2}), wide = bytes_of<std::uint32_t>({kEnd, 0, 1, kEnd, 2});
  EXPECT_EQ(read(directory_.write("a.bin", llm_c(20240520, 1, 5, ids)), TokenFormat::llm_c), (Texts{"ab", "c"}));
  EXPECT_EQ(read(directory_.write("a.bin", llm_c(20240801, 7, 5, wide)), TokenFormat::llm_c), (Texts{"ab", "c"}));
  const auto says = [&](const std::string& bytes, const std::string& what) {
    const std::string message = fault(bytes, TokenFormat::llm_c);
    EXPECT_TRUE(contains(message, what)) << message;
  };
  says(llm_c(20240520, 1, 6, ids), "byte offset 8: 6 tokens make 1036 bytes, the file has 1034: it is truncated");
  says(llm_c(20240520, 1, 4, ids), "it is too long");
  says(llm_c(20240520, 2, 5, ids), "no header of llm.c's: magic 20240520, version 2");
  says(llm_c(20240522, 1, 5, ids), "multiple-choice evaluation data");
  says(ids, "byte offset 10: truncated in llm.c's header");
}

struct Megatron {
  std::uint8_t type = 4;  // i32
  std::vector<std::int32_t> lengths = {2, 1, 0, 2};
  std::vector<std::int64_t> pointers = {0, 8, 12, 12};
  std::vector<std::int64_t> documents = {0, 2, 3, 4};
  std::string ids = bytes_of<std::int32_t>({0, 1, 2, 3, kEnd});
  std::string tail;

  std::string index() const {
    std::string bytes("MMIDIDX\0\0", 9);
    bytes += bytes_of<std::uint64_t>({1}) + static_cast<char>(type) + bytes_of<std::uint64_t>({lengths.size(), documents.size()});
    return bytes + bytes_of(lengths) + bytes_of(pointers) + bytes_of(documents) + tail;
  }
};

class MegatronTest : public TokenFileTest {
 protected:
  Texts read_both(const Megatron& data) {
    (void)directory_.write("a.idx", data.index());
    return read(directory_.write("a.bin", data.ids), TokenFormat::megatron);
  }
  void says(const Megatron& data, const std::string& what) {
    (void)directory_.write("a.idx", data.index());
    const std::string message = fault(data.ids, TokenFormat::megatron);
    EXPECT_TRUE(contains(message, what)) << message;
  }
};

TEST_F(MegatronTest, DocumentsAreThoseOfTheIndex) {
  Megatron data;
  EXPECT_EQ(read_both(data), (Texts{"abc", "", "d"}));
  data.tail = "\1\1\1\1";  // modes
  EXPECT_EQ(read_both(data), (Texts{"abc", "", "d"}));
}

TEST_F(MegatronTest, IdsOfEveryWholeType) {
  const std::map<int, std::string> types = {{1, bytes_of<std::uint8_t>({0, 1, 2, 3, kEnd})},
                                            {2, bytes_of<std::int8_t>({0, 1, 2, 3, kEnd})},
                                            {3, bytes_of<std::int16_t>({0, 1, 2, 3, kEnd})},
                                            {5, bytes_of<std::int64_t>({0, 1, 2, 3, kEnd})},
                                            {8, bytes_of<std::uint16_t>({0, 1, 2, 3, kEnd})}};
  for (const auto& [type, ids] : types) {
    Megatron data;
    data.type = static_cast<std::uint8_t>(type);
    data.ids = ids;
    const auto bytes = static_cast<std::int64_t>(ids.size()) / 5;
    data.pointers = {0, 2 * bytes, 3 * bytes, 3 * bytes};
    EXPECT_EQ(read_both(data), (Texts{"abc", "", "d"})) << type;
  }
}

TEST_F(MegatronTest, WhatContradictsItselfIsNamed) {
  Megatron data;
  data.type = 7;
  says(data, "a.idx: byte offset 17: type 7 holds no ids");
  data = {};
  data.ids.pop_back();
  says(data, "a.bin: byte offset 19: truncated: 19 bytes, a.idx promises 20");
  data = {};
  data.ids += "1234";
  says(data, "a.bin: byte offset 20: too long");
  data = {};
  data.pointers[2] = 16;
  says(data, "a.idx: byte offset 66: sequence 2 begins at byte 16 of the .bin, the ones before end at 12");
  data = {};
  data.lengths[1] = -1;
  says(data, "a.idx: byte offset 38: sequence 1 has -1 ids");
  data = {};
  data.documents = {0, 3, 2, 4};
  says(data, "document 2 begins with sequence 2, the one before with 3 of 4");
  data.documents = {0, 2, 3};
  says(data, "the documents end with sequence 3 of 4");
  data = {};
  data.tail = "12";
  says(data, "a.idx: byte offset 114: too long: 116 bytes");
  data = {};
  data.ids = bytes_of<std::int32_t>({0, 1, -2, 3, kEnd});
  says(data, "a.bin: byte offset 8 (token 2): id -2 is outside");
  (void)directory_.write("a.idx", Megatron{}.index().substr(0, 60));
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { read(directory_ / "a.bin", TokenFormat::megatron); }), "a.idx: byte offset 60: truncated"));
  std::filesystem::remove(directory_ / "a.idx");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read(directory_ / "a.bin", TokenFormat::megatron); }), "lies beside its .bin"));
}

TEST_F(MegatronTest, AnyTruncatedIndexIsRefused) {
  const std::string index = Megatron{}.index();
  const auto bin = directory_.write("a.bin", Megatron{}.ids);
  for (std::size_t size = 0; size < index.size(); ++size) {
    (void)directory_.write("a.idx", index.substr(0, size));
    EXPECT_THROW(read(bin, TokenFormat::megatron), DataError) << size;
  }
}

}  // namespace
}  // namespace longhaul::ingest
