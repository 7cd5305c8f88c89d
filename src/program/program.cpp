#include "program/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace longhaul::program {

std::int64_t element_size(ElementType type) {
  switch (type) {
    case ElementType::f64:
      return 8;
    case ElementType::f32:
      return 4;
    case ElementType::bf16:
      return 2;
    case ElementType::bytes:
      return 1;
  }
  return 0;
}

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
  }
  return "";
}

namespace {

std::string_view base_name(const Operation& op) {
  switch (op.kind) {
    case OpKind::embed_forward:
    case OpKind::embed_backward:
      return "embed";
    case OpKind::norm_forward:
    case OpKind::norm_backward:
      return op.layer < 0 ? "final_norm" : op.second ? "mlp_norm" : "attn_norm";
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
  }
  return "";
}

}  // namespace

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
  return out + short_name(op);
}

std::string short_name(const Operation& op) { return std::string(base_name(op)) + std::string(suffix(op.pass)); }

BufferId Program::find(std::string_view buffer_name) const {
  for (std::size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].name == buffer_name) return static_cast<BufferId>(i);
  return -1;
}

std::vector<Bytes> Program::live_by_line(int operation) const {
  std::vector<Bytes> lines(kMemoryLines);
  for (const Buffer& buffer : buffers)
    if (buffer.persistent || (buffer.first_op <= operation && operation <= buffer.last_op))
      lines[static_cast<std::size_t>(buffer.line)] += buffer.size();
  return lines;
}

}  // namespace longhaul::program
