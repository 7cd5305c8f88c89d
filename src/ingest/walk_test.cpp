#include "ingest/walk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_of(const Walk& walk) {
  std::vector<std::string> names;
  for (const InputFile& file : walk.files) names.push_back(file.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(Walk, TakesKnownFilesInByteOrderOfTheirNamesWhateverTheCaseOfTheirExtension) {
  const TestDirectory directory;
  for (const char* name : {"d/b.txt", "d/A.TXT", "d/a/z.text", "d/a-b.txt", "d/a/x.NDJSON"}) directory.write(name, "text");
  const Walk walk = walk_sources({{"s", directory / "d"}});
  EXPECT_EQ(names_of(walk), (Names{"A.TXT", "a-b.txt", "a/x.NDJSON", "a/z.text", "b.txt"}));
  EXPECT_EQ(walk.bytes(), 20);
  EXPECT_EQ(walk.sources[0].seen(), 5);
  EXPECT_EQ(walk.sources[0].skipped_text(), "");
}

TEST(Walk, CountsEachFileThatItDoesNotTakeUnderAReason) {
  const TestDirectory directory;
  for (const char* name : {"d/taken.txt", "d/f.md", "d/g.pdf", "d/.h.txt", "d/._a.txt", "d/.git/HEAD", "d/__MACOSX/x/a.txt", "d/a.txt~",
                           "d/b.txt.swp", "d/#c.txt#", "d/d.txt.bak", "d/e.TMP", "d/f.txt.partial", "d/drafts/a.txt"})
    directory.write(name, "text");
  directory.write("d/none.txt", "");
  ASSERT_EQ(::mkfifo((directory / "d/pipe.txt").c_str(), 0600), 0);
  fs::create_symlink("nowhere", directory / "d/lost.txt");
  fs::create_symlink("self.txt", directory / "d/self.txt");
  fs::create_symlink("taken.txt", directory / "d/again.txt");
  fs::create_hard_link(directory / "d/taken.txt", directory / "d/too.txt");
  WalkOptions options;
  options.exclude = {"drafts"};
  const Walk walk = walk_sources({{"s", directory / "d"}}, options);
  const SourceWalk& account = walk.sources[0];
  EXPECT_EQ(names_of(walk), Names{"taken.txt"});
  const auto expect = [&](SkippedFile reason, const Names& names) {
    EXPECT_EQ(account.of(reason).names, names) << reason_name(reason);
    EXPECT_EQ(account.of(reason).count, std::ssize(names) == 3 ? account.of(reason).count : std::ssize(names)) << reason_name(reason);
  };
  expect(SkippedFile::unknown_extension, {"f.md", "g.pdf"});
  expect(SkippedFile::hidden, {"._a.txt", ".git/HEAD", ".h.txt"});
  EXPECT_EQ(account.of(SkippedFile::hidden).count, 4);
  expect(SkippedFile::leftover, {"#c.txt#", "a.txt~", "b.txt.swp"});
  EXPECT_EQ(account.of(SkippedFile::leftover).count, 6);
  expect(SkippedFile::empty, {"none.txt"});
  expect(SkippedFile::excluded, {"drafts/a.txt"});
  expect(SkippedFile::special, {"pipe.txt"});
  expect(SkippedFile::dangling_link, {"lost.txt"});
  expect(SkippedFile::link_cycle, {"self.txt"});
  expect(SkippedFile::seen_before, {"too.txt", "again.txt"});
  EXPECT_EQ(account.seen(), 20) << account.skipped_text();
}

TEST(Walk, FollowsLinkedFoldersOnceAndNamesCycles) {
  const TestDirectory directory;
  directory.write("blobs/sub/0.txt", "zero");
  directory.write("blobs/sub/1.txt", "one");
  directory.write("d/own.txt", "own");
  directory.write("d/real/x.txt", "x");
  fs::create_directory_symlink("../blobs/sub", directory / "d/linked");
  fs::create_directory_symlink("../blobs/sub", directory / "d/linked-too");
  fs::create_directory_symlink("real", directory / "d/a-first");  // sorts before the folder that it leads to
  fs::create_directory_symlink("..", directory / "d/real/up");
  fs::create_directory_symlink("../../d", directory / "blobs/sub/back");
  fs::create_directory_symlink("../..", directory / "d/real/out");
  const Walk walk = walk_sources({{"s", directory / "d"}});
  EXPECT_EQ(names_of(walk), (Names{"linked/0.txt", "linked/1.txt", "own.txt", "real/x.txt"}));
  EXPECT_EQ(walk.sources[0].of(SkippedFile::seen_before).names, (Names{"a-first/", "linked-too/"}));
  EXPECT_EQ(walk.sources[0].of(SkippedFile::link_cycle).names, (Names{"real/out/", "real/up/", "linked/back/"}));
}

TEST(Walk, IncludeTakesAnyExtensionAndNothingElse) {
  const TestDirectory directory;
  for (const char* name : {"d/a.txt", "d/b.md", "d/notes/c.MD", "d/notes/d.md", "d/src/e.py"}) directory.write(name, "text");
  const auto taken = [&](const Names& include, const Names& exclude) {
    return names_of(walk_sources({{"s", directory / "d"}}, {include, exclude, {}}));
  };
  EXPECT_EQ(taken({"*.md"}, {}), (Names{"b.md", "notes/d.md"}));
  EXPECT_EQ(taken({"*.md", "*.txt"}, {"notes/"}), (Names{"a.txt", "b.md"}));
  EXPECT_EQ(taken({"notes/*"}, {}), (Names{"notes/c.MD", "notes/d.md"}));
  EXPECT_EQ(taken({"**/*.[pm][yd]"}, {"b*"}), (Names{"notes/d.md", "src/e.py"}));
}

TEST(Walk, SourcesArePatternsListsAndRanges) {
  const TestDirectory directory;
  for (const char* name : {"d/08.txt", "d/09.txt", "d/10.txt", "d/11.txt", "d/x/y.txt", "d/x/.z.txt", "d/x.md"})
    directory.write(name, "text");
  const auto taken = [&](const std::string& path) { return names_of(walk_sources({{"s", directory / path}})); };
  EXPECT_EQ(taken("d/*.txt"), (Names{"08.txt", "09.txt", "10.txt", "11.txt"}));
  EXPECT_EQ(taken("d/**/*.txt"), (Names{"08.txt", "09.txt", "10.txt", "11.txt", "x/y.txt"}));
  EXPECT_EQ(taken("d/?[8-9].txt"), (Names{"08.txt", "09.txt"}));
  EXPECT_EQ(taken("d/{09..11}.txt"), (Names{"09.txt", "10.txt", "11.txt"}));
  EXPECT_EQ(taken("d/{08,x/y}.txt"), (Names{"08.txt", "y.txt"}));
  EXPECT_TRUE(contains(message_of<DataError>([&] { taken("d/{10..12}.txt"); }), "12.txt does not exist (of "));
  EXPECT_TRUE(contains(message_of<DataError>([&] { taken("d/*.jsonl"); }), "no file matches"));
  const fs::path list = directory.write("files.list", "d/10.txt\r\n\nd/x\n");
  EXPECT_EQ(names_of(walk_sources({{"s", "@" + list.string()}})), (Names{"d/10.txt", "d/x/y.txt"}));
  directory.write("files.list", "d/10.txt\nd/gone.txt\n");
  EXPECT_TRUE(contains(message_of<DataError>([&] { walk_sources({{"s", "@" + list.string()}}); }), "files.list:2: "));
}

TEST(Walk, SeveralPathsOfOneSourceKeepTheirOrderAndTakeNoFileTwice) {
  const TestDirectory directory;
  for (const char* name : {"b/1.txt", "a/1.txt", "a/2.txt"}) directory.write(name, "text");
  Source source("s", directory / "b");
  source.paths.push_back(directory / "a");
  source.paths.push_back(directory / "a/2.txt");
  const Walk walk = walk_sources({source});
  EXPECT_EQ(names_of(walk), (Names{"b/1.txt", "a/1.txt", "a/2.txt"}));
  EXPECT_EQ(walk.sources[0].of(SkippedFile::seen_before).count, 1);
}

TEST(Walk, AFileThatIsNamedIsTakenThoughHidden) {
  const TestDirectory directory;
  EXPECT_EQ(names_of(walk_sources({{"s", directory.write(".notes.txt", "text")}})), Names{".notes.txt"});
}

TEST(Walk, ASourceOfWhichNothingIsTakenSaysWhatWasThere) {
  const TestDirectory directory;
  fs::create_directory(directory / "empty");
  for (const char* name : {"d/a.md", "d/b.md", "d/c.pdf", "d/e.docx", "d/.f.txt"}) directory.write(name, "text");
  const auto message = [&](const std::string& name) { return message_of<DataError>([&] { walk_sources({{"books", directory / name}}); }); };
  EXPECT_TRUE(contains(message("none"), "source books: " + (directory / "none").string() + " does not exist")) << message("none");
  EXPECT_TRUE(contains(message("empty"), "nothing can be taken; it holds no file; read are .txt")) << message("empty");
  EXPECT_TRUE(contains(message("d"), "5 seen: 4 unknown extension (a.md, b.md, c.pdf, …), 1 hidden name (.f.txt)")) << message("d");
  EXPECT_TRUE(contains(message("d/a.md"), "1 seen: 1 unknown extension (a.md)")) << message("d/a.md");
}

}  // namespace
}  // namespace longhaul::ingest
