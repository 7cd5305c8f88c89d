#include "evidence/runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <string_view>

#include "files/read.h"
#include "units/error.h"
#include "units/units.h"

namespace longhaul::evidence {
namespace {

using files::Csv;

/// As in the option table: every product of two sizes stays inside 64 bits.
constexpr std::int64_t kLargestSize = 1 << 26;
constexpr int kMostRanks = 1 << 20;

/// "H100-SXM-80GB" → "h100": the names of the column `gpu` in the words of examples/clusters.
std::string accelerator_of(std::string_view gpu) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> known{{{"A100-SXM-80GB", "a100"},
                                                                                {"A100-SXM-40GB", "a100-40gb"},
                                                                                {"A100-PCIE-80GB", "a100-pcie"},
                                                                                {"H100-SXM-80GB", "h100"},
                                                                                {"H100-PCIE-80GB", "h100-pcie"},
                                                                                {"H200-SXM-141GB", "h200"},
                                                                                {"B200-SXM", "b200"},
                                                                                {"V100-SXM-32GB", "v100"},
                                                                                {"MI300X", "mi300x"}}};
  for (const auto& [name, id] : known)
    if (name == gpu) return std::string(id);
  return std::string(gpu);  // perhaps an id of the catalogue
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

cost::Precision precision_of(std::string_view text) {
  if (contains(text, "fp8") || contains(text, "float8")) return cost::Precision::fp8;
  return contains(text, "fp16") ? cost::Precision::fp16 : cost::Precision::bf16;
}

program::Recompute recompute_of(std::string_view text) {
  if (text == "full") return program::Recompute::layer;
  return text.empty() || text == "none" ? program::Recompute::none : program::Recompute::selective;
}

/// Reads one row; remembers the first reason why it cannot be predicted.
class Row {
 public:
  Row(const Csv& csv, std::size_t row) : csv_(csv), row_(row) {}

  MeasuredRun read(Unreadable unreadable) {
    const MeasuredRun named = name();
    if (unreadable == Unreadable::refuse) return fill(named);
    try {
      return fill(named);
    } catch (const files::CellError& error) {
      MeasuredRun bad = named;
      bad.skipped = error.reason, bad.unreadable = error.what();
      return bad;
    }
  }

 private:
  MeasuredRun name() const {
    MeasuredRun out;
    out.row = row_, out.line = csv_.line(row_);
    out.id = text("id"), out.family = text("family"), out.model_name = text("model");
    return out;
  }

  MeasuredRun fill(const MeasuredRun& named) {
    out_ = named;
    out_.recompute_note = text("recompute");
    out_.notes = text("notes");
    out_.memory_kind = text("memory_kind");
    read_model();
    read_layout();
    read_rest();
    read_measurements();
    return std::move(out_);
  }

  std::string text(std::string_view column) const { return std::string(csv_.text(row_, column)); }
  std::optional<std::int64_t> count(std::string_view column, std::int64_t least) const {
    const auto value = csv_.count(row_, column, least);
    if (value && *value > kLargestSize) csv_.fail(row_, column, fmt::format("is more than {}", kLargestSize));
    return value;
  }
  std::int64_t needed(std::string_view column) {
    const auto value = count(column, 1);
    if (!value) skip("no " + std::string(column));
    return value.value_or(1);
  }
  std::int64_t or_else(std::string_view column, std::int64_t usual, std::int64_t least = 1) const {
    return count(column, least).value_or(usual);
  }
  bool flag(std::string_view column) const { return or_else(column, 0, 0) != 0; }
  void skip(const std::string& why) {
    if (out_.skipped.empty()) out_.skipped = why;
  }

  void read_model() {
    model::ModelSpec& m = out_.shape.model;
    m.name = out_.model_name;
    m.layers = needed("layers");
    m.width = needed("hidden");
    m.heads = needed("heads");
    m.kv_heads = or_else("kv_heads", m.heads);
    m.head_dim = m.heads > 0 && m.width % m.heads == 0 ? m.width / m.heads : 0;
    m.ffn_width = needed("ffn");
    m.vocab = needed("vocab");
    m.tied_embeddings = flag("tied_embeddings");
    const bool gated = flag("gated_mlp");
    m.mlp = gated ? model::MlpKind::swiglu : model::MlpKind::gelu;
    m.norm = gated ? model::NormKind::rms_norm : model::NormKind::layer_norm;
    m.norm_bias = m.qkv_bias = m.output_bias = m.mlp_bias = !gated;
    m.position = flag("learned_positions") ? model::PositionKind::learned : gated ? model::PositionKind::rope : model::PositionKind::alibi;
    m.position_rows = or_else("seq_len", 0, 0);
  }

  void read_layout() {
    program::Layout& l = out_.shape.layout;
    double product = 1;
    const auto size = [&](std::string_view column) {
      const std::int64_t ranks = or_else(column, 1);
      product *= static_cast<double>(ranks);
      if (product > kMostRanks) csv_.fail(row_, column, fmt::format("makes more than {} ranks", kMostRanks));
      return static_cast<int>(ranks);
    };
    l.dp = size("dp"), l.tp = size("tp"), l.pp = size("pp"), l.cp = size("cp"), l.chunks = size("vpp");
    l.zero = static_cast<int>(std::min<std::int64_t>(or_else("zero_stage", 0, 0), 3));
    if (flag("fsdp") && l.zero == 0) l.zero = 3;
    l.sequence_parallel = flag("sequence_parallel");
    l.recompute = recompute_of(out_.recompute_note);
    if (l.chunks > 1) l.schedule = program::ScheduleKind::interleaved;
  }

