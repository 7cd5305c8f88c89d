#include "ingest/formats/csv_rows.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

/// "line:byte text" or "line:byte !reason" of each row of `file`, which arrives in pieces of `size` bytes.
std::vector<std::string> csv_rows_of(const std::string& file, std::size_t size, char separator = ',', const std::string& column = "text") {
  std::size_t at = 0;
  RowOptions options;
  options.text_field = column;
  CsvRows rows(
      [&](std::string& into) {
        if (at >= file.size()) return false;
        into += file.substr(at, size);
        at += size;
        return true;
      },
      separator, options, "f.csv");
  std::vector<std::string> found;
  for (Row row; rows.next(row);) {
    if (!row.fault) rows.read(row);
    found.push_back(std::to_string(row.line) + ":" + std::to_string(row.byte) +
                    (row.fault ? " !" + row.fault->reason : " " + std::string(row.text)));
  }
  return found;
}

void expect_csv(const std::string& file, const std::vector<std::string>& expected, char separator = ',') {
  for (std::size_t size = 1; size <= file.size() + 1; ++size) EXPECT_EQ(csv_rows_of(file, size, separator), expected) << size;
}

TEST(Csv, EachRecordIsARowAndTheTextAColumn) {
  expect_csv("id,text\n1,one\n2,two", {"2:8 one", "3:14 two"});
  expect_csv("text\r\none\r\n\r\ntwo\r\n", {"2:6 one", "4:13 two"});
  expect_csv("id\ttext\n1\ta, b\n", {"2:8 a, b"}, '\t');
  expect_csv("text,id\n,1\n", {"2:8 "});
  expect_csv("text\n", {});
  expect_csv("", {});
}

TEST(Csv, QuotedFieldsHoldSeparatorsLineEndsAndQuotes) {
  expect_csv("\"text\",id\n\"a,\"\"b\"\"\nc\",1\nd,\"2\"\n", {"2:10 a,\"b\"\nc", "4:24 d"});
  expect_csv("text\n\"\"\"\"\n\"\"\nx\"y\n", {"2:5 \"", "3:10 ", "4:13 x\"y"});
  expect_csv("text,t\nx\"\"y,1\nz,2\n", {"2:7 x\"\"y", "3:14 z"});
  expect_csv("text,t\n\"a\r\nb\",\"\"\"c\"\n", {"2:7 a\r\nb"});
}

TEST(Csv, FaultyRecordsAreNamed) {
  expect_csv("text,id\na\nb,1,2\n\"c\"d,3\ne,4\n",
             {"2:8 !wrong number of fields", "3:10 !wrong number of fields", "4:16 !wrong quotes", "5:23 e"});
  expect_csv("text,id\na,1\n\"cut,2\nb,3\n", {"2:8 a", "3:12 !cut off"});
}

TEST(Csv, TheColumnOfTheTextMustBeThereOnce) {
  const auto message = [](const std::string& file) { return message_of<DataError>([&] { csv_rows_of(file, 100); }); };
  EXPECT_EQ(message("id,body\n1,x\n"),
            "f.csv:1: no column \"text\"; the header has \"id\", \"body\"; name the right one with --text-field");
  EXPECT_TRUE(contains(message("text,text\n1,x\n"), "more than one column \"text\""));
  EXPECT_TRUE(contains(message("\"text\n1,x\n"), "f.csv:1: the header: the file ends inside a field"));
  EXPECT_EQ(csv_rows_of("id;body\n1;x\n", 3, ';', "body"), std::vector<std::string>{"2:8 x"});
}

}  // namespace
}  // namespace longhaul::ingest
