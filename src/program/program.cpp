#include "program/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace longhaul::program {

std::string_view name(MemoryLine line) {
  switch (line) {
    case MemoryLine::weights:
      return "weights";
    case MemoryLine::operand_copies:
      return "operand_copies";
    case MemoryLine::gradients:
      return "gradients";
    case MemoryLine::moments:
      return "moments";
    case MemoryLine::average:
      return "average";
    case MemoryLine::activations:
      return "activations";
    case MemoryLine::activation_gradients:
      return "activation_gradients";
    case MemoryLine::logits:
      return "logits";
    case MemoryLine::workspace:
      return "workspace";
    case MemoryLine::gathered_weights:
      return "gathered_weights";
    case MemoryLine::communication:
      return "communication";
  }
  return "";
}

namespace {

std::string_view norm_name(NormPlace place) {
  switch (place) {
    case NormPlace::before_attention:
      return "attn_norm";
    case NormPlace::before_mlp:
      return "mlp_norm";
    case NormPlace::after_layers:
      return "final_norm";
    case NormPlace::after_embedding:
      return "embed_norm";
  }
  return "";
}

std::string_view base_name(const Operation& op) {
  switch (op.kind) {
    case OpKind::embed_forward:
    case OpKind::embed_backward:
      return "embed";
    case OpKind::norm_forward:
    case OpKind::norm_backward:
      return norm_name(op.norm);
    case OpKind::qkv_forward:
    case OpKind::qkv_backward:
      return "qkv";
    case OpKind::attention_forward:
    case OpKind::attention_backward:
      return "attn";
    case OpKind::attention_out_forward:
    case OpKind::attention_out_backward:
      return "attn_out";
    case OpKind::mlp_up_forward:
    case OpKind::mlp_up_backward:
      return "mlp_up";
    case OpKind::mlp_down_forward:
    case OpKind::mlp_down_backward:
      return "mlp_down";
    case OpKind::head_loss:
    case OpKind::head_loss_evaluate:
      return "head_loss";
    case OpKind::refresh_operands:
      return "refresh_operands";
    case OpKind::leaf_begin:
      return "leaf_begin";
    case OpKind::leaf_combine:
      return "leaf_combine";
    case OpKind::tied_combine:
      return "tied_combine";
    case OpKind::gradient_norm:
      return "gradient_norm";
    case OpKind::update:
      return "update";
    case OpKind::latent_forward:
    case OpKind::latent_backward:
      return "latent";
    case OpKind::router_forward:
    case OpKind::router_backward:
      return "router";
    case OpKind::dispatch_forward:
    case OpKind::dispatch_backward:
      return "dispatch";
    case OpKind::expert_up_forward:
    case OpKind::expert_up_backward:
      return "expert_up";
    case OpKind::expert_down_forward:
    case OpKind::expert_down_backward:
      return "expert_down";
    case OpKind::combine_forward:
    case OpKind::combine_backward:
      return "combine";
    case OpKind::send:
      return "send";
    case OpKind::receive:
      return "receive";
    case OpKind::all_reduce:
      return "all_reduce";
    case OpKind::all_gather:
      return "all_gather";
    case OpKind::reduce_scatter:
      return "reduce_scatter";
    case OpKind::all_to_all:
      return "all_to_all";
  }
  return "";
}

std::string_view suffix(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return ".fwd";
    case Pass::recompute:
      return ".rec";
    case Pass::backward:
      return ".bwd";
    case Pass::step:
      return "";
    case Pass::input_gradient:
      return ".dgrad";
    case Pass::weight_gradient:
      return ".wgrad";
  }
  return "";
}

}  // namespace

bool is_collective(OpKind kind) {
  return kind == OpKind::all_reduce || kind == OpKind::all_gather || kind == OpKind::reduce_scatter || kind == OpKind::all_to_all;
}
bool is_transfer(OpKind kind) { return is_collective(kind) || kind == OpKind::send || kind == OpKind::receive; }

bool Operation::has(Slot slot) const {
  return std::any_of(uses.begin(), uses.end(), [&](const BufferUse& use) { return use.slot == slot; });
}

BufferId Operation::at(Slot slot) const {
  for (const BufferUse& use : uses)
    if (use.slot == slot) return use.buffer;
  assert(false && "operation has no buffer in this slot");
  return -1;
}

std::string id(const Operation& op) {
  std::string out;
  if (op.micro_batch >= 0) out += fmt::format("mb{}/", op.micro_batch);
  out += fmt::format("s{}/", op.stage);
  if (op.layer >= 0) out += fmt::format("L{}/", op.layer);
  if (!op.part.empty()) out += fmt::format("{}/", op.part);
  return out + short_name(op);
}

std::string short_name(const Operation& op) {
  std::string out = is_collective(op.kind) ? fmt::format("{}.", op.transfer.what) : "";
  return out + std::string(base_name(op)) + std::string(suffix(op.pass));
}

std::string_view ledger_phase(const Operation& op) {
  if (op.phase == Phase::norm) return "clip";
  if (op.phase == Phase::update) return "optimizer";
  if (op.phase == Phase::prepare || op.phase == Phase::restore) return "validate";
  switch (op.pass) {
    case Pass::forward:
      return "forward";
    case Pass::recompute:
      return "recompute";
    case Pass::backward:
    case Pass::input_gradient:
    case Pass::weight_gradient:
      return "backward";
    case Pass::step:
      break;
  }
  return "reduce";
}

double bytes_sent(const Operation& op) {
  const double bytes = static_cast<double>(op.transfer.bytes.value), share = (op.transfer.ranks - 1.0) / op.transfer.ranks;
  if (op.kind == OpKind::receive) return 0;
  if (op.transfer.sum >= 0 || op.transfer.gather >= 0) return static_cast<double>(op.transfer.sent.value);
  if (op.kind == OpKind::send) return bytes;
  // head_loss exchanges by all-reduce; whatever exchanges nothing has no bytes.
  return (op.kind == OpKind::all_reduce || op.kind == OpKind::head_loss ? 2 : 1) * share * bytes;
}

BufferId Program::find(std::string_view buffer_name) const {
  for (std::size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].name == buffer_name) return static_cast<BufferId>(i);
  return -1;
}

const Arrangement& Program::arrangement_of(BufferId buffer) const {
  static const Arrangement kNothing;
  const int index = buffers[buffer].arrangement;
  return index < 0 ? kNothing : arrangements[index];
}

std::vector<Bytes> Program::live_by_line(int operation) const {
  std::vector<Bytes> lines(kMemoryLines);
  for (const Buffer& buffer : buffers)
    if (buffer.persistent || (buffer.first_op <= operation && operation <= buffer.last_op))
      lines[static_cast<std::size_t>(buffer.line)] += buffer.size();
  return lines;
}

}  // namespace longhaul::program
