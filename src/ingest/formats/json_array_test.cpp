#include "ingest/formats/json_array.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace longhaul::ingest {
namespace {

/// "line:byte text" or "line:byte !reason" of each row of `file`, which arrives in pieces of `size` bytes.
std::vector<std::string> array_rows_of(const std::string& file, std::size_t size) {
  std::size_t at = 0;
  JsonArrayRows rows(
      [&](std::string& into) {
        if (at >= file.size()) return false;
        into += file.substr(at, size);
        at += size;
        return true;
      },
      {});
  std::vector<std::string> found;
  for (Row row; rows.next(row);) {
    if (!row.fault) rows.read(row);
    found.push_back(std::to_string(row.line) + ":" + std::to_string(row.byte) +
                    (row.fault ? " !" + row.fault->reason : " " + std::string(row.text)));
  }
  return found;
}

void expect_rows(const std::string& file, const std::vector<std::string>& expected) {
  for (std::size_t size = 1; size <= file.size() + 1; ++size) EXPECT_EQ(array_rows_of(file, size), expected) << size;
}

TEST(JsonArray, EachElementIsARow) {
  expect_rows("[{\"text\":\"one\"},{\"text\":\"two\"}]", {"1:1 one", "1:16 two"});
  expect_rows(" [\n  {\n    \"text\": \"a ], } \\\" \\\\\"\n  } ,\n\n  {\"x\": [[1], {}], \"text\": \"b\"}\n]\n",
              {"2:5 a ], } \" \\", "6:43 b"});
  expect_rows("[]", {});
  expect_rows("[ ] \n", {});
}

TEST(JsonArray, AFaultyElementIsOneRow) {
  expect_rows("[{\"text\":null}, 5, {\"text\":\"c\"}, \"d\", [1]]",
              {"1:1 !null", "1:16 !not an object", "1:19 c", "1:33 !not an object", "1:38 !not an object"});
  expect_rows("[{\"text\":\"a\"},,{\"text\":\"b\"}]", {"1:1 a", "1:14 !cut off", "1:15 b"});
}

TEST(JsonArray, ADamagedArrayEndsWithARowThatSaysSo) {
  expect_rows("[{\"text\":\"a\"}", {"1:1 a", "1:13 !cut off"});
  expect_rows("[{\"text\":\"a\"},\n{\"text\":\"b", {"1:1 a", "2:15 !cut off"});
  expect_rows("[{\"text\":\"a\"}] [1]", {"1:1 a", "1:15 !text behind the document"});
  expect_rows("[", {"1:1 !cut off"});
}

TEST(JsonArray, IsToldByItsFirstCharacter) {
  EXPECT_TRUE(is_json_array(" \n\t["));
  EXPECT_FALSE(is_json_array("{\"text\": []}"));
  EXPECT_FALSE(is_json_array(""));
}

}  // namespace
}  // namespace longhaul::ingest
