#include "report/plan_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "units/format.h"
#include "units/units.h"

namespace longhaul::report {
namespace {

std::string figure_of(const plan::Explanation& explanation) {
  return explanation.value ? plan::format(*explanation.value, explanation.unit) : "not given";
}

std::string item(const std::string& name, const std::string& text) { return text.empty() ? "" : fmt::format("<p>{}: {}</p>", name, text); }

std::string explained(const plan::Explanation& e) {
  std::string body = item("Missing", escaped(e.missing));
  if (!e.formula.empty()) body += item("Formula", "<code>" + escaped(e.formula) + "</code>");
  std::vector<std::string> terms, levers;
  for (const plan::Term& term : e.terms)
    terms.push_back(fmt::format("<li><code>{}</code> = {}{}: {}</li>", escaped(term.symbol),
                                term.formula.empty() ? "" : "<code>" + escaped(term.formula) + "</code> = ",
                                escaped(plan::format(term.value, term.unit)), escaped(term.meaning)));
  for (const plan::Lever& lever : e.levers)
    levers.push_back(fmt::format("<li><code>{}</code>: {}{}</li>", escaped(lever.change), escaped(plan::format(lever.value, e.unit)),
                                 lever.but.empty() ? "" : ", but " + escaped(lever.but)));
  if (!terms.empty()) body += fmt::format("<p>Where</p><ul>{}</ul>", fmt::join(terms, ""));
  body += item("Source", escaped(e.source));
  if (!levers.empty()) body += fmt::format("<p>What would change it</p><ul>{}</ul>", fmt::join(levers, ""));
  for (const std::string& note : e.notes) body += item("Note", escaped(note));
  return fmt::format("<details id='{}'><summary><span>{}</span><b>{}</b></summary><div class='explained'>{}</div></details>\n",
                     escaped(e.id), escaped(e.title), escaped(figure_of(e)), body);
}

/// `count` values from low to high, evenly in the logarithm.
std::vector<double> log_steps(double low, double high, int count) {
  std::vector<double> out;
  for (int i = 0; i < count; ++i) out.push_back(low * std::pow(high / low, static_cast<double>(i) / (count - 1)));
  return out;
}

struct Box {
  double n_low, n_high, d_low, d_high;
  bool contains(double d) const { return d >= d_low && d <= d_high; }
};

/// The part of a line D(N) inside the box.
template <class Line>
Series inside(const Box& box, Line d_of) {
  Series out;
  for (const double n : log_steps(box.n_low, box.n_high, 160)) {
    const double d = d_of(n);
    out.x.push_back(n), out.y.push_back(box.contains(d) ? d : std::numeric_limits<double>::quiet_NaN());
  }
  while (!out.y.empty() && !std::isfinite(out.y.back())) out.x.pop_back(), out.y.pop_back();
  const auto first = std::find_if(out.y.begin(), out.y.end(), [](double d) { return std::isfinite(d); }) - out.y.begin();
  out.x.erase(out.x.begin(), out.x.begin() + first), out.y.erase(out.y.begin(), out.y.begin() + first);
  return out;
}

}  // namespace

std::string cards(const std::vector<Card>& all) {
  std::string out = "<p class='cards'>";
  for (const Card& card : all)
    out += fmt::format("<a{}>{}<b>{}</b>{}</a>", card.explanation.empty() ? "" : fmt::format(" href='#{}'", escaped(card.explanation)),
                       escaped(card.name), escaped(card.value), escaped(card.note));
  return out + "</p>\n";
}

std::string explanations(const std::vector<plan::Explanation>& all) {
  std::string out, group;
  for (const plan::Explanation& each : all) {
    const std::string first = each.id.substr(0, each.id.find_first_of("._"));
    if (first != group) out += fmt::format("<h3>{}</h3>\n", escaped(first));
    group = first;
    out += explained(each);
  }
  return out;
}

std::string schedule_plot(const train::Schedule& schedule, const Series& seen) {
  Series planned{seen.x.empty() ? "learning rate" : "planned", {}, {}};
  const auto add = [&](std::int64_t step) {  // the schedule counts steps from 0, the ledger, as people do, from 1
    planned.x.push_back(static_cast<double>(step + 1)), planned.y.push_back(train::learning_rate(schedule, step));
  };
  // Warm-up in steps of its own: it may be shorter than one of the others.
  for (std::int64_t s = 0; s < schedule.warmup_steps; s += std::max<std::int64_t>(1, schedule.warmup_steps / 100)) add(s);
  const std::int64_t rest = schedule.total_steps - schedule.warmup_steps;
  for (std::int64_t k = 0; k < std::min<std::int64_t>(rest, 600); ++k) add(schedule.warmup_steps + (rest > 600 ? (rest - 1) * k / 599 : k));
  Plot plot{"Learning rate", "step", "learning rate", {planned}};
  plot.from_zero = true;
  if (!seen.x.empty()) {
    plot.series.front().dashed = true;
    plot.series.push_back(seen);
  }
  return to_svg(plot);
}

std::string loss_surface(const scaling::Law& law, const scaling::Allocation& run) {
  const std::optional<scaling::Surface> surface = law.surface();
  if (!surface) return "";
  constexpr double kReach = 30;  // times and parts of the run's place
  const Box box{run.parameters / kReach, run.parameters * kReach, run.tokens / kReach, run.tokens * kReach};
  Plot plot{fmt::format("Loss over parameters and tokens, by {}", law.title), "parameters N", "tokens D", {}};
  plot.log_x = plot.log_y = true;
  plot.surface = surface;

  plot.series.push_back({fmt::format("this plan: loss {:.3f}", surface->loss(run)), {run.parameters}, {run.tokens}, true, 1});
  Series best{"compute-optimal", {}, {}, false, 2, true};
  constexpr double kStep = 1.1;  // of compute
  for (double flops = 6 * box.n_low * box.d_low; flops < 6 * box.n_high * box.d_high; flops *= kStep) {
    const scaling::Allocation at = surface->optimum(flops);
    if (at.parameters >= box.n_low && at.parameters <= box.n_high && box.contains(at.tokens))
      best.x.push_back(at.parameters), best.y.push_back(at.tokens);
  }
  plot.series.push_back(best);

  bool named = false;
  for (const double level : ticks(surface->loss(box.n_high, box.d_high), surface->loss(box.n_low, box.d_low), 12)) {
    Series line = inside(box, [&](double n) { return surface->tokens_for(level, n).value_or(std::numeric_limits<double>::infinity()); });
    if (line.x.empty()) continue;
    line.name = named ? "" : "equal loss", line.colour = 0, named = true;
    if (line.x.back() >= box.n_high * 0.99) line.label = fmt::format("{:.4g}", level);  // at the right edge; the lower edge has no room
    plot.series.push_back(line);
  }
  named = false;
  for (const double flops : log_ticks(6 * box.n_low * box.d_low, 6 * box.n_high * box.d_high, 8)) {
    Series line = inside(box, [&](double n) { return flops / (scaling::kFlopsPerParameterToken * n); });
    if (line.x.empty()) continue;
    std::reverse(line.x.begin(), line.x.end()), std::reverse(line.y.begin(), line.y.end());  // its label stands at the upper end
    line.name = named ? "" : "equal compute, FLOP", line.colour = 6, line.label = fmt::format("{:.0e}", flops), named = true;
    plot.series.push_back(line);
  }
  return to_svg(plot) +
         fmt::format("<p class='note'>{} Loss in nats per token of that law's own data and tokenizer.</p>\n", escaped(law.source));
}

std::string program_memory_plot(const program::Program& step, const std::vector<double>& ends) {
  Plot plot{"Memory over the step, by line", "seconds", "GiB", {}};
  plot.stacked = plot.steps = true;
  for (int line = 0; line < program::kMemoryLines; ++line)
    plot.series.push_back({std::string(program::name(static_cast<program::MemoryLine>(line))), {}, {}});
  for (std::size_t i = 0; i < step.operations.size(); ++i) {
    const std::vector<Bytes> live = step.live_by_line(static_cast<int>(i));
    for (std::size_t line = 0; line < plot.series.size(); ++line) {
      plot.series[line].x.push_back(i == 0 ? 0.0 : ends[i - 1]);
      plot.series[line].y.push_back(static_cast<double>(live[line].value) / kGiB);
    }
  }
  std::erase_if(plot.series,
                [](const Series& series) { return std::all_of(series.y.begin(), series.y.end(), [](double y) { return y == 0; }); });
  return to_svg(plot);
}

}  // namespace longhaul::report
