// ingest/file_text.h — the text of one file as a stream of UTF-8: read in pieces, hashed as it stands on disk, looked at before
// anything of it is used, converted if its encoding is another one.
//
// What is recognised as no text, or as text in another encoding than the source's, is refused with the option that reads it. Text whose
// encoding is right may still hold invalid UTF-8: that is the reader's policy (ingest/documents.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ingest/walk.h"

namespace longhaul::ingest {

class FileText {
 public:
  /// Opens the file and looks at its beginning.
  /// @throws DataError when it cannot be read, holds no text, or text in another encoding
  explicit FileText(const InputFile& file);
  ~FileText();
  FileText(const FileText&) = delete;
  FileText& operator=(const FileText&) = delete;

  /// The text that the file begins with, converted: what shows of which kind it is.
  std::string head() const;
  /// Appends the next piece of text; false at the end of the file.
  bool more(std::string& text);
  /// Bytes of the file on disk that were read so far.
  std::int64_t bytes_read() const;
  /// Of the whole file; call at its end, once.
  std::string sha256();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace longhaul::ingest
