#include "files/disk.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <set>

#include "files/read.h"
#include "files/testing.h"

namespace longhaul::files {
namespace {

using namespace testing;
namespace fs = std::filesystem;

TEST(FileWriter, DigestIsThatOfTheFile) {
  const TemporaryDirectory dir;
  const std::string text(9'000'001, 'x');  // three pieces
  FileWriter writer({}, dir.path() / "f");
  writer.write("head");
  writer.write(text);
  const FileDigest digest = writer.finish();
  EXPECT_EQ(digest, digest_file(dir.path() / "f"));
  EXPECT_EQ(digest.bytes, text.size() + 4);
  EXPECT_EQ(slurp(dir.path() / "f"), "head" + text);
}

TEST(FileWriter, NeverOverwritesAndFollowsNoLink) {
  const TemporaryDirectory dir;
  spill(dir.path() / "old", "precious");
  EXPECT_THROW(FileWriter({}, dir.path() / "old"), FileError);
  fs::create_symlink(dir.path() / "elsewhere", dir.path() / "link");
  EXPECT_THROW(FileWriter({}, dir.path() / "link"), FileError);
  EXPECT_EQ(slurp(dir.path() / "old"), "precious");
  EXPECT_FALSE(fs::exists(dir.path() / "elsewhere"));
}

TEST(Disk, RenameNeverReplaces) {
  const TemporaryDirectory dir;
  spill(dir.path() / "a", "a");
  spill(dir.path() / "b", "b");
  const std::string message = message_of([&] { Disk().rename(dir.path() / "a", dir.path() / "b"); });
  EXPECT_NE(message.find("File exists"), std::string::npos) << message;
  EXPECT_EQ(slurp(dir.path() / "b"), "b");
}

TEST(Disk, ErrorsNamePathAndReason) {
  const TemporaryDirectory dir;
  const std::string message = message_of([&] { Disk().remove_file(dir.path() / "none"); });
  EXPECT_NE(message.find((dir.path() / "none").string()), std::string::npos) << message;
  EXPECT_NE(message.find("No such file"), std::string::npos) << message;
  const FileError full("write", "/x", ENOSPC);
  EXPECT_NE(std::string(full.what()).find("free some space"), std::string::npos);
  EXPECT_EQ(full.errno_value, ENOSPC);
}

/// After a failed fsync the kernel may hold pages for clean that never reached the disk: the next one must not be believed.
TEST(AppendFile, AFailedSyncIsNotForgotten) {
  const TemporaryDirectory dir;
  const fs::path path = dir.path() / "ledger";
  bool failing = false;
  AppendFile file(
      Disk([&](Operation operation, const fs::path& at) { return failing && operation == Operation::sync_file && at == path ? EIO : 0; }),
      path);
  file.append("one\n");
  failing = true;
  EXPECT_THROW(file.sync(), FileError);
  const auto inode = [&] {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_ino;
  };
  const auto before = inode();
  failing = false;
  file.append("two\n");
  file.sync();
  EXPECT_NE(inode(), before);  // written anew
  file.append("three\n");
  file.sync();
  EXPECT_EQ(slurp(path), "one\ntwo\nthree\n");
}

TEST(WriteFileAtomically, AFailureAtAnyOperationLeavesTheOldFileOrTheNew) {
  const TemporaryDirectory dir;
  const fs::path path = dir.path() / "run.toml";
  write_file_atomically({}, path, "old");
  int operations = 0;
  for (int k = 0;; ++k) {
    const auto plan = std::make_shared<FaultPlan>(FaultPlan{.fail_at = k, .error = ENOSPC});
    const std::string message = message_of([&] { write_file_atomically(faulty_disk(plan), path, "new"); });
    if (message.empty()) break;
    operations = plan->count;
    EXPECT_TRUE(slurp(path) == "old" || slurp(path) == "new");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 1) << "a temporary file was left after operation " << k;
  }
  EXPECT_EQ(operations, 6);  // create, write, fsync, close, rename, fsync of the directory
  EXPECT_EQ(slurp(path), "new");
}

// A file system that takes part of a write and then refuses: RLIMIT_FSIZE does just that.
TEST(FileWriter, AShortWriteIsAnError) {
  const TemporaryDirectory dir;
  const int code = run_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    FileWriter writer({}, dir.path() / "f");
    try {
      writer.write(std::string(4000, 'x'));
    } catch (const FileError& error) {
      return error.errno_value == EFBIG && fs::file_size(dir.path() / "f") == 1000 ? 0 : 1;
    }
    return 2;
  });
  EXPECT_EQ(code, 0);
}

TEST(AppendFile, AppendsAllOrNothing) {
  const TemporaryDirectory dir;
  const int code = run_child([&] {
    AppendFile file({}, dir.path() / "f");
    file.append("first line\n");
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{20, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      file.append("a line that does not fit\n");
      return 1;
    } catch (const FileError&) {
    }
    if (slurp(dir.path() / "f") != "first line\n") return 2;
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    file.append("third\n");
    file.sync();
    return file.size() == 17 ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(slurp(dir.path() / "f"), "first line\nthird\n");
}

TEST(RandomUuid, HasTheFormAndDoesNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_uuid());
  EXPECT_EQ(seen.size(), 1000u);
  for (const std::string& uuid : seen) {
    ASSERT_EQ(uuid.size(), 36u);
    EXPECT_EQ(uuid[14], '4');
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  }
}

}  // namespace
}  // namespace longhaul::files
