// ingest/file_text.h — the text of one file as a stream of UTF-8: read in pieces, decompressed, looked at before anything of it is used,
// converted if its encoding is another one.
//
// What is recognised as no text, or as text in another encoding than the source's, is refused with the option that reads it. Text whose
// encoding is right may still hold invalid UTF-8: that is the reader's policy (ingest/documents.h).
#pragma once

#include <memory>
#include <string>

#include "ingest/formats/byte_stream.h"
#include "ingest/walk.h"

namespace longhaul::ingest {

class FileText {
 public:
  /// Looks at the beginning of `bytes`, which are those on disk.
  /// @throws DataError when they cannot be read, are no text, or text in another encoding
  FileText(const InputFile& file, std::unique_ptr<ByteStream> bytes);
  ~FileText();
  FileText(const FileText&) = delete;
  FileText& operator=(const FileText&) = delete;

  /// The text that the file begins with, converted: what shows of which kind it is.
  std::string head() const;
  /// Appends the next piece of text; false at the end of the file.
  bool more(std::string& text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace longhaul::ingest
