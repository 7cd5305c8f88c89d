#include "train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numbers>
#include <utility>

#include "data/heldout.h"

namespace longhaul::train {
namespace {

/// Losses of each document, a batch at a time.
class DocumentSums {
 public:
  explicit DocumentSums(const data::TokenStream& stream) : stream_(stream), sums_(static_cast<std::size_t>(stream.documents())) {}

  /// @param places  of HeldoutWindows::batch()
  void add(const data::Batch& batch, const std::vector<std::int64_t>& places, const float* token_loss) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (batch.loss_mask[i] == 0) continue;
      if (places[i] < begin_ || places[i] >= end_) enter(stream_.document_of(places[i]));
      DocumentLoss& document = sums_[document_];
      document.nats += static_cast<double>(token_loss[i]);
      ++document.targets;
    }
  }
  std::vector<DocumentLoss> take() { return std::move(sums_); }

 private:
  void enter(std::int64_t document) {
    document_ = static_cast<std::size_t>(document);
    begin_ = stream_.document_begin(document);
    end_ = stream_.document_begin(document + 1);
  }
  const data::TokenStream& stream_;
  std::vector<DocumentLoss> sums_;
  std::size_t document_ = 0;
  std::int64_t begin_ = 0, end_ = 0;  // of the present document
};

/// The loss of one sequence, by its number in the text.
struct SequenceSum {
  std::int64_t sequence = 0;
  double nats = 0;
  std::int64_t targets = 0;
};
using Sums = std::vector<SequenceSum>;

/// All ranks' sequences in their order.
std::pair<double, std::int64_t> added_up(comm::Communicator& communicator, const Sums& own) {
  std::map<std::int64_t, SequenceSum> in_order;
  for (const std::vector<std::byte>& of_rank : communicator.all_gather("validation", std::as_bytes(std::span(own))))
    for (std::size_t i = 0; i + sizeof(SequenceSum) <= of_rank.size(); i += sizeof(SequenceSum)) {
      SequenceSum sum;
      std::memcpy(&sum, of_rank.data() + i, sizeof sum);
      in_order[sum.sequence] = sum;
    }
  std::pair<double, std::int64_t> all{0, 0};
  for (const auto& [number, sum] : in_order) {
    all.first += sum.nats;
    all.second += sum.targets;
  }
  return all;
}

}  // namespace

Evaluation Evaluation::of(double nats, std::int64_t targets, std::int64_t text_bytes, bool covers_text) {
  Evaluation result;
  result.nats = nats;
  result.targets = targets;
  result.complete = true;
  result.covers_text = covers_text;
  result.loss = targets > 0 ? nats / static_cast<double>(targets) : 0;
  if (text_bytes > 0 && covers_text) result.bits_per_byte = nats / std::numbers::ln2 / static_cast<double>(text_bytes);
  return result;
}

std::string_view end_of_text_note(const config::RunConfig& config) { return config.data.end_of_text_loss ? "" : " (end of text left out)"; }

double Evaluation::perplexity() const { return std::exp(loss); }

std::optional<double> Evaluation::word_perplexity(std::int64_t words) const {
  if (!complete || !covers_text || words == 0) return std::nullopt;
  return std::exp(nats / static_cast<double>(words));
}

Evaluation evaluate(Engine& engine, const data::TokenStream& stream, const EvaluationOptions& options, const EvaluationProgress& progress) {
  const config::RunConfig& config = engine.config();
  const std::int64_t length = config.batch.sequence_length;
  const data::HeldoutWindows windows(stream, {length, packing_options(config), options.stride});
  const std::int64_t sequences =
      options.max_tokens > 0 ? std::min(windows.sequences(), std::max<std::int64_t>(1, options.max_tokens / length)) : windows.sequences();

  const Engine::AverageScope average(engine);
  Sums sums;
  DocumentSums documents(stream);
  std::vector<std::int64_t> places;
  const program::Program& program = engine.evaluation().program();
  const std::int64_t each = config.validation.batch, all = each * program.layout.dp, own = each * program.place.dp;
  for (std::int64_t first = 0; first < sequences; first += all) {
    const data::Batch batch = windows.batch(first, all, options.per_document ? &places : nullptr);
    const float* token_loss = engine.evaluation().evaluate(batch);
    const std::int64_t count = std::clamp<std::int64_t>(sequences - first - own, 0, each);
    for (std::int64_t s = 0; token_loss && s < count; ++s) {
      SequenceSum sum{first + own + s, 0, 0};
      for (std::int64_t i = s * length; i < (s + 1) * length; ++i) {
        sum.nats += static_cast<double>(token_loss[i]);
        sum.targets += batch.loss_mask[static_cast<std::size_t>(own * length + i)];
      }
      sums.push_back(sum);
    }
    if (options.per_document && engine.communicator().ranks() == 1) {
      places.resize(static_cast<std::size_t>(count * length));
      documents.add(batch, places, token_loss);
    }
    if (progress) progress(std::min(first + all, sequences), sequences);
  }
  const auto [nats, targets] = added_up(engine.communicator(), sums);
  Evaluation result = Evaluation::of(nats, targets, stream.text_bytes(), windows.covers_text());
  result.complete = sequences == windows.sequences();
  if (!result.complete) result.bits_per_byte.reset();
  if (options.per_document) result.documents = documents.take();
  return result;
}

}  // namespace longhaul::train
