#include "ingest/formats/byte_stream.h"

#include <bzlib.h>
#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::size_t kInputBytes = std::size_t{256} << 10;
constexpr std::uint64_t kMaxWindowBytes = std::uint64_t{256} << 20;  // that xz may ask for; zstd: 2²⁷
constexpr int kMaxZstdWindowLog = 27;

enum class Step { more, member_end, damaged, too_large };

/// One of the libraries: turns compressed bytes into others, until a member ends.
class Codec {
 public:
  virtual ~Codec() = default;
  /// Begins another member.
  virtual void begin() = 0;
  /// Advances `in` and `out` past what was used and made.
  virtual Step run(std::string_view& in, char*& out, std::size_t& room) = 0;
};

/// Libraries with zlib's interface: next_in, avail_in, next_out, avail_out.
template <class Stream, class In, class Size, class Call>
int call_library(Stream& stream, std::string_view& in, char*& out, std::size_t& room, const Call& call) {
  stream.next_in = reinterpret_cast<In>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<Size>(in.size());
  stream.next_out = reinterpret_cast<decltype(stream.next_out)>(out);
  stream.avail_out = static_cast<Size>(room);
  const int result = static_cast<int>(call());
  in.remove_prefix(in.size() - stream.avail_in);
  out += room - stream.avail_out;
  room = stream.avail_out;
  return result;
}

class Gzip final : public Codec {
 public:
  ~Gzip() override { end(); }
  void begin() override {
    end();
    open_ = ::inflateInit2(&stream_, 15 + 16) == Z_OK;  // 16: with gzip's header and checksum
    if (!open_) throw Error("no memory to decompress gzip data");
  }
  Step run(std::string_view& in, char*& out, std::size_t& room) override {
    const int result = call_library<z_stream, Bytef*, uInt>(stream_, in, out, room, [&] { return ::inflate(&stream_, Z_NO_FLUSH); });
    return result == Z_STREAM_END ? Step::member_end : result == Z_OK || result == Z_BUF_ERROR ? Step::more : Step::damaged;
  }

 private:
  void end() {
    if (open_) ::inflateEnd(&stream_);
    stream_ = {};
    open_ = false;
  }
  z_stream stream_{};
  bool open_ = false;
};

class Bzip2 final : public Codec {
 public:
  ~Bzip2() override { end(); }
  void begin() override {
    end();
    open_ = ::BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK;
    if (!open_) throw Error("no memory to decompress bzip2 data");
  }
  Step run(std::string_view& in, char*& out, std::size_t& room) override {
    const int result = call_library<bz_stream, char*, unsigned>(stream_, in, out, room, [&] { return ::BZ2_bzDecompress(&stream_); });
    return result == BZ_STREAM_END ? Step::member_end : result == BZ_OK ? Step::more : Step::damaged;
  }

 private:
  void end() {
    if (open_) ::BZ2_bzDecompressEnd(&stream_);
    stream_ = {};
    open_ = false;
  }
  bz_stream stream_{};
  bool open_ = false;
};

class Xz final : public Codec {
 public:
  ~Xz() override { ::lzma_end(&stream_); }
  void begin() override {
    if (::lzma_stream_decoder(&stream_, kMaxWindowBytes, 0) != LZMA_OK) throw Error("no memory to decompress xz data");
  }
  Step run(std::string_view& in, char*& out, std::size_t& room) override {
    const int result = call_library<lzma_stream, const std::uint8_t*, std::size_t>(stream_, in, out, room,
                                                                                   [&] { return ::lzma_code(&stream_, LZMA_RUN); });
    if (result == LZMA_MEMLIMIT_ERROR) return Step::too_large;
    return result == LZMA_STREAM_END ? Step::member_end : result == LZMA_OK || result == LZMA_BUF_ERROR ? Step::more : Step::damaged;
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class Zstd final : public Codec {
 public:
  Zstd() : context_(::ZSTD_createDCtx(), &::ZSTD_freeDCtx) {
    if (!context_) throw Error("no memory to decompress zstd data");
    ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }
  void begin() override { ::ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only); }
  Step run(std::string_view& in, char*& out, std::size_t& room) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out, room, 0};
    const std::size_t result = ::ZSTD_decompressStream(context_.get(), &output, &input);
    in.remove_prefix(input.pos);
    out += output.pos;
    room -= output.pos;
    if (::ZSTD_isError(result))
      return ::ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge ? Step::too_large : Step::damaged;
    return result == 0 ? Step::member_end : Step::more;
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&::ZSTD_freeDCtx)> context_;
};

std::unique_ptr<Codec> codec_of(std::string_view compression) {
  if (compression == "gzip") return std::make_unique<Gzip>();
  if (compression == "zstd") return std::make_unique<Zstd>();
  if (compression == "xz") return std::make_unique<Xz>();
  return std::make_unique<Bzip2>();
}

