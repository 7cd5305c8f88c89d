// cost/run_shape.h — what the planner needs to know of a run: one step of one job on described hardware.
//
// Everything that prices, memory terms and fits read of a run is in one struct of plain values, so that a row of a table of measured runs
// and a plan for a cluster are described alike.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/catalogue.h"
#include "model/spec.h"
#include "program/layout.h"

namespace longhaul::cost {

enum class Precision : std::uint8_t { bf16, fp16, fp8 };
std::string_view name(Precision precision);

/// What the planner needs to know of a run beside its model: one step of one job on one cluster.
struct RunShape {
  model::ModelSpec model;
  program::Layout layout;
  std::int64_t sequence_length = 0;
  std::int64_t global_batch = 0;  ///< sequences of a step
  std::int64_t micro_batch = 1;   ///< sequences
  Precision precision = Precision::bf16;
  bool fp32_gradients = true;  ///< gradients are accumulated and reduced in fp32
  bool flash_attention = true;
  bool row_scales = false;             ///< fp8 with a scale for each row ("rowwise") instead of one for each tensor
  bool async_tensor_parallel = false;  ///< tensor-parallel collectives in pieces beside their products (torchtitan's async TP)
  std::string framework;               ///< as in the row: megatron-lm, megatron-deepspeed, nanotron, llm-foundry, torchtitan …
  std::string accelerator;             ///< id in the catalogue
  std::shared_ptr<const cluster::Cluster> hardware;  ///< where the run is on other hardware than the catalogue's `accelerator`: its rates
  std::string network;                               ///< link tier between nodes where the row names one ("OmniPath"), else empty
  int devices = 1;
  int devices_per_node = 8;

  int micro_batches() const { return static_cast<int>(global_batch / (micro_batch * layout.dp)); }
  std::int64_t tokens_per_step() const { return global_batch * sequence_length; }
};

/// Everything that makes a run impossible: devices that the layout does not use, a batch that does not divide, and what
/// program::contradictions() finds. Each sentence names its field and a fix.
std::vector<std::string> contradictions(const RunShape& run);

/// "dp=16,tp=8,pp=8,zero=1 micro_batch=2".
std::string to_text(const RunShape& run);

}  // namespace longhaul::cost
