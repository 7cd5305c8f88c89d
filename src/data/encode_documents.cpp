#include "data/encode_documents.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace longhaul::data {
namespace {

/// Text encoded between two hand-overs, a thread: enough to keep the threads busy, little compared with the model's memory.
constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

void encode_block(std::vector<EncodedDocument>& block, std::vector<tokenizer::Encoder>& encoders) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&](tokenizer::Encoder& encoder) {
    try {
      for (std::size_t i = next++; i < block.size(); i = next++)
        if (!block[i].has_ids) encoder.encode_into(block[i].text, block[i].ids);
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 1; t < encoders.size(); ++t) threads.emplace_back([&, t] { work(encoders[t]); });
    work(encoders[0]);
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace

void encode_documents(const std::function<bool(EncodedDocument&)>& next, const tokenizer::Tokenizer& tokenizer, int threads,
                      const std::function<void(const EncodedDocument&)>& take, const std::function<void()>& progress) {
  std::vector<tokenizer::Encoder> encoders;
  for (int t = 0; t < threads; ++t) encoders.emplace_back(tokenizer);
  bool more = true;
  while (more) {
    std::vector<EncodedDocument> block;
    std::size_t bytes = 0;
    for (EncodedDocument document; bytes < kBlockBytes * encoders.size() && (more = next(document)); document = {}) {
      bytes += document.text.size();
      block.push_back(std::move(document));
    }
    encode_block(block, encoders);
    for (const EncodedDocument& document : block) take(document);
    progress();
  }
}

}  // namespace longhaul::data