/// `input` behind bytes of it that were read already.
class Replayed final : public ByteStream {
 public:
  Replayed(std::string head, std::unique_ptr<ByteStream> input) : head_(std::move(head)), input_(std::move(input)) {}
  std::size_t read(char* into, std::size_t size) override {
    if (at_ == head_.size()) return input_->read(into, size);
    const std::size_t count = std::min(size, head_.size() - at_);
    std::memcpy(into, head_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string head_;
  std::size_t at_ = 0;
  std::unique_ptr<ByteStream> input_;
};

class Decompressed final : public ByteStream {
 public:
  Decompressed(std::unique_ptr<ByteStream> input, std::string_view compression, std::string file)
      : input_(std::move(input)), compression_(compression), file_(std::move(file)), codec_(codec_of(compression)) {
    codec_->begin();
  }

  std::size_t read(char* into, std::size_t size) override {
    char* out = into;
    for (std::size_t room = size; out == into && !ended_;) {
      if (in_.empty()) fill();
      const bool no_input = in_.empty();
      if (!inside_) {
        ended_ = no_input;
        if (!no_input) begin_member();
        if (!inside_) continue;
      }
      const Step step = codec_->run(in_, out, room);  // without input too: the codec may have more output
      if (step == Step::damaged) fail(fmt::format("are damaged before compressed byte {}", taken_ - std::ssize(in_)));
      if (step == Step::too_large) fail("ask for a window of more memory than 256 MiB (zstd: 128 MiB); compress again with a smaller one");
      inside_ = step != Step::member_end;
      if (no_input && inside_ && out == into) fail("end in the middle: the file is truncated");
    }
    made_ += out - into;
    if (made_ > kFreeBytes && made_ > kMaxGrowth * taken_)
      fail(fmt::format("grow to more than {} times their size: no text compresses so well; leave the file out with --exclude", kMaxGrowth));
    return static_cast<std::size_t>(out - into);
  }

 private:
  void fill() {
    if (input_ended_) return;
    const std::size_t count = input_->read(buffer_.data(), buffer_.size());
    in_ = {buffer_.data(), count};
    taken_ += static_cast<std::int64_t>(count);
    input_ended_ = count == 0;
  }

  /// Zeros behind a member are padding; anything else begins another member.
  void begin_member() {
    if (made_any_) {
      in_.remove_prefix(std::min(in_.find_first_not_of('\0'), in_.size()));
      if (in_.empty()) return;
      codec_->begin();
    }
    made_any_ = inside_ = true;
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: its {} data {}", file_, compression_, what)); }

  std::unique_ptr<ByteStream> input_;
  std::string compression_, file_;
  std::unique_ptr<Codec> codec_;
  std::string buffer_ = std::string(kInputBytes, '\0');
  std::string_view in_;  // of the buffer, not yet used
  std::int64_t taken_ = 0, made_ = 0;
  bool inside_ = false, made_any_ = false, input_ended_ = false, ended_ = false;
};

}  // namespace

std::string_view compression_of(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("\x1F\x8B\x08"sv)) return "gzip";
  if (head.starts_with("\x28\xB5\x2F\xFD"sv)) return "zstd";
  if (head.size() >= 4 && (static_cast<unsigned char>(head[0]) & 0xF0) == 0x50 && head.substr(1, 3) == "\x2A\x4D\x18"sv) return "zstd";
  if (head.starts_with("\xFD"
                       "7zXZ\0"sv))
    return "xz";
  // A block of data, or the end of a stream without any.
  const std::string_view block = head.size() < 10 ? ""sv : head.substr(4, 6);
  if (head.starts_with("BZh") && head[3] >= '1' && head[3] <= '9' && (block == "1AY&SY"sv || block == "\x17rE8P\x90"sv)) return "bzip2";
  return {};
}

std::unique_ptr<ByteStream> decompressed(std::unique_ptr<ByteStream> input, const std::string& file) {
  std::string head(16, '\0');
  std::size_t filled = 0;
  for (std::size_t count = 1; count > 0 && filled < head.size(); filled += count)
    count = input->read(head.data() + filled, head.size() - filled);
  head.resize(filled);
  const std::string_view compression = compression_of(head);
  auto whole = std::make_unique<Replayed>(std::move(head), std::move(input));
  if (compression.empty()) return whole;
  return std::make_unique<Decompressed>(std::move(whole), compression, file);
}

std::string_view without_compression_ending(std::string_view name) {
  constexpr std::array<std::string_view, 7> kEndings = {".gz", ".gzip", ".zst", ".zstd", ".xz", ".bz2", ".bzip2"};
  for (const std::string_view ending : kEndings) {
    if (name.size() <= ending.size()) continue;
    const std::string_view last = name.substr(name.size() - ending.size());
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
    if (std::equal(last.begin(), last.end(), ending.begin(), same)) return name.substr(0, name.size() - ending.size());
  }
  return name;
}

}  // namespace longhaul::ingest
