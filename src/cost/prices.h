// cost/prices.h — what a piece of work costs on a device under a framework: seconds from counts, rates and the calibration's parameters.
//
// Rates are the maker's peaks (cluster catalogue) times an efficiency of the calibration ("time.…", examples/calibration). For a
// device that no run was measured on, the efficiency of matrix products is that of its best published matmul; everything else falls to the
// parameters whose key is "*".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cost/calibration.h"
#include "cost/run_shape.h"
#include "cost/work.h"

namespace longhaul::cost {

/// The calibration as one run sees it: names without "time.".
class TimeParameters {
 public:
  TimeParameters(const RunShape& run, const Calibration& calibration);
  double operator()(std::string_view name) const;
  bool has(std::string_view name) const;
  /// A parameter of this accelerator and framework exists: runs were measured.
  bool calibrated() const { return calibrated_; }

 private:
  const Calibration& calibration_;
  ParameterKey key_;
  bool calibrated_ = false;
};

/// Rates of one device, the share of them that work gets included; bytes and FLOPs per second.
struct DeviceRates {
  double peak = 0;      ///< of dense 16-bit matrix products, as the maker states it
  double products = 0;  ///< of large ones
  double memory = 0;
  double memory_capacity = 0;  ///< bytes
  double link = 0;             ///< inside a node, as the maker states it
  double network = 0;          ///< of a whole node
  int units = 0;               ///< that take a tile at a time
};

/// Sentences for the rates that the catalogue lacks and that this run needs: what is assumed instead, and where to say better.
std::vector<std::string> assumed_rates(const RunShape& run, const Calibration& calibration);

class Prices {
 public:
  /// Throws UsageError when the run brings no hardware and its accelerator is not in the catalogue.
  Prices(const RunShape& run, const Calibration& calibration);

  const TimeParameters& parameters() const { return parameters_; }
  const DeviceRates& device() const { return device_; }

  /// Seconds of an item, were the device never to wait.
  double of(const WorkItem& item) const;

  /// Bytes per second of a collective among `ranks`, neighbours of which are `stride` apart, when all such groups of a node talk at once.
  double exchange_bandwidth(int ranks, int stride) const;
  /// Seconds of half a ring all-reduce of `bytes` among such ranks, a gather or a scatter: (N − 1)/N of them at that bandwidth.
  double half_ring(double bytes, int ranks, int stride) const;

  /// A message to a neighbouring stage, in the ways that frameworks send them.
  struct Message {
    double wire = 0;      ///< seconds on its way while both ends work on
    double blocking = 0;  ///< seconds that it takes both its ends
    double exchange = 0;  ///< seconds that every turn of every stage waits, since sends and receives are paired (Megatron's
                          ///< send_forward_recv_backward, DeepSpeed's schedule in steps)
  };
  Message message(double bytes) const;
  bool neighbours_share_node() const;

 private:
  double product(const WorkItem& item) const;
  double attention(const WorkItem& item) const;
  double memory(const WorkItem& item) const;
  double collective(const WorkItem& item) const;
  /// Half an all-reduce of the tensor-parallel group: a gather or a scatter.
  double tensor_half(double bytes) const;

  const RunShape& run_;
  TimeParameters parameters_;
  DeviceRates device_;
  struct {
    double waste, m, n, k, misaligned, weight_gradient, fp8;
  } product_{};
};

}  // namespace longhaul::cost
