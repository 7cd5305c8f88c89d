#include "data/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <utility>

#include "ingest/file_kind.h"
#include "tokenizer/bpe_train.h"
#include "units/error.h"

namespace longhaul::data {

namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Texts of the sample, to be tokenized, and what reading them cost.
struct Sample {
  std::vector<std::string> texts;
  std::int64_t given_ids = 0;   // of documents that are token ids already, which are not among `texts`
  std::int64_t bytes = 0;       // of the text of both
  std::int64_t disk_bytes = 0;  // read for the whole sample
  double seconds = 0;
};

/// Evenly spaced, the first included.
std::vector<ingest::InputFile> choose_files(const std::vector<ingest::InputFile>& files) {
  const std::size_t count = std::min(files.size(), DryRun::kFiles);
  std::vector<ingest::InputFile> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(files[i * files.size() / count]);
  return chosen;
}

bool one_document(const ingest::InputFile& file, const ingest::IngestOptions& ingest) {
  return !file.tokens && ingest.split.whole() && ingest::kind_of_name(file.name).value_or(ingest::FileKind::text) == ingest::FileKind::text;
}

class SourceSampler {
 public:
  SourceSampler(const ingest::IngestOptions& ingest, SourceEstimate& estimate, Sample& sample)
      : ingest_(ingest), estimate_(estimate), sample_(sample) {
    ingest_.sample_bytes = DryRun::kFileBytes;
    stops_at_rows_ = ingest.bad_rows == ingest::BadRows::stop;
    stops_at_bytes_ = ingest.invalid_utf8 == ingest::InvalidUtf8::stop;
    // What would stop the preparation is told, and the sample goes on.
    if (stops_at_rows_) ingest_.bad_rows = ingest::BadRows::skip;
    if (stops_at_bytes_) ingest_.invalid_utf8 = ingest::InvalidUtf8::skip_document;
  }

  void read(const std::vector<ingest::InputFile>& files) {
    for (const ingest::InputFile& file : choose_files(files)) read_file(file);
    std::int64_t disk_bytes = 0, one_document_files = 0, divided_bytes = 0;
    for (const ingest::InputFile& file : files) {
      disk_bytes += file.bytes;
      one_document_files += one_document(file, ingest_);
      divided_bytes += one_document(file, ingest_) ? 0 : file.bytes;
    }
    if (disk_bytes_ > 0)
      estimate_.text_bytes = static_cast<double>(estimate_.sampled_bytes) * static_cast<double>(disk_bytes) / disk_bytes_;
    estimate_.documents = static_cast<double>(one_document_files);
    if (divided_disk_bytes_ > 0)
      estimate_.documents += static_cast<double>(divided_documents_) * static_cast<double>(divided_bytes) / divided_disk_bytes_;
  }

 private:
  void read_file(const ingest::InputFile& file) {
    ingest::DocumentReader reader({file}, ingest_, [&](const ingest::RejectedRow& row) {
      if (row.is_text_fault ? stops_at_bytes_ : stops_at_rows_)
        add_fault(fmt::format("{}: byte {}: {}", ingest::document_name(file, row.line), row.byte, row.what));
    });
    try {
      for (ingest::Document document; reader.next(document);) keep(document);
    } catch (const DataError& error) {
      return add_fault(error.what());
    }
    const ingest::FileSummary& summary = reader.summaries().front();
    ++estimate_.sampled_files;
    estimate_.rows.add(summary);
    if (!summary.separator.empty()) estimate_.undivided.push_back({file.name, summary.separator, summary.separator_count});
    sample_.disk_bytes += summary.bytes;
    disk_bytes_ += static_cast<double>(summary.bytes);
    if (one_document(file, ingest_)) return;
    divided_disk_bytes_ += static_cast<double>(summary.bytes);
    divided_documents_ += summary.documents;
  }

  void add_fault(const std::string& fault) {
    ++estimate_.fault_count;
    if (estimate_.faults.size() < DryRun::kFaults) estimate_.faults.push_back(fault);
  }

