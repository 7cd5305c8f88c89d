#include "data/split.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "tokenizer/unicode_tables.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::data {
namespace {

void check_share(const char* option, double share, double usual) {
  if (!(share >= 0 && share < 1))
    throw UsageError(
        fmt::format("{} {}: allowed is 0 up to, not including, 1 (usual: {}); --eval-only holds out everything", option, share, usual));
}

/// The one of several places that is nearest to `target`; the first of two equally near.
class Nearest {
 public:
  explicit Nearest(std::size_t target) : target_(target) {}
  void offer(std::size_t place) {
    if (!place_ || distance(place) < distance(*place_)) place_ = place;
  }
  const std::optional<std::size_t>& place() const { return place_; }

 private:
  std::size_t distance(std::size_t place) const { return place > target_ ? place - target_ : target_ - place; }
  std::size_t target_;
  std::optional<std::size_t> place_;
};

}  // namespace

Split Split::decide(const SplitOptions& options, bool own_heldout, const std::function<bool()>& one_document) {
  Split split{options.salt};
  if (options.heldout_fraction) check_share("--heldout-fraction", *options.heldout_fraction, kDefaultFraction);
  if (options.heldout_tail) check_share("--heldout-tail", *options.heldout_tail, kDefaultTail);
  if (options.heldout_fraction && options.heldout_tail)
    throw UsageError("give --heldout-fraction (whole documents) or --heldout-tail (the end of every document), not both");
  if (options.eval_only) {
    if (options.heldout_fraction || options.heldout_tail || own_heldout)
      throw UsageError("--eval-only holds out everything: leave out --heldout-fraction, --heldout-tail and --heldout-source");
    split.eval_only = true;
  } else if (options.heldout_tail) {
    split.tail = *options.heldout_tail;
  } else if (!own_heldout || options.heldout_fraction) {
    const bool whole_documents = options.heldout_fraction == 0.0 || !one_document();
    (whole_documents ? split.fraction : split.tail) = options.heldout_fraction.value_or(whole_documents ? kDefaultFraction : kDefaultTail);
  }
  return split;
}

SplitText Split::divide(std::string_view text, bool of_heldout_source, const TailBegin& tail_of) const {
  if (of_heldout_source || eval_only || is_heldout(text, salt, fraction)) return {{}, text};
  if (tail == 0) return {text, {}};
  const std::size_t begin = tail_of ? tail_of(text, tail) : tail_begin(text, tail);
  return {text.substr(0, begin), text.substr(begin)};
}

std::string Split::describe() const {
  if (eval_only) return "everything is held out (--eval-only)";
  if (tail > 0) return fmt::format("the end of each document is held out, {} of its text", tail);
  if (fraction > 0) return fmt::format("by document hash, salt \"{}\", fraction {}", salt, fraction);
  return "nothing is held out";
}

bool is_heldout(std::string_view text, std::string_view salt, double fraction) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), salt.data(), salt.size());
  XXH3_64bits_update(state.get(), text.data(), text.size());
  // Exact: a double holds fraction · 2⁶⁴ (a power of two), and 2⁶⁴ itself is never reached because fraction < 1.
  return XXH3_64bits_digest(state.get()) < static_cast<std::uint64_t>(std::ldexp(fraction, 64));
}

std::size_t tail_begin(std::string_view text, double share) {
  const std::size_t size = text.size();
  const auto tail = static_cast<std::size_t>(std::llround(share * static_cast<double>(size)));
  if (tail == 0) return size;
  const std::size_t target = size - std::min(tail, size), reach = tail / 8;
  const std::size_t low = target - std::min(reach, target), high = target + reach;
  const auto inside_character = [&](std::size_t place) { return (static_cast<unsigned char>(text[place]) & 0xC0) == 0x80; };

  Nearest line(target), white_space(target), character(target);
  std::size_t place = low > 0 ? low - 1 : 0;  // before the first place to offer
  while (place > 0 && inside_character(place)) --place;
  while (place < size && (place < high || !character.place())) {
    const char32_t code_point = next_code_point(text, place);
    if (place == size) break;
    if (code_point == U'\n') line.offer(place);
    if (tokenizer::class_of(code_point) == tokenizer::CharClass::space) white_space.offer(place);
    character.offer(place);
  }
  for (const Nearest* nearest : {&line, &white_space, &character})
    if (nearest->place()) return *nearest->place();
  return size;
}

void Overlap::add_heldout(std::string_view text) { heldout_.insert(XXH3_64bits(text.data(), text.size())); }

void Overlap::check_train(std::string_view text, const std::function<std::string()>& name) {
  if (!heldout_.contains(XXH3_64bits(text.data(), text.size()))) return;
  if (names_.size() < kNamed) names_.push_back(name());
  ++documents_;
}

}  // namespace longhaul::data
