// The ends of the model: embedding, head and loss, and their gradients.
#include "program/builder.h"

namespace longhaul::program {

/// A lookup moves rows, it adds nothing: under ZeRO the owners of a row send it, and so does the tensor-parallel rank that has its token.
BufferId Builder::embed() {
  const bool from_owners = looks_up_at_owners() && ranks(Group::shard) > 1, divided = layout_.tp > 1;
  const std::int64_t width = shape_.width, own = shape_.n / layout_.tp * width, all = shape_.s * width;
  BufferId from = read_;
  if (from_owners) {
    // The owners send position rows too, once for all sequences.
    const std::int64_t length = options_.batch.sequence_length / layout_.cp / layout_.tp;
    const std::int64_t rows = own + (spec_.position == model::PositionKind::learned ? length * width : 0);
    from = in_transit("embed.rows", ElementType::f32, rows);
    collective(OpKind::all_to_all, "owned_rows", Group::shard, Bytes(rows * size_of(ElementType::f32)),
               {{Slot::weights, read_, Access::read}, {Slot::y, from, Access::write}});
  }
  BufferId x = divided ? in_transit("embed.own_rows", ElementType::f32, own) : activation("embed.x", ElementType::f32, own);
  emit(OpKind::embed_forward, {{Slot::weights, from, Access::read}, {Slot::y, x, Access::write}});
  if (divided) {
    const BufferId part = x;
    x = activation("embed.x", ElementType::f32, all);
    collective(gathers_sequence() ? OpKind::all_to_all : OpKind::all_gather, "rows", Group::tensor, Bytes(all * size_of(ElementType::f32)),
               {{Slot::x, part, Access::read}, {Slot::y, x, Access::write}});
  }
  if (!spec_.embedding_norm) return x;
  gather_weights(holdings_.embed_rest);
  flight_->embedding = x;
  flight_->embedding_statistics = activation("embed_norm.statistics", ElementType::f32, 2 * shape_.s);
  const BufferId y = activation("embed_norm.y", ElementType::f32, all);
  emit(OpKind::norm_forward, {vector_weights(),
                              {Slot::x, x, Access::read},
                              {Slot::y, y, Access::write},
                              {Slot::statistics, flight_->embedding_statistics, Access::write}})
      .norm = NormPlace::after_embedding;
  return y;
}

void Builder::embed_gradient() {
  BufferId d_y = flight_->d_residual;
  if (spec_.embedding_norm) {
    gather_weights(holdings_.embed_rest);
    const BufferId d_x = gradient_of("embed", ElementType::f32, shape_.s * shape_.width);
    norm_gradient(d_y, flight_->embedding, flight_->embedding_statistics, d_x, NormPlace::after_embedding, true, holdings_.embed_rest);
    d_y = d_x;
  }
  if (gathers_sequence() && !serves_) {  // to the ranks that have the rows' tokens
    const BufferId rows = in_transit("d_embed.rows", ElementType::f32, shape_.s * shape_.width);
    collective(OpKind::all_to_all, "d_rows", Group::tensor, program_.buffers[rows].size(),
               {{Slot::x, d_y, Access::read}, {Slot::y, rows, Access::write}});
    d_y = rows;
  }
  const int embed = holdings_.embed, rest = holdings_.embed_rest;
  std::vector<BufferUse> uses = {{Slot::d_y, d_y, Access::read}, accumulate(embed)};
  if (rest >= 0 && rest != embed && spec_.position == model::PositionKind::learned) uses.push_back(accumulate(rest));
  emit(OpKind::embed_backward, std::move(uses));
  close(embed);
  if (rest >= 0) close(rest);
}

/// Of each row: the maximum, the sum of exponentials, the target's logit.
Transfer Builder::loss_exchange() const {
  Transfer transfer;
  transfer.what = "loss", transfer.group = Group::tensor, transfer.ranks = layout_.tp;
  transfer.bytes = Bytes(3 * shape_.n * size_of(ElementType::f32));
  return transfer;
}

/// Head, loss and their gradients. Its weight gradient is not put off by a split backward: logits are never kept.
/// @return the gradient of the final norm's output
BufferId Builder::head_and_loss() {
  gather_weights(holdings_.head);
  const BufferId x = gathered_rows(flight_->final_norm, "final_norm", operand_, shape_.width);
  const BufferId d_y = gradient_of("final_norm", ElementType::f32, shape_.n * shape_.width);
  const BufferId token_loss = activation("token_loss", ElementType::f32, shape_.n);
  const BufferUse gradients = accumulate(holdings_.head);
  Operation& op = emit(OpKind::head_loss,
                       {product_weights(),
                        {Slot::x, x, Access::read},
                        {Slot::d_x, d_y, Access::write},
                        {Slot::token_loss, token_loss, Access::write},
                        gradients,
                        {Slot::workspace, workspace("loss", options_.workspace.loss, MemoryLine::logits), Access::write}},
                       3 * matmul_flops(shape_.n, shape_.width, shape_.vocab));
  if (layout_.tp > 1) op.transfer = loss_exchange();
  close(holdings_.head);
  return summed_rows(d_y, "final_norm", shape_.width);
}

}  // namespace longhaul::program
