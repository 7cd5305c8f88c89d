#include "report/run_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "report/heat_map.h"
#include "report/page.h"
#include "units/format.h"

namespace longhaul::report {
namespace {

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();
constexpr int kGrey = 6;  // of the page's palette

Series held_out(const std::string& name, const Records& records) {
  Series series{name, {}, {}, true};
  for (const ledger::Record& record : records)
    if (record.result.validation_loss) {
      series.x.push_back(static_cast<double>(record.result.step));
      series.y.push_back(*record.result.validation_loss);
    }
  return series;
}

double loss_of(const ledger::Record& record) { return record.result.loss; }

/// Names of the tensors as the newest launch has them.
std::vector<std::string> tensor_rows(const std::vector<nlohmann::json>& events) {
  std::vector<std::string> rows;
  for (auto event = events.rbegin(); event != events.rend() && rows.empty(); ++event)
    if (event->value("kind", "") == "launch" && event->contains("tensors"))
      for (const nlohmann::json& name : event->at("tensors")) rows.push_back(short_tensor_name(name.get<std::string>()));
  return rows;
}

template <typename Value>
std::string norm_map(const std::string& title, const std::vector<std::string>& rows, const Records& records, Value value) {
  HeatMap map{title, "step", rows, {}, std::vector<std::vector<double>>(rows.size())};
  for (const ledger::Record& record : records) {
    const auto& norms = record.result.tensors;
    if (!norms || norms->gradient.size() != rows.size() || norms->update.size() != rows.size() || norms->weight.size() != rows.size())
      continue;
    map.columns.push_back(static_cast<double>(record.result.step));
    for (std::size_t r = 0; r < rows.size(); ++r) map.values[r].push_back(value(*norms, r));
  }
  return to_svg(map);
}

std::string noise_plot(const config::RunConfig& config, const Records& records) {
  const auto noise = [](const ledger::Record& r) {
    return r.result.noise_scale ? r.result.noise_scale->sequences.value_or(kAbsent) : kAbsent;
  };
  Plot plot{"Gradient noise scale, the critical batch that it suggests, and the batch of the run", "step", "sequences", {}};
  plot.series = {over_steps("noise scale", records, noise), over_steps("batch", records, [&](const ledger::Record& r) {
                   return r.result.noise_scale ? static_cast<double>(config.batch.global_batch) : kAbsent;
                 })};
  plot.series[1].dashed = true;
  plot.log_y = true;
  bool any = false;
  for (const double value : plot.series[0].y) any = any || value > 0;
  return any ? to_svg(plot) : "";
}

/// One value of the machine over the steps; empty where no record has it.
template <typename Value>
std::string machine_plot(const std::string& title, const std::string& unit, const Records& records, Value value) {
  Plot plot{title, "step", unit, {over_steps("", records, [&](const ledger::Record& r) {
              return r.timing.system ? value(*r.timing.system) : kAbsent;
            })}};
  plot.series[0].name = unit;
  plot.from_zero = true;
  return to_svg(plot);
}

std::vector<std::string> change_row(const ledger::Change& change) {
  const auto shown = [](const std::string& value) { return value.empty() ? std::string("(not set)") : value; };
  return {std::to_string(change.step), change.option, shown(change.before), shown(change.now)};
}

}  // namespace

std::string loss_plot(const Records& records, const Records& parent, const ledger::Settings& settings) {
  Plot plot{"Loss", "step", "nats per token", {over_steps("training", records, loss_of)}};
  plot.series[0].colour = 0;
  if (Series series = held_out("held-out", records); !series.x.empty()) {
    series.colour = 1;
    plot.series.push_back(std::move(series));
  }
  if (!parent.empty()) {
    plot.series.push_back(over_steps("parent, training", parent, loss_of));
    plot.series.back().colour = kGrey;
    if (Series series = held_out("parent, held-out", parent); !series.x.empty()) {
      series.colour = kGrey;
      plot.series.push_back(std::move(series));
    }
  }
  for (const ledger::Change& change : settings.changes)
    plot.marks.push_back({static_cast<double>(change.step), fmt::format("{}: {} → {}", change.option, change.before, change.now)});
  if (settings.branch) plot.marks.push_back({static_cast<double>(settings.branch->step), "branch from " + settings.branch->parent});
  plot.robust_y = true;
  return to_svg(plot);
}

std::string gradient_sections(const config::RunConfig& config, const Records& records, const std::vector<nlohmann::json>& events) {
  const std::vector<std::string> rows = tensor_rows(events);
  std::string out = noise_plot(config, records);
  out += norm_map("Gradient norm of each tensor, before the clip", rows, records,
                  [](const ledger::TensorNorms& n, std::size_t r) { return n.gradient[r]; });
  out += norm_map("Update norm ÷ weight norm of each tensor", rows, records,
                  [](const ledger::TensorNorms& n, std::size_t r) { return n.weight[r] > 0 ? n.update[r] / n.weight[r] : kAbsent; });
  out += norm_map("Weight norm of each tensor", rows, records, [](const ledger::TensorNorms& n, std::size_t r) { return n.weight[r]; });
  return out;
}

namespace {

/// validation.prompt as it was in a step: before the first change that came after it, else as it is now.
std::string prompt_of(std::int64_t step, const std::string& now, const ledger::Settings& settings) {
  for (const ledger::Change& change : settings.changes)
    if (change.option == "validation.prompt" && change.step >= step) {
      const nlohmann::json value = nlohmann::json::parse(change.before, nullptr, false);  // as in a run file: in quotes
      return value.is_string() ? value.get<std::string>() : change.before;
    }
  return now;
}

}  // namespace

std::string passages(const std::string& prompt, const ledger::Settings& settings, const Records& records) {
  std::vector<std::vector<std::string>> rows;
  for (const ledger::Record& record : records)
    if (const auto& passage = record.result.passage)
      rows.push_back({std::to_string(record.result.step), prompt_of(record.result.step, prompt, settings), passage->text,
                      passage->stop == "end_of_text" ? "ended by itself" : "cut"});
  if (rows.empty()) return "";
  return "<h2>Passages</h2><p>After the prompt, the likeliest token each time:</p><div class='scroll'>" +
         table({"step", "prompt", "text", ""}, rows) + "</div>";
}

std::string machine_plots(const Records& records) {
  std::string out = machine_plot("Processors that the run used", "processors", records,
                                 [](const ledger::SystemUse& use) { return use.process_processors; });
  out += machine_plot("Machine busy", "% of all processors", records, [](const ledger::SystemUse& use) { return 100 * use.machine_busy; });
  out +=
      machine_plot("Disk free", "GB", records, [](const ledger::SystemUse& use) { return static_cast<double>(use.disk_free_bytes) / 1e9; });
  out += machine_plot("Temperature", "°C", records, [](const ledger::SystemUse& use) { return use.temperature_celsius.value_or(kAbsent); });
  return out.empty() ? "" : "<h2>Machine</h2>" + out;
}

std::string ranks_section(const std::vector<nlohmann::json>& events) {
  const auto newest = std::find_if(events.rbegin(), events.rend(), [](const nlohmann::json& e) { return e.value("kind", "") == "ranks"; });
  if (newest == events.rend()) return "";
  std::vector<std::string> head = {"rank", "dp", "pp"};
  const nlohmann::json& ranks = newest->at("ranks");
  std::set<std::string> phases;
  for (const nlohmann::json& rank : ranks)
    for (const auto& [phase, seconds] : rank.at("seconds").items()) phases.insert(phase);
  for (const std::string& phase : phases) head.push_back(phase + ", ms");
  head.insert(head.end(), {"sent a step, planned", "counted", "arena, planned", "used"});
  std::vector<std::vector<std::string>> rows;
  for (const nlohmann::json& rank : ranks) {
    std::vector<std::string> row;
    for (const char* key : {"rank", "dp", "pp"}) row.push_back(std::to_string(rank.at(key).get<int>()));
    for (const std::string& phase : phases) row.push_back(fmt::format("{:.2f}", 1e3 * rank.at("seconds").value(phase, 0.0)));
    std::int64_t planned = 0, counted = 0;
    for (const auto& [channel, bytes] : rank.at("sent_bytes").items())
      planned += bytes.at("planned").get<std::int64_t>(), counted += bytes.at("counted").get<std::int64_t>();
    for (const std::int64_t bytes :
         {planned, counted, rank.at("arena_bytes").get<std::int64_t>(), rank.at("arena_high_water_bytes").get<std::int64_t>()})
      row.push_back(format(Bytes(bytes)));
    rows.push_back(std::move(row));
  }
  std::string out =
      "<h2>Ranks</h2><p>Medians of the launch's steps 3 to 10; transfers include waiting for other ranks. Bytes: of the "
      "transfers whose size the plan knows (rows of the embedding depend on the text).</p>";
  for (const nlohmann::json& sentence : newest->at("stragglers"))
    out += "<p><b>Straggler</b>: " + escaped(sentence.get<std::string>()) + ".</p>";
  return out + "<div class='scroll'>" + table(head, rows) + "</div>";
}

std::string settings_section(const ledger::Settings& settings) {
  std::string out;
  const auto rows = [](const std::vector<ledger::Change>& changes) {
    std::vector<std::vector<std::string>> cells;
    for (const ledger::Change& change : changes) cells.push_back(change_row(change));
    return cells;
  };
  if (const auto& branch = settings.branch) {
    out += fmt::format("<h2>Branch</h2><p>From step {} of {}; the data {}.</p>", branch->step, escaped(branch->parent),
                       branch->data_restarts ? "begin at sample 0" : "go on where they were");
    if (!branch->differences.empty()) out += table({"step", "option", "parent", "branch"}, rows(branch->differences));
  }
  if (!settings.changes.empty())
    out += "<h2>Settings that changed</h2>" + table({"after step", "option", "before", "now"}, rows(settings.changes));
  return out;
}

}  // namespace longhaul::report
