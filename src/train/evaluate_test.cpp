#include "train/evaluate.h"

#include <gtest/gtest.h>

#include <numbers>
#include <vector>

#include "data/test_stream.h"
#include "train/test_support.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

constexpr std::int64_t kLength = 24;  // of small_run()

/// Documents of the given lengths, of varied ids below the vocabulary of small_run().
data::TokenStream varied_documents(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> starts;
  for (const std::int64_t length : lengths) {
    starts.push_back(std::ssize(ids));
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t n = std::ssize(ids);
      ids.push_back(i == 0 ? 0 : static_cast<std::int32_t>((n * n + 7 * n) % 60 + 1));
    }
  }
  return data::stream_of(ids, starts, 61);
}

struct Model {
  explicit Model(config::Overrides sets) : engine(small_run(sets), Engine::Use::evaluation) {
    engine.initialise();
    engine.weights_changed();
  }
  Engine engine;
};

TEST(Evaluation, FiguresFollowFromTheSum) {
  const Evaluation result = Evaluation::of(8 * std::numbers::ln2, 4, 2, true);
  EXPECT_DOUBLE_EQ(result.loss, 2 * std::numbers::ln2);
  EXPECT_DOUBLE_EQ(result.bits_per_byte.value(), 4);
  EXPECT_DOUBLE_EQ(result.perplexity(), 4);
  EXPECT_DOUBLE_EQ(result.word_perplexity(2).value(), 16);
  EXPECT_FALSE(result.word_perplexity(0).has_value());
  const Evaluation without_first_tokens = Evaluation::of(8 * std::numbers::ln2, 4, 2, false);
  EXPECT_FALSE(without_first_tokens.bits_per_byte.has_value() || without_first_tokens.word_perplexity(2).has_value());
}

TEST(Evaluate, DocumentsAddUpToTheWhole) {
  const data::TokenStream stream = varied_documents({30, 2, 75, 9, 24, 25});
  for (const char* isolate : {"true", "false"}) {
    Model model({std::string("data.isolate_documents=") + isolate});
    for (const std::int64_t stride : {0, 1, 7, 24}) {
      const Evaluation whole = evaluate(model.engine, stream, {.stride = stride, .per_document = true});
      ASSERT_EQ(std::ssize(whole.documents), stream.documents());
      DocumentLoss sum;
      for (const DocumentLoss& document : whole.documents) {
        sum.nats += document.nats;
        sum.targets += document.targets;
      }
      EXPECT_EQ(sum.targets, whole.targets);
      EXPECT_NEAR(sum.nats, whole.nats, 1e-12 * whole.nats);
      EXPECT_EQ(evaluate(model.engine, stream, {.stride = stride}).nats, whole.nats) << "asking for documents changes no bit";
    }
  }
}

TEST(Evaluate, AnIsolatedDocumentHasTheLossThatItHasAlone) {
  const std::vector<std::int64_t> lengths = {30, 2, 75, 9};
  Model model({"data.isolate_documents=true", "precision.dtype=fp32"});
  const data::TokenStream stream = varied_documents(lengths);
  const Evaluation whole = evaluate(model.engine, stream, {.stride = 5, .per_document = true});
  for (std::int64_t d = 0; d < stream.documents(); ++d) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(lengths[static_cast<std::size_t>(d)]));
    stream.read(stream.document_begin(d), ids);
    const Evaluation alone = evaluate(model.engine, data::stream_of(ids, {0}, 61), {.stride = 5});
    const DocumentLoss& document = whole.documents[static_cast<std::size_t>(d)];
    EXPECT_EQ(document.targets, alone.targets);
    EXPECT_NEAR(document.nats, alone.nats, 1e-5 * alone.nats);
  }
}

/// Each target's loss from the window that should count it, worked out target by target.
TEST(Evaluate, AStrideGivesEachTargetTheContextOfTheFirstWindowThatReachesIt) {
  Model model({"validation.batch=1", "precision.dtype=fp32"});
  constexpr std::int64_t kTokens = 61;
  const data::TokenStream stream = varied_documents({kTokens});
  std::vector<std::int32_t> ids(kTokens);
  stream.read(0, ids);
  for (const std::int64_t stride : {1, 5, 24}) {
    double expected = 0;
    const Evaluation result = evaluate(model.engine, stream, {.stride = stride});
    for (std::int64_t j = 0; j < result.targets; ++j) {
      std::int64_t begin = 0;
      while (begin + kLength <= j) begin += stride;
      data::Batch batch = data::Batch::zeros(1, kLength);
      for (std::int64_t i = 0; i < kLength && begin + i < kTokens; ++i) {
        const auto at = static_cast<std::size_t>(i), from = static_cast<std::size_t>(begin + i);
        batch.tokens[at] = ids[from];
        batch.targets[at] = from + 1 < ids.size() ? ids[from + 1] : stream.framing().end;
        batch.positions[at] = static_cast<std::int32_t>(i);
      }
      batch.loss_mask[static_cast<std::size_t>(j - begin)] = 1;
      batch.target_tokens = 1;
      expected += static_cast<double>(model.engine.evaluation().evaluate(batch)[j - begin]);
      EXPECT_GE(j - begin, begin > 0 ? kLength - stride : 0) << "tokens of context before the input token";
    }
    EXPECT_NEAR(result.nats, expected, 1e-6 * expected) << stride;
  }
}

TEST(Evaluate, TheBatchReachesNoBit) {
  const data::TokenStream stream = varied_documents({30, 2, 75, 9, 24, 25});
  Model one({"validation.batch=1"}), five({"validation.batch=5"});
  const EvaluationOptions how = {.stride = 10, .per_document = true};
  const Evaluation a = evaluate(one.engine, stream, how), b = evaluate(five.engine, stream, how);
  EXPECT_EQ(a.nats, b.nats);
  for (std::size_t d = 0; d < a.documents.size(); ++d) EXPECT_EQ(a.documents[d].nats, b.documents[d].nats);
}

TEST(Evaluate, APartHasNoFiguresByByteOrWord) {
  const data::TokenStream stream = varied_documents({75, 75});
  Model model({});
  const Evaluation part = evaluate(model.engine, stream, {.max_tokens = 2 * kLength});
  EXPECT_EQ(part.targets, 2 * kLength);
  EXPECT_FALSE(part.complete);
  EXPECT_FALSE(part.bits_per_byte.has_value());
  EXPECT_FALSE(part.word_perplexity(10).has_value());
  EXPECT_TRUE(evaluate(model.engine, stream, {.max_tokens = 1000}).bits_per_byte.has_value());
}

TEST(Evaluate, RefusesAStrideLongerThanASequence) {
  Model model({});
  EXPECT_TRUE(contains(message_of<UsageError>([&] { evaluate(model.engine, varied_documents({9}), {.stride = 25}); }), "stride 25"));
}

}  // namespace
}  // namespace longhaul::train
