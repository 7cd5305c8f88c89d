// plan/stages.h — what each pipeline stage holds: layers, embedding, head, loss, as the frameworks share them out.
#pragma once

#include <vector>

#include "plan/runs.h"

namespace longhaul::plan {

struct StageContent {
  int layers = 0;
  bool embedding = false;
  bool head = false;  ///< the matrix that makes logits
  bool loss = false;  ///< cast and cross-entropy; nanotron may put them a stage after the head
  bool empty() const { return layers == 0 && !embedding && !head && !loss; }
  bool has_parameters() const { return layers > 0 || embedding || head; }
};

/// One entry for each virtual stage, in the order of the model. layout.stage_layers decides where given; otherwise the framework:
/// nanotron gives blocks (embedding, layers, norm, head, cast, loss) by cumulative cost, 4h² + 3·h·ffn a layer, V·h the head, nothing the
/// others, moving on once a stage exceeds its share; Megatron under DeepSpeed, where pp does not divide the layers but does divide
/// layers + 2, lets embedding and head count as a layer each (BLOOM); the others share layers evenly, the longer stages first.
std::vector<StageContent> split_stages(const RunShape& run);

/// Parameters of a stage on one of its tensor-parallel ranks; `experts` apart, since expert parallelism divides them further.
double stage_parameters(const RunShape& run, const StageContent& stage);

}  // namespace longhaul::plan
