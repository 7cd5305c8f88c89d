// ingest/formats/tar_members.h — the members of a tar archive, one after another: ustar, GNU and pax headers (POSIX.1-2017, pax,
// "ustar Interchange Format"). Nothing is ever written to disk.
//
// Archives one after another (as `cat a.tar b.tar` makes them) are one. An archive ends with a block of zeros: one that just ends was cut
// off, which tar itself does not tell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "ingest/formats/byte_stream.h"

namespace longhaul::ingest {

struct TarMember {
  enum class Kind { file, folder, link, other };
  Kind kind = Kind::file;
  std::string name;         ///< as it stands; any bytes
  std::int64_t size = 0;    ///< of its data
  std::int64_t header = 0;  ///< where its header and its data begin, in the (decompressed) archive
  std::int64_t data = 0;
};

class TarMembers {
 public:
  explicit TarMembers(std::unique_ptr<ByteStream> archive) : archive_(std::move(archive)) {}

  enum class State { member, end, cut_off, damaged };
  /// Goes to the next member, over what was not read of the one before. After another state than `member` there is nothing more.
  /// @throws DataError of the stream
  State next(TarMember& member);
  /// The data of the member; once. False: the archive ends within.
  bool read(std::string& data);
  /// Where next() is: that is where an archive was cut off or is damaged.
  std::int64_t position() const { return position_; }

 private:
  bool fill();
  std::size_t take(char* into, std::size_t size);
  bool skip(std::int64_t size);
  bool read_block(char* block, State& state);
  bool read_extension(std::int64_t size, std::string& into, State& state);
  bool read_pax(std::int64_t size, std::string& name, std::int64_t& data_size, bool& sparse, State& state);

  std::unique_ptr<ByteStream> archive_;
  std::string buffer_;
  std::size_t at_ = 0;                     // in the buffer
  std::int64_t position_ = 0;              // in the archive
  std::int64_t unread_ = 0, padding_ = 0;  // of the member's data, and behind it
  bool zeros_seen_ = false;                // behind the last member
};

}  // namespace longhaul::ingest
