// longhaul generate: continues a text with a run's newest checkpoint.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "data/dataset.h"
#include "run_arguments.h"
#include "tokenizer/tokenizer.h"
#include "train/generation.h"
#include "train/trained_model.h"
#include "verbs.h"

namespace longhaul::app {

int verb_generate(int argc, char** argv) {
  CommandLine line("longhaul generate",
                   "Continues a text with a run's newest verified checkpoint (its average where the run keeps one).\n"
                   "Example: longhaul generate examples/demo.toml --prompt \"In the beginning\" --tokens 200");
  RunArguments arguments;
  arguments.add_to(line);
  std::string prompt;
  std::int64_t count = 200;
  train::Sampling how;
  line.option("--prompt", prompt, "text to continue (default: a new document)");
  line.option("--tokens", count, "tokens to generate at most (default 200)").positive();
  line.option("--temperature", how.temperature, "0: always the likeliest (default 0.8)").non_negative();
  line.option("--top-k", how.top_k, "draw among the k likeliest; 0: all (default)").non_negative();
  line.option("--top-p", how.top_p, "draw among the likeliest that make up this share (default 0.95)").between(0.0, 1.0);
  line.option("--seed", how.seed, "of the draws (default 0); same seed, same text");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::RunConfig config = arguments.resolve_for_one_rank().config;
  const train::Console console = make_console();
  console.begin("loading the newest checkpoint");
  const data::Dataset dataset = data::Dataset::open(config.data.directory, data::Verify::structure);
  const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(dataset.tokenizer_path());
  dataset.require_vocabulary(config.model.vocab, tokenizer.fingerprint());
  train::Engine engine(config, train::Engine::Use::evaluation);
  const checkpoint::Loaded loaded = train::load_trained(engine, dataset, complain);
  console.say(fmt::format("{} of {}", loaded.commit.name(), config.run.directory));

  if (!arguments.json) fmt::print("{}", prompt);
  train::Inference inference(engine);
  const train::Passage passage =
      train::generate(inference, tokenizer, dataset.manifest().framing, prompt, count, how, [&](std::int32_t token) {
        if (arguments.json) return;
        fmt::print("{}", tokenizer.token_bytes(token));
        std::fflush(stdout);
      });
  if (!arguments.json) {
    fmt::print("\n");
    std::fflush(stdout);
    complain(passage.ended ? fmt::format("the text ended by itself after {} tokens", passage.tokens.size())
                           : fmt::format("stopped after --tokens {}: the text did not end by itself", count));
    return 0;
  }
  const nlohmann::json out = {{"prompt", prompt},
                              {"text", tokenizer.decode(passage.tokens, true)},
                              {"tokens", passage.tokens},
                              {"stop", train::stop_of(passage)},
                              {"step", loaded.commit.step}};
  print_json(out);
  return 0;
}

}  // namespace longhaul::app
