// data/split.h — which text is trained on and which is held out.
//
// One rule for a dataset, decided before any text is encoded, so that the vocabulary and the shards follow the same division:
//
//   eval_only   everything is held out
//   tail        the end of every document: its share of the bytes, cut at the nearest line, white space or character
//   fraction    whole documents, by hash: XXH3-64(salt bytes, document bytes) < fraction · 2⁶⁴
//
// Documents of a held-out source (`data prepare --heldout-source`) are held out whole under any rule. A corpus that is one document has
// none to choose from, so its fraction is its tail. No rule looks at other documents: adding text moves nothing to the other side, and by
// hash equal documents are never on both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace longhaul::data {

/// As asked for.
struct SplitOptions {
  std::optional<double> heldout_fraction = {};  ///< of the documents, or of the text where there is one document
  std::optional<double> heldout_tail = {};      ///< of the text of every document
  bool eval_only = false;
  std::string salt = "longhaul";
};

/// A document's text in two parts; a part may be empty.
struct SplitText {
  std::string_view train, heldout;
};

using TailBegin = std::function<std::size_t(std::string_view text, double share)>;

/// As decided. At most one of fraction, tail and eval_only is in force.
struct Split {
  static constexpr double kDefaultFraction = 0.05, kDefaultTail = 0.1;
  std::string salt;
  double fraction = 0;
  double tail = 0;
  bool eval_only = false;

  /// @param own_heldout   there are held-out sources: without options the rest is all trained on
  /// @param one_document  whether the other sources have one document in all; called only where it matters
  /// @throws UsageError   shares out of range, options that contradict each other
  static Split decide(const SplitOptions& options, bool own_heldout, const std::function<bool()>& one_document);

  /// @param tail_of  where the tail of a text begins that holds a share of its bytes; tail_begin() unless given
  SplitText divide(std::string_view text, bool of_heldout_source, const TailBegin& tail_of = {}) const;
  /// "by document hash, salt "longhaul", fraction 0.05".
  std::string describe() const;
  bool operator==(const Split&) const = default;
};

/// Whether a document is held out by hash. It depends on nothing but the document and the salt.
bool is_heldout(std::string_view text, std::string_view salt, double fraction);

/// Where the tail of `text` (valid UTF-8) begins that holds `share` of its bytes: the nearest beginning of a line within an eighth of the
/// tail, else the nearest end of white space, else of a character. 0 < result < size, or size where no part of both can be had.
std::size_t tail_begin(std::string_view text, double share);

/// Documents that are trained on and held out: only possible where held-out sources are given by the user.
class Overlap {
 public:
  static constexpr std::size_t kNamed = 10;
  void add_heldout(std::string_view text);
  /// Counts a document of the training text that is equal to one held out. All held-out documents must have been added.
  /// @param name  called for the first kNamed of them
  void check_train(std::string_view text, const std::function<std::string()>& name);
  std::int64_t documents() const { return documents_; }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::unordered_set<std::uint64_t> heldout_;  // XXH3-64: with 10⁷ documents on each side, a false match has probability 5·10⁻⁶
  std::int64_t documents_ = 0;
  std::vector<std::string> names_;
};

}  // namespace longhaul::data
