// A layer's mixture of experts: router, rows to their experts and back, the experts, those that every token visits.
//
// Routing is taken to be even: an expert gets its share of the rows. Divided experts (ep > 1) are whole on their rank and take rows of the
// residual stream by all-to-all; undivided ones are divided like a dense MLP by tensor parallelism. A row's score multiplies its
// activation, so the down projection's output need not be kept, and tokens add up their rows as they are.
#include "program/builder.h"

namespace longhaul::program {

void Builder::mixture(LayerActivations& a, bool stop_before_down) {
  MixtureActivations& m = a.mixture;
  const bool divided = layout_.ep > 1, shared = spec_.experts.shared > 0;
  const BufferId all_tokens = divided && !shared ? -1 : gathered_rows(a.mlp_norm, "mlp_norm", operand_, shape_.width);
  BufferId residual = a.middle;
  if (shared) {
    mlp(a, all_tokens, shape_.shared_ffn, a.middle, "shared.", stop_before_down);
    residual = a.output;
  }
  const std::int64_t rows = shape_.expert_rows, width = shape_.width;
  m.scores = activation("scores", ElementType::f32, shape_.s * spec_.experts.count);
  emit(OpKind::router_forward,
       {vector_weights(), product_weights(), {Slot::x, a.mlp_norm, Access::read}, {Slot::y, m.scores, Access::write}},
       matmul_flops(shape_.s, width, spec_.experts.count));
  const BufferId tokens = divided ? a.mlp_norm : all_tokens;
  const BufferId scores = divided ? m.scores : gathered_rows(m.scores, "scores", ElementType::f32, spec_.experts.count);

  m.expert_scores = activation("expert_scores", ElementType::f32, rows);
  BufferId x = divided ? in_transit("dispatched", operand_, rows * width) : activation("expert_x", operand_, rows * width);
  emit(OpKind::dispatch_forward, {{Slot::x, tokens, Access::read},
                                  {Slot::scores, scores, Access::read},
                                  {Slot::y, x, Access::write},
                                  {Slot::expert_scores, m.expert_scores, Access::write}});
  m.x = divided ? exchanged_rows(x, "dispatch", operand_, activation("expert_x", operand_, rows * width)) : x;

  m.up = activation("expert_up", ElementType::f32, rows * shape_.expert_ffn);
  m.activation = activation("expert_activation", operand_, rows * shape_.expert_ffn);
  std::vector<BufferUse> uses = {expert_weights(),
                                 {Slot::x, m.x, Access::read},
                                 {Slot::expert_scores, m.expert_scores, Access::read},
                                 {Slot::up, m.up, Access::write},
                                 {Slot::y, m.activation, Access::write}};
  if (model::gated(spec_.mlp)) {
    m.gate = activation("expert_gate", ElementType::f32, rows * shape_.expert_ffn);
    uses.push_back({Slot::gate, m.gate, Access::write});
  }
  const double flops = matmul_flops(rows, width, shape_.expert_ffn);
  emit(OpKind::expert_up_forward, std::move(uses), (model::gated(spec_.mlp) ? 2 : 1) * flops);
  if (stop_before_down) return;

  BufferId out = in_transit("expert_out", ElementType::f32, rows * width);
  emit(OpKind::expert_down_forward, {expert_weights(), {Slot::x, m.activation, Access::read}, {Slot::y, out, Access::write}}, flops);
  if (divided) out = exchanged_rows(out, "combine", ElementType::f32, in_transit("returned", ElementType::f32, rows * width));
  if (divided || layout_.tp == 1) {
    a.output = activation("output", ElementType::f32, shape_.s * width);
    emit(OpKind::combine_forward,
         {{Slot::x, out, Access::read}, {Slot::residual, residual, Access::read}, {Slot::y, a.output, Access::write}});
  } else {
    a.output = row_parallel(OpKind::combine_forward, "experts", out, residual, "output", 0);
  }
}

/// Every rank's rows to the ranks that asked for them.
BufferId Builder::exchanged_rows(BufferId rows, std::string_view what, ElementType type, BufferId to) {
  collective(OpKind::all_to_all, what, Group::expert, Bytes(shape_.expert_rows * shape_.width * size_of(type)),
             {{Slot::x, rows, Access::read}, {Slot::y, to, Access::write}});
  return to;
}

/// @return the gradient of the MLP's norm's output
BufferId Builder::mixture_gradient(const LayerActivations& a, BufferId d_residual) {
  const MixtureActivations& m = a.mixture;
  const bool divided = layout_.ep > 1, gated = model::gated(spec_.mlp), shared = spec_.experts.shared > 0;
  const std::int64_t rows = shape_.expert_rows, width = shape_.width, hidden = rows * shape_.expert_ffn;
  const double flops = matmul_flops(rows, width, shape_.expert_ffn);

  const BufferId d_output = divided && !shared ? -1 : gathered_gradient(d_residual, "d_output");
  const BufferId d_tokens = divided || d_output < 0 ? d_residual : d_output;
  BufferId d_out = divided ? in_transit("d_returned", operand_, rows * width) : gradient_of("expert_out", operand_, rows * width);
  emit(OpKind::combine_backward, {{Slot::d_y, d_tokens, Access::read}, {Slot::d_x, d_out, Access::write}});
  if (divided) d_out = exchanged_rows(d_out, "combine", operand_, gradient_of("expert_out", operand_, rows * width));

  const BufferId d_activation = gradient_of("expert_activation", ElementType::f32, hidden);
  Linear down{OpKind::expert_down_backward, expert_bucket(), m.activation};
  down.flops = flops;
  down.operand = d_out;
  down.operand_given = true;
  linear_gradient(down, {expert_weights(), {Slot::d_x, d_activation, Access::write}});

  BufferId d_x =
      divided ? in_transit("d_expert_x", ElementType::f32, rows * width) : gradient_of("expert_x", ElementType::f32, rows * width);
  const BufferId d_scores = gradient_of("expert_scores", ElementType::f32, rows);
  Linear up{OpKind::expert_up_backward, expert_bucket(), m.x};
  up.flops = (gated ? 2 : 1) * flops;
  up.operand = gradient_of("expert_up.operand", operand_, hidden);
  std::vector<BufferUse> uses = {expert_weights(),
                                 {Slot::up, m.up, Access::read},
                                 {Slot::expert_scores, m.expert_scores, Access::read},
                                 {Slot::d_y, d_activation, Access::read},
                                 {Slot::d_x, d_x, Access::write},
                                 {Slot::d_expert_scores, d_scores, Access::write}};
  if (gated) {
    up.operand_gate = gradient_of("expert_gate.operand", operand_, hidden);
    uses.push_back({Slot::gate, m.gate, Access::read});
  }
  linear_gradient(up, std::move(uses));
  if (divided) d_x = exchanged_rows(d_x, "dispatch", ElementType::f32, gradient_of("expert_x", ElementType::f32, rows * width));

  // Shared experts have a part of the gradient on every tensor-parallel rank, and so have undivided ones.
  BufferId d_norm = shared ? mlp_gradient(a, shape_.shared_ffn, d_residual, d_output) : -1;
  if (divided && shared) d_norm = summed_rows(d_norm, "mlp_norm", width);
  const std::int64_t tokens = divided ? shape_.s : shape_.n;
  if (!shared) d_norm = gradient_of("mlp_norm", ElementType::f32, tokens * width);
  const BufferId d_token_scores = gradient_of("scores", ElementType::f32, tokens * spec_.experts.count);
  emit(OpKind::dispatch_backward, {{Slot::d_y, d_x, Access::read},
                                   {Slot::d_expert_scores, d_scores, Access::read},
                                   {Slot::d_x, d_norm, shared ? Access::update : Access::write},
                                   {Slot::d_scores, d_token_scores, Access::write}});
  BufferId d_own_scores = d_token_scores;
  if (!divided) {
    d_norm = summed_rows(d_norm, "mlp_norm", width);
    d_own_scores = summed_rows(d_token_scores, "scores", spec_.experts.count);
  }
  Linear router{OpKind::router_backward, layer_bucket(), a.mlp_norm};
  router.flops = matmul_flops(shape_.s, width, spec_.experts.count);
  router.operand = rounded_gradient("scores.operand", shape_.s * spec_.experts.count);
  linear_gradient(router, {product_weights(),
                           {Slot::scores, m.scores, Access::read},
                           {Slot::d_scores, d_own_scores, Access::read},
                           {Slot::d_x, d_norm, Access::update}});
  return d_norm;
}

}  // namespace longhaul::program