  void keep(const ingest::Document& document) {
    estimate_.sampled_bytes += std::ssize(document.text);
    if (sample_.bytes >= DryRun::kTokenizedBytes) return;
    sample_.given_ids += std::ssize(document.ids);
    if (document.ids.empty()) sample_.texts.emplace_back(document.text);
    sample_.bytes += std::ssize(document.text);
  }

  ingest::IngestOptions ingest_;
  bool stops_at_rows_ = false, stops_at_bytes_ = false;
  SourceEstimate& estimate_;
  Sample& sample_;
  double disk_bytes_ = 0, divided_disk_bytes_ = 0;
  std::int64_t divided_documents_ = 0;
};

/// Trains on the sample; seconds for a corpus `scale` times as large: counting grows with the text, merging hardly does.
tokenizer::Tokenizer train_on(const Sample& sample, std::int64_t vocab_size, int threads, double scale, double& seconds) {
  std::size_t next = 0;
  double counting = 0;
  const auto begin = std::chrono::steady_clock::now();
  tokenizer::BpeTrainOptions options;
  options.vocab_size = static_cast<std::int32_t>(std::min<std::int64_t>(vocab_size, INT32_MAX));
  options.threads = threads;
  tokenizer::Tokenizer tokenizer = tokenizer::train_bpe(
      [&](std::string& text) {
        if (next == sample.texts.size()) {
          if (counting == 0) counting = seconds_since(begin);
          return false;
        }
        text = sample.texts[next++];
        return true;
      },
      options);
  seconds = counting * scale + (seconds_since(begin) - counting);
  return tokenizer;
}

}  // namespace

bool DryRun::would_stop() const {
  return std::any_of(sources.begin(), sources.end(), [](const SourceEstimate& source) { return source.fault_count > 0; });
}

DryRun dry_run(const std::vector<ingest::Source>& sources, const ingest::IngestOptions& ingest,
               const std::optional<tokenizer::Tokenizer>& tokenizer, std::int64_t vocab_size, int threads) {
  const ingest::Walk walk = ingest::walk_sources(sources, ingest.walk);
  DryRun result;
  Sample sample;
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::vector<ingest::InputFile> files;
    std::copy_if(walk.files.begin(), walk.files.end(), std::back_inserter(files), [&](const ingest::InputFile& file) {
      return file.source == i && !(file.tokens && ingest::is_token_index_name(file.name, *file.tokens));  // which holds no text
    });
    SourceEstimate& estimate = result.sources.emplace_back();
    estimate.name = sources[i].name;
    estimate.files = ingest::account_of(walk.sources[i]);
    SourceSampler(ingest, estimate, sample).read(files);
  }
  sample.seconds = seconds_since(begin);
  result.tokenized_bytes = sample.bytes;
  if (sample.bytes == 0) return result;

  double text_bytes = 0;
  for (const SourceEstimate& source : result.sources) text_bytes += source.text_bytes;
  const double scale = text_bytes / static_cast<double>(sample.bytes);
  const int passes = tokenizer ? 1 : 2;
  result.reading_seconds =
      passes * sample.seconds * static_cast<double>(walk.bytes()) / static_cast<double>(std::max<std::int64_t>(1, sample.disk_bytes));
  const tokenizer::Tokenizer vocabulary = tokenizer ? *tokenizer : train_on(sample, vocab_size, threads, scale, result.vocabulary_seconds);

  tokenizer::Encoder encoder(vocabulary);
  std::int64_t tokens = sample.given_ids;
  const auto encoding = std::chrono::steady_clock::now();
  std::vector<std::int32_t> ids;
  for (const std::string& text : sample.texts) {
    ids.clear();
    encoder.encode_into(text, ids);
    tokens += std::ssize(ids);
  }
  result.encoding_seconds = seconds_since(encoding) * scale / threads;
  result.bytes_per_token = static_cast<double>(sample.bytes) / static_cast<double>(std::max<std::int64_t>(1, tokens));
  for (SourceEstimate& source : result.sources) source.tokens = source.text_bytes / result.bytes_per_token + source.documents;
  return result;
}

}  // namespace longhaul::data