  void read_rest() {
    cost::RunShape& s = out_.shape;
    s.sequence_length = needed("seq_len");
    s.micro_batch = needed("micro_batch");
    s.framework = text("framework");
    const std::string precision = text("precision");
    s.precision = precision_of(precision);
    // fp16 training keeps fp16 gradients under a loss scale; bf16 has too few digits to add them up in.
    s.fp32_gradients = contains(precision, "fp32 grad") || (s.precision != cost::Precision::fp16 && !contains(s.framework, "deepspeed"));
    s.row_scales = contains(precision, "rowwise");
    s.async_tensor_parallel = contains(out_.notes, "async_tp=yes");
    s.flash_attention = !contains(text("attention"), "plain");
    s.accelerator = accelerator_of(csv_.text(row_, "gpu"));
    if (contains(out_.notes, "OmniPath")) s.network = "OmniPath";
    s.devices = static_cast<int>(or_else("num_gpus", s.layout.world()));
    s.devices_per_node = static_cast<int>(or_else("gpus_per_node", 8));
    // torchtitan's tables state a local batch: sequences of one data-parallel rank in a step, cut into as many micro-batches as stages.
    if (s.framework.starts_with("torchtitan")) s.micro_batch = std::max<std::int64_t>(1, s.micro_batch / s.layout.pp);
    s.global_batch = count("global_batch", 1).value_or(s.micro_batch * s.layout.pp * s.layout.dp);
    if (s.global_batch > kLargestSize) csv_.fail(row_, "micro_batch", fmt::format("makes a step of more than {} sequences", kLargestSize));
    if (s.layout.world() != s.devices)
      skip("dp·tp·pp·cp = " + std::to_string(s.layout.world()) + " is not num_gpus = " + std::to_string(s.devices));
    if (s.micro_batches() < 1) skip("global_batch is smaller than micro_batch · dp");
  }

  void read_measurements() {
    const cost::RunShape& s = out_.shape;
    const auto positive = [&](std::string_view column) {
      const auto value = csv_.number(row_, column);
      if (value && *value <= 0) csv_.fail(row_, column, "is not above 0");
      return value;
    };
    out_.step_seconds = positive("step_time_s");
    out_.tokens_per_s = positive("tokens_per_s_per_gpu");
    if (!out_.step_seconds && out_.tokens_per_s)
      out_.step_seconds = static_cast<double>(s.tokens_per_step()) / s.devices / *out_.tokens_per_s;
    if (const auto gib = positive("peak_memory_gib")) out_.memory_bytes = *gib * kGiB;
    const std::string status = text("status");
    if (!status.empty()) out_.fits = status == "ok";
  }

  const Csv& csv_;
  const std::size_t row_;
  MeasuredRun out_;
};

}  // namespace

std::vector<MeasuredRun> read_runs(const Csv& csv, Unreadable unreadable) {
  csv.require(
      {"id", "family", "layers", "hidden", "heads", "ffn", "vocab", "seq_len", "micro_batch", "dp", "tp", "pp", "framework", "gpu"});
  if (csv.rows() == 0) throw UsageError(csv.label() + ": no rows below the header; one for each measured run");
  std::vector<MeasuredRun> runs;
  runs.reserve(csv.rows());
  for (std::size_t row = 0; row < csv.rows(); ++row) runs.push_back(Row(csv, row).read(unreadable));
  if (std::all_of(runs.begin(), runs.end(), [](const MeasuredRun& run) { return !run.unreadable.empty(); }))
    throw UsageError(runs.front().unreadable + (runs.size() > 1 ? "; no other row can be read either" : ""));
  return runs;
}

RunsTable read_runs(const std::filesystem::path& file, Unreadable unreadable) {
  const std::string text = files::read_input(file, kMaxRunsBytes);
  RunsTable out{Csv::parse(text, file.string()), {}, files::sha256_hex(text)};
  out.rows = read_runs(out.csv, unreadable);
  return out;
}

std::vector<std::string> unreadable_rows(const std::vector<MeasuredRun>& rows) {
  constexpr std::size_t kNamed = 3;
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const MeasuredRun& run : rows)
    if (!run.unreadable.empty()) by_reason[run.skipped].push_back(fmt::format("line {} ({})", run.line, run.id));
  std::vector<std::string> out;
  for (const auto& [reason, places] : by_reason) {
    const std::span first(places.data(), std::min(places.size(), kNamed));
    out.push_back(fmt::format("{} row{} skipped, {}: {}{}", places.size(), places.size() == 1 ? " is" : "s are", reason,
                              fmt::join(first, ", "), places.size() > kNamed ? " …" : ""));
  }
  return out;
}

std::vector<std::string> repeated_ids(const std::vector<MeasuredRun>& rows) {
  std::map<std::string_view, std::size_t> count;
  for (const MeasuredRun& row : rows) ++count[row.id];
  std::vector<std::string> out;
  for (const auto& [id, times] : count)
    if (times > 1) out.push_back(fmt::format("{} rows have the id '{}': folds keep them together", times, id));
  return out;
}

}  // namespace longhaul::evidence
