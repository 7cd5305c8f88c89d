// longhaul VERB [RUN.toml | --model NAME …] [--set table.key=value]… [--json] [--help]
//
// One file per verb, parsing and printing only; what they do is in src/. Exit codes are those of units/error.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <string_view>

#include "console.h"
#include "units/error.h"
#include "units/nearest.h"
#include "verbs.h"

namespace {

struct Verb {
  std::string_view name;
  int (*run)(int argc, char** argv);
  std::string_view help;
};

constexpr std::array kVerbs = {
    Verb{"config", longhaul::app::verb_config, "print a resolved run file and where each value came from"},
    Verb{"data", longhaul::app::verb_data, "prepare | inspect: text to packed, verified shards"},
    Verb{"tokenizer", longhaul::app::verb_tokenizer, "train | encode | decode | convert | compare: BPE vocabularies"},
    Verb{"plan", longhaul::app::verb_plan, "parameters, FLOPs, memory by line and time before a run"},
    Verb{"search", longhaul::app::verb_search, "the best layouts on a cluster, and why the others lost"},
    Verb{"emit", longhaul::app::verb_emit, "a plan as another system's configuration: torchtitan, megatron"},
    Verb{"audit-claim", longhaul::app::verb_audit_claim, "a claimed training speed: MFU by convention, possible or not, plausible or not"},
    Verb{"scale", longhaul::app::verb_scale, "what model on how many tokens a budget is best spent on, by scaling laws"},
    Verb{"fit", longhaul::app::verb_fit, "the cost model's parameters from measured runs, or a scaling law from losses"},
    Verb{"cluster", longhaul::app::verb_cluster, "list | show: the hardware catalogue"},
    Verb{"train", longhaul::app::verb_train, "train, or resume from the newest verified checkpoint"},
    Verb{"eval", longhaul::app::verb_eval, "nats/token, bits/byte and perplexity of held-out text or any other"},
    Verb{"generate", longhaul::app::verb_generate, "continue a text with a trained model"},
    Verb{"export", longhaul::app::verb_export, "hf: config.json, model.safetensors, tokenizer.json for transformers"},
    Verb{"hf", longhaul::app::verb_hf, "a Hugging Face config.json: parameters, work per token, and as a model file"},
    Verb{"replay", longhaul::app::verb_replay, "steps of a run trained again, in any layout, and compared with its records"},
    Verb{"report", longhaul::app::verb_report, "one HTML page: plan beside measurement, with plots"},
    Verb{"calibrate", longhaul::app::verb_calibrate, "measure this machine: matmul peaks, kernels, memory bandwidth"},
    Verb{"bench", longhaul::app::verb_bench, "step: tokens/s, MFU and peak memory of a model on random tokens"},
    Verb{"validate", longhaul::app::verb_validate, "predictions beside measured runs: errors of time, memory and fit by family"},
    Verb{"debug", longhaul::app::verb_debug, "step | batches: one step's tensors, or the batches, as safetensors"},
};

int usage(std::FILE* out) {
  fmt::print(out,
             "longhaul {}: plans, runs and audits language-model pretraining\n\nlonghaul VERB [RUN.toml | --model NAME] [--set "
             "table.key=value] [--json] [--help]\n\n",
             LONGHAUL_VERSION);
  for (const Verb& verb : kVerbs) fmt::print(out, "  {:<12} {}\n", verb.name, verb.help);
  fmt::print(out, "\n`longhaul VERB --help` shows the verb's options, units and an example.\n");
  return out == stdout ? 0 : static_cast<int>(longhaul::ExitCode::usage);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return usage(stderr);
  const std::string_view name = argv[1];
  if (name == "--help" || name == "-h" || name == "help") return usage(stdout);
  if (name == "--version") return fmt::print("longhaul {}\n", LONGHAUL_VERSION), 0;
  for (const Verb& verb : kVerbs) {
    if (verb.name != name) continue;
    try {
      const int code = verb.run(argc - 1, argv + 1);
      return code == 0 && !longhaul::app::everything_printed() ? static_cast<int>(longhaul::ExitCode::failed) : code;
    } catch (const longhaul::Error& error) {
      longhaul::app::complain(fmt::format("longhaul {}: {}", name, error.what()));
      return static_cast<int>(error.code());
    } catch (const std::bad_alloc&) {
      longhaul::app::complain(
          fmt::format("longhaul {}: not enough memory; `longhaul plan` prints what a run needs, ulimit -v what is allowed", name));
      return static_cast<int>(longhaul::ExitCode::failed);
    } catch (const std::exception& error) {
      longhaul::app::complain(fmt::format("longhaul {}: {}", name, error.what()));
      return static_cast<int>(longhaul::ExitCode::failed);
    }
  }
  std::array<std::string_view, kVerbs.size()> names;
  std::transform(kVerbs.begin(), kVerbs.end(), names.begin(), [](const Verb& verb) { return verb.name; });
  fmt::print(stderr, "longhaul: there is no verb '{}'; nearest: {}; `longhaul --help` lists them\n", name, longhaul::nearest(name, names));
  return static_cast<int>(longhaul::ExitCode::usage);
}
