// cost/stages.h — what each pipeline stage holds: layers, embedding, head, loss, as the frameworks share them out.
//
// Frameworks differ: an even split, embedding and head counted as layers (BLOOM), or balance by cost (nanotron), which near many stages
// leaves some without parameters, or empty. Memory, time and whether a run starts at all depend on it.
#pragma once

#include <array>
#include <vector>

#include "cost/run_shape.h"

namespace longhaul::cost {

struct StageContent {
  int layers = 0;
  bool embedding = false;
  bool norm = false;  ///< the last one, before the head
  bool head = false;  ///< the matrix that makes logits
  bool loss = false;  ///< cast and cross-entropy; nanotron may put them a stage after the head, each in one of its own
  bool empty() const { return layers == 0 && !embedding && !norm && !head && !loss; }
  bool has_parameters() const { return layers > 0 || embedding || norm || head; }
  bool operator==(const StageContent&) const = default;
};

/// One entry for each virtual stage, in the order of the model. layout.stage_layers decides where given; otherwise the framework:
/// nanotron gives blocks (embedding, layers, norm, head, cast, loss) by cumulative cost, 4h² + 3·h·ffn a layer, V·h the head, nothing the
/// others, moving on once a stage exceeds its share; Megatron lets embedding and head count as layers where that makes stages even; the
/// others share layers evenly, the longer stages first.
std::vector<StageContent> split_stages(const RunShape& run);
/// Megatron, under DeepSpeed (BLOOM) and alone (--account-for-embedding-in-pipeline-split, --account-for-loss-in-pipeline-split; Llama 3
/// 405B: arXiv 2407.21783 §3.3.2), where the virtual stages do not divide the layers but do divide layers + 2: embedding and head stand for
/// a layer each, so that a chunk may hold nothing else.
bool ends_count_as_layers(const RunShape& run);
/// The same as layers alone.
std::vector<int> layers_of_stages(const RunShape& run);
/// What a pipeline rank holds: all its virtual stages together.
StageContent rank_content(const RunShape& run, const std::vector<StageContent>& stages, int rank);

/// Parameters that one tensor-parallel rank of a stage holds; routed experts apart, since expert parallelism divides them further.
struct HeldParameters {
  double dense = 0;
  double experts = 0;  ///< on one expert-parallel rank
  double total() const { return dense + experts; }
  bool operator==(const HeldParameters&) const = default;
};
/// Parameters of a rank that the same ranks hold, and that exchange their gradients.
struct DataGroup {
  double parameters = 0;  ///< of one rank
  int ranks = 1;          ///< that hold them
  int shards = 1;         ///< of those, the ones among which ZeRO divides one copy of the states
  int stride = 1;         ///< from one of the ranks to the next
  int copies() const { return ranks / shards; }
};
/// Dense parameters, and experts where they are divided: dp·cp·tp ÷ ep ranks hold the same ones, ep apart (Group::expert_data). Experts
/// that tensor parallelism slices (ep = 1) are exchanged with the dense ones, and the second group is empty.
std::array<DataGroup, 2> data_groups(const RunShape& run, const HeldParameters& held);
/// Counts a model's parameters once, then those of any stage. Layers count as the mean layer where they differ (leading dense layers of
/// a mixture of experts). A tied head is no second matrix on the stage of its embedding, and a copy on another.
class StageParameters {
 public:
  /// Throws UsageError when the model cannot be counted.
  explicit StageParameters(const RunShape& run);
  HeldParameters of(const StageContent& stage) const;
  const HeldParameters& layer() const { return layer_; }
  double embedding() const { return embedding_; }
  double head() const { return head_; }  ///< were it not tied

 private:
  HeldParameters layer_;
  double embedding_ = 0, norm_ = 0, head_ = 0;
  bool tied_ = false;
};

/// What the pipeline ranks hold, those that hold as much as the one before left out.
std::vector<HeldParameters> held_by_ranks(const RunShape& run, const StageParameters& parameters, const std::vector<StageContent>& stages);

/// The same for one stage: all that one rank holds.
double stage_parameters(const RunShape& run, const StageContent& stage);

}  // namespace longhaul::cost
