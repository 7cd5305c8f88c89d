#include "ingest/formats/tar_rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

using Strings = std::vector<std::string>;

class Memory final : public ByteStream {
 public:
  Memory(std::string bytes, std::size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  std::size_t read(char* into, std::size_t size) override {
    const std::size_t count = std::min({size, piece_, bytes_.size() - at_});
    std::memcpy(into, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0, piece_;
};

/// A member as an archiver writes it: header, data, zeros to a whole block.
std::string tar_member(const std::string& name, const std::string& data, char type = '0') {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, name.substr(0, 100));
  put(124, fmt::format("{:011o}", data.size()));
  header[156] = type;
  put(257, std::string("ustar\0", 6) + "00");
  put(148, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return header + data + std::string((512 - data.size() % 512) % 512, '\0');
}
std::string tar_end() { return std::string(1024, '\0'); }
std::string pax_record(const std::string& key, const std::string& value) {
  std::size_t size = key.size() + value.size() + 3;
  while (std::to_string(size).size() + key.size() + value.size() + 3 != size) ++size;
  return fmt::format("{} {}={}\n", size, key, value);
}

/// "number:byte text metadata" or "number:byte !reason" of each row.
Strings tar_rows_of(const std::string& archive, const RowOptions& options = {}, std::size_t piece = 1 << 16) {
  TarRows rows(std::make_unique<Memory>(archive, piece), options);
  Strings found;
  for (Row row; rows.next(row);) {
    if (!row.fault) rows.read(row);
    found.push_back(fmt::format("{}:{} ", row.line, row.byte) +
                    (row.fault ? (row.fault->expected ? "-" : "!") + row.fault->reason : std::string(row.text) + row.metadata));
  }
  return found;
}

RowOptions tar_options(const std::string& field, const Strings& metadata = {}) {
  RowOptions options;
  options.text_field = field;
  options.metadata = metadata;
  return options;
}

std::string tar_fault_of(const std::string& archive, const RowOptions& options = {}) {
  TarRows rows(std::make_unique<Memory>(archive, 1 << 16), options);
  for (Row row; rows.next(row);) {
    if (!row.fault) rows.read(row);
    if (row.fault) return row.fault->what;
  }
  return "";
}

TEST(Tar, MembersOfOneNameAreASample) {
  const std::string archive = tar_member("0001.jpg", "\xFF\xD8") + tar_member("0001.txt", "one") + tar_member("0001.json", "{\"a\": 1}") +
                              tar_member("d/0002.txt", "two") + tar_member("d/0003.seg.png", "x") + tar_member("d/0003.TXT", "three") +
                              tar_end();
  for (std::size_t piece = 1; piece < 3000; piece = piece * 3 + 1)
    EXPECT_EQ(tar_rows_of(archive, {}, piece), (Strings{"1:1536 one", "2:3584 two", "3:5632 three"}));
}

TEST(Tar, TheTextIsAMemberOrAValueInItsJson) {
  const std::string json = R"({"text": "in json", "caption": {"en": ["a", "b"]}, "url": "u", "n": 2})";
  const std::string archive = tar_member("k/1.json", json) + tar_member("k/1.de.txt", "deutsch") + tar_end();
  EXPECT_EQ(tar_rows_of(archive), Strings{"1:512 in json"});
  EXPECT_EQ(tar_rows_of(archive, tar_options("caption.en.1")), Strings{"1:512 b"});
  EXPECT_EQ(tar_rows_of(archive, tar_options("json.caption.en.0")), Strings{"1:512 a"});
  EXPECT_EQ(tar_rows_of(archive, tar_options("de.txt", {"url", "json.n", "__key__", "nothing"})),
            Strings{R"(1:1536 deutsch{"url":"u","json.n":2,"__key__":"k/1","nothing":null})"});
  EXPECT_EQ(tar_rows_of(archive, tar_options("n")), Strings{"1:512 !not a text"});
  EXPECT_EQ(tar_rows_of(archive, tar_options("absent")), Strings{"1:512 !missing field"});
}

TEST(Tar, ASampleWithoutTheTextSaysWhatItHas) {
  const std::string what = tar_fault_of(tar_member("a/1.jpg", "x") + tar_member("a/1.cls", "3") + tar_end());
  EXPECT_EQ(what, "the sample \"a/1\" has no member .txt (or .json); it has .jpg, .cls; name the right one with --text-field");
  EXPECT_EQ(tar_rows_of(tar_member("1.txt", "a") + tar_member("1.txt", "b") + tar_end()), Strings{"1:512 !repeated field"});
  EXPECT_EQ(tar_rows_of(tar_member("1.txt", "%PDF-1.7") + tar_end()), Strings{"1:512 !not a text"});
}

TEST(Tar, MembersThatAreNoSampleAreNamed) {
  const std::string archive = tar_member("./", "", '5') + tar_member("__index__", "note") + tar_member("./1.txt", "one") +
                              tar_member("../2.txt", "x") + tar_member("/etc/3.txt", "x") + tar_member("a/../4.txt", "x") +
                              tar_member("5.txt", "", '2') + tar_member("6.txt", "", '1') + tar_member("7.txt", "", '6') +
                              tar_member("d/._8.txt", "x") + tar_member("README", "x") + tar_member("9.txt", "nine") + tar_end();
  EXPECT_EQ(tar_rows_of(archive),
            (Strings{"1:2048 one", "2:2560 !unsafe name", "3:3584 !unsafe name", "4:4608 !unsafe name", "5:5632 !link", "6:6144 !link",
                     "7:6656 !not a regular file", "8:7168 -hidden name", "9:8192 -no extension", "10:9728 nine"}));
  EXPECT_EQ(tar_fault_of(tar_member("../2.txt", "x") + tar_end()), "the name \"../2.txt\" of a member leads out of the archive");
}

TEST(Tar, LongNamesAndPaxRecords) {
  const std::string longer(300, 'n');
  EXPECT_EQ(tar_rows_of(tar_member("././@LongLink", longer + ".txt" + std::string(1, '\0'), 'L') + tar_member(longer, "gnu") + tar_end(),
                        tar_options("text", {"__key__"})),
            Strings{"1:1536 gnu{\"__key__\":\"" + longer + "\"}"});
  const std::string records = pax_record("mtime", "1.5") + pax_record("path", "ü/" + longer + ".txt");
  EXPECT_EQ(tar_rows_of(tar_member("x", pax_record("comment", "all"), 'g') + tar_member("x", records, 'x') + tar_member("short", "pax") +
                        tar_end()),
            Strings{"1:2560 pax"});
  EXPECT_EQ(tar_rows_of(tar_member("x", "9999 path=a\n", 'x') + tar_member("s.txt", "pax") + tar_end()),
            Strings{"1:1024 !damaged archive"});
  EXPECT_EQ(tar_rows_of(tar_member("x", pax_record("GNU.sparse.major", "1"), 'x') + tar_member("s.txt", "pax") + tar_end()),
            Strings{"1:0 !not a regular file"});
}

TEST(Tar, ArchivesOneAfterAnotherAreOne) {
  EXPECT_EQ(tar_rows_of(tar_member("1.txt", "one") + tar_end() + std::string(8192, '\0') + tar_member("2.txt", "two") + tar_end()),
            (Strings{"1:512 one", "2:10752 two"}));
}

TEST(Tar, AByteOrderMarkIsNoText) { EXPECT_EQ(tar_rows_of(tar_member("1.txt", "\xEF\xBB\xBFone") + tar_end()), Strings{"1:515 one"}); }

/// Cut at any byte, the archive tells it; the samples before are whole.
TEST(Tar, ACutArchiveIsNamedWhereverItWasCut) {
  const std::string archive = tar_member("1.txt", "one") + tar_member("2.txt", "two");
  for (std::size_t size = 1; size <= archive.size() + 511; ++size) {
    const Strings rows = tar_rows_of((archive + tar_end()).substr(0, size));
    EXPECT_EQ(rows.size(), size < 512 + 3 ? 1u : size < 1536 + 3 ? 2u : 3u) << size;
    EXPECT_TRUE(rows.back().ends_with("!cut off")) << size << rows.back();
  }
  EXPECT_EQ(tar_rows_of(archive + std::string(512, '\0')).size(), 2u);
}

TEST(Tar, ADamagedHeaderEndsTheRows) {
  std::string archive = tar_member("1.txt", "one") + tar_member("2.txt", "two") + tar_end();
  archive[1024 + 3] = '!';
  EXPECT_EQ(tar_rows_of(archive), (Strings{"1:512 one", "2:1024 !damaged archive"}));
  EXPECT_EQ(tar_rows_of(std::string(2000, 'x')), Strings{"1:0 !damaged archive"});
}

TEST(Tar, AMemberLargerThanARowIsPassedOver) {
  const std::string large(static_cast<std::size_t>(kMaxRowBytes) + 1, 'x');
  const std::string archive = tar_member("1.txt", large) + tar_member("2.bin", large) + tar_member("2.txt", "two") + tar_end();
  const Strings rows = tar_rows_of(archive);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].ends_with("!too long"));
  EXPECT_TRUE(rows[1].ends_with(" two"));
}

}  // namespace
}  // namespace longhaul::ingest
