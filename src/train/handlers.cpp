#include "train/handlers.h"

namespace longhaul::train {

using program::OpKind;

Handler handler_of(OpKind kind) {
  switch (kind) {
    case OpKind::embed_forward:
      return OperationHandlers::embed_forward;
    case OpKind::norm_forward:
      return OperationHandlers::norm_forward;
    case OpKind::qkv_forward:
      return OperationHandlers::qkv_forward;
    case OpKind::attention_forward:
      return OperationHandlers::attention_forward;
    case OpKind::attention_out_forward:
      return OperationHandlers::attention_out_forward;
    case OpKind::mlp_up_forward:
      return OperationHandlers::mlp_up_forward;
    case OpKind::mlp_down_forward:
      return OperationHandlers::mlp_down_forward;
    case OpKind::head_loss:
      return OperationHandlers::head_loss;
    case OpKind::head_loss_evaluate:
      return OperationHandlers::head_loss_evaluate;
    case OpKind::norm_backward:
      return OperationHandlers::norm_backward;
    case OpKind::mlp_down_backward:
      return OperationHandlers::mlp_down_backward;
    case OpKind::mlp_up_backward:
      return OperationHandlers::mlp_up_backward;
    case OpKind::attention_out_backward:
      return OperationHandlers::attention_out_backward;
    case OpKind::attention_backward:
      return OperationHandlers::attention_backward;
    case OpKind::qkv_backward:
      return OperationHandlers::qkv_backward;
    case OpKind::embed_backward:
      return OperationHandlers::embed_backward;
    case OpKind::leaf_begin:
      return OperationHandlers::leaf_begin;
    case OpKind::leaf_combine:
      return OperationHandlers::leaf_combine;
    case OpKind::tied_combine:
      return OperationHandlers::tied_combine;
    case OpKind::gradient_norm:
      return OperationHandlers::gradient_norm;
    case OpKind::update:
      return OperationHandlers::update;
    case OpKind::refresh_operands:
      return OperationHandlers::refresh_operands;
    case OpKind::send:
      return OperationHandlers::send;
    case OpKind::receive:
      return OperationHandlers::receive;
    case OpKind::all_reduce:
      return OperationHandlers::all_reduce;
    case OpKind::all_gather:
      return OperationHandlers::all_gather;
    case OpKind::reduce_scatter:
      return OperationHandlers::reduce_scatter;
    case OpKind::all_to_all:
      return OperationHandlers::all_to_all;
    case OpKind::latent_forward:
    case OpKind::latent_backward:
    case OpKind::router_forward:
    case OpKind::router_backward:
    case OpKind::dispatch_forward:
    case OpKind::dispatch_backward:
    case OpKind::expert_up_forward:
    case OpKind::expert_up_backward:
    case OpKind::expert_down_forward:
    case OpKind::expert_down_backward:
    case OpKind::combine_forward:
    case OpKind::combine_backward:
      return nullptr;  // planned, not trained
  }
  return nullptr;
}

}  // namespace longhaul::train
