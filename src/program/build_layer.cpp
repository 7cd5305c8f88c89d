// A layer's operations: norms, attention, dense MLP, forward and backward; what tensor, sequence and context parallelism exchange inside.
#include "program/builder.h"

namespace longhaul::program {

BufferId Builder::norm(BufferId x, const std::string& name, NormPlace place, BufferId& statistics) {
  const BufferId y = activation(name + ".y", operand_, shape_.s * shape_.width);
  statistics = activation(name + ".statistics", ElementType::f32, 2 * shape_.s);
  emit(OpKind::norm_forward,
       {vector_weights(), {Slot::x, x, Access::read}, {Slot::y, y, Access::write}, {Slot::statistics, statistics, Access::write}})
      .norm = place;
  return y;
}

void Builder::norm_gradient(BufferId d_y, BufferId x, BufferId statistics, BufferId d_residual, NormPlace place, bool first_gradient,
                            int bucket) {
  const BufferUse gradients = accumulate(bucket);
  emit(OpKind::norm_backward, {vector_weights(),
                               {Slot::d_y, d_y, Access::read},
                               {Slot::x, x, Access::read},
                               {Slot::statistics, statistics, Access::read},
                               {Slot::d_residual, d_residual, first_gradient ? Access::write : Access::update},
                               gradients})
      .norm = place;
}

// ---- exchanges inside a layer ---------------------------------------------------------------------------------------------------

BufferId Builder::gathered_rows(BufferId rows, std::string_view what, ElementType type, std::int64_t width) {
  if (!gathers_sequence()) return rows;
  const BufferId all = in_transit(std::string(what) + ".gathered", type, shape_.n * width);
  collective(OpKind::all_gather, what, Group::tensor, Bytes(shape_.n * width * size_of(type)),
             {{Slot::x, rows, Access::read}, {Slot::y, all, Access::write}});
  return all;
}

BufferId Builder::row_parallel(OpKind kind, std::string_view what, BufferId x, BufferId residual, const std::string& name, double flops) {
  const BufferId y = activation(name, ElementType::f32, shape_.s * shape_.width);
  if (layout_.tp == 1) {
    emit(kind,
         {vector_weights(),
          product_weights(),
          {Slot::x, x, Access::read},
          {Slot::residual, residual, Access::read},
          {Slot::y, y, Access::write}},
         flops);
    return y;
  }
  const BufferId partial = in_transit(name + ".partial", ElementType::f32, shape_.n * shape_.width);
  emit(kind, {product_weights(), {Slot::x, x, Access::read}, {Slot::y, partial, Access::write}}, flops);
  collective(gathers_sequence() ? OpKind::reduce_scatter : OpKind::all_reduce, what, Group::tensor,
             Bytes(shape_.n * shape_.width * size_of(ElementType::f32)),
             {vector_weights(), {Slot::x, partial, Access::read}, {Slot::residual, residual, Access::read}, {Slot::y, y, Access::write}});
  return y;
}

BufferId Builder::summed_rows(BufferId partial, std::string_view what, std::int64_t width) {
  if (layout_.tp == 1) return partial;
  const Bytes bytes(shape_.n * width * size_of(ElementType::f32));
  if (!gathers_sequence()) {
    collective(OpKind::all_reduce, what, Group::tensor, bytes, {{Slot::d_x, partial, Access::update}});
    return partial;
  }
  const BufferId own = gradient_of(std::string(what) + ".own", ElementType::f32, shape_.s * width);
  collective(OpKind::reduce_scatter, what, Group::tensor, bytes, {{Slot::d_x, partial, Access::read}, {Slot::d_y, own, Access::write}});
  return own;
}

/// Keys or values of the whole sequence, gathered from the context-parallel ranks (Llama Team 2024, arXiv 2407.21783 §3.3.2).
BufferId Builder::keys_of_all(BufferId own, std::string_view what, std::int64_t width) {
  if (layout_.cp == 1) return own;
  const std::int64_t elements = layout_.cp * shape_.n * width;
  const BufferId all = in_transit(std::string(what) + ".gathered", operand_, elements);
  collective(OpKind::all_gather, what, Group::context, Bytes(elements * size_of(operand_)),
             {{Slot::x, own, Access::read}, {Slot::y, all, Access::write}});
  return all;
}

/// The gradient of this rank's keys or values: every context-parallel rank has a part of it, and so has every tensor-parallel rank that
/// shares the head.
BufferId Builder::own_keys(BufferId partial, std::string_view what, std::int64_t width) {
  BufferId own = partial;
  if (layout_.cp > 1) {
    own = gradient_of(std::string(what) + ".own", ElementType::f32, shape_.n * width);
    collective(OpKind::reduce_scatter, what, Group::context, Bytes(layout_.cp * shape_.n * width * size_of(ElementType::f32)),
               {{Slot::d_x, partial, Access::read}, {Slot::d_y, own, Access::write}});
  }
  collective(OpKind::all_reduce, what, Group::heads, Bytes(shape_.n * width * size_of(ElementType::f32)),
             {{Slot::d_x, own, Access::update}});
  return own;
}

// ---- forward --------------------------------------------------------------------------------------------------------------------

LayerActivations Builder::layer_forward(BufferId input, bool stop_before_down) {
  LayerActivations a;
  a.input = input;
  a.attn_norm = norm(input, "attn_norm", NormPlace::before_attention, a.attn_norm_statistics);
  attention(a);
  a.mlp_input = spec_.parallel_residual ? input : a.middle;
  a.mlp_norm = norm(a.mlp_input, "mlp_norm", NormPlace::before_mlp, a.mlp_norm_statistics);
  if (spec_.has_experts(at_.layer))
    mixture(a, stop_before_down);
  else
    mlp(a, gathered_rows(a.mlp_norm, "mlp_norm", operand_, shape_.width), shape_.ffn, a.middle, "", stop_before_down);
  return a;
}

void Builder::attention(LayerActivations& a) {
  BufferId x = a.attn_norm;
  if (spec_.has_latent_attention()) {
    a.latent = activation("latent", operand_, shape_.s * shape_.latent);
    a.latent_statistics = activation("latent_statistics", ElementType::f32, 4 * shape_.s);
    emit(OpKind::latent_forward,
         {vector_weights(),
          product_weights(),
          {Slot::x, a.attn_norm, Access::read},
          {Slot::y, a.latent, Access::write},
          {Slot::statistics, a.latent_statistics, Access::write}},
         matmul_flops(shape_.s, shape_.width, shape_.latent));
    x = gathered_rows(a.latent, "latent", operand_, shape_.latent);
  } else {
    x = gathered_rows(a.attn_norm, "attn_norm", operand_, shape_.width);
  }
  a.qkv = activation("qkv", ElementType::f32, shape_.n * shape_.qkv);
  a.q = activation("q", operand_, shape_.n * shape_.q);
  a.k = activation("k", operand_, shape_.n * shape_.k);
  a.v = activation("v", operand_, shape_.n * shape_.v);
  Operation& qkv = emit(OpKind::qkv_forward,
                        {vector_weights(),
                         product_weights(),
                         {Slot::x, x, Access::read},
                         {Slot::qkv, a.qkv, Access::write},
                         {Slot::q, a.q, Access::write},
                         {Slot::k, a.k, Access::write},
                         {Slot::v, a.v, Access::write}},
                        shape_.qkv_flops);
  if (keep_qkv()) {
    a.head_statistics = activation("head_statistics", ElementType::f32, shape_.n * (shape_.heads + shape_.kv_heads));
    add(qkv, Slot::head_statistics, a.head_statistics, Access::write);
  }
  const BufferId k = keys_of_all(a.k, "k", shape_.k), v = keys_of_all(a.v, "v", shape_.v);
  a.o = activation("o", operand_, shape_.n * shape_.heads_out);
  a.row_max = activation("row_max", ElementType::f32, shape_.n * shape_.heads);
  a.row_sum = activation("row_sum", ElementType::f32, shape_.n * shape_.heads);
  emit(OpKind::attention_forward,
       {{Slot::q, a.q, Access::read},
        {Slot::k, k, Access::read},
        {Slot::v, v, Access::read},
        {Slot::y, a.o, Access::write},
        {Slot::row_max, a.row_max, Access::write},
        {Slot::row_sum, a.row_sum, Access::write},
        {Slot::workspace, workspace("attn", options_.workspace.attention_forward), Access::write}},
       shape_.attention_flops);
  a.middle = row_parallel(OpKind::attention_out_forward, "attn_out", a.o, a.input, "middle",
                          matmul_flops(shape_.n, shape_.heads_out, shape_.width));
}

/// @param x     the norm's output, of all tokens
/// @param name  "" for the MLP of a layer, "shared." for the experts that every token visits
void Builder::mlp(LayerActivations& a, BufferId x, std::int64_t ffn, BufferId residual, const std::string& name, bool stop_before_down) {
  a.up = activation(name + "up", ElementType::f32, shape_.n * ffn);
  a.activation = activation(name + "activation", operand_, shape_.n * ffn);
  Operation& up = emit(OpKind::mlp_up_forward,
                       {vector_weights(),
                        product_weights(),
                        {Slot::x, x, Access::read},
                        {Slot::up, a.up, Access::write},
                        {Slot::y, a.activation, Access::write}},
                       matmul_flops(shape_.n, shape_.width, ffn) * (model::gated(spec_.mlp) ? 2 : 1));
  if (model::gated(spec_.mlp)) {
    a.gate = activation(name + "gate", ElementType::f32, shape_.n * ffn);
    add(up, Slot::gate, a.gate, Access::write);
  }
  if (stop_before_down) return;
  a.output = row_parallel(OpKind::mlp_down_forward, "mlp_down", a.activation, residual, name + "output",
                          matmul_flops(shape_.n, ffn, shape_.width));
}

// ---- backward -------------------------------------------------------------------------------------------------------------------

void Builder::layer_backward(const LayerActivations& a, BufferId d_residual) {
  const BufferId d_norm =
      spec_.has_experts(at_.layer)
          ? mixture_gradient(a, d_residual)
          : summed_rows(mlp_gradient(a, shape_.ffn, d_residual, gathered_gradient(d_residual, "d_output")), "mlp_norm", shape_.width);
  const auto into_residual = [&] {
    norm_gradient(d_norm, a.mlp_input, a.mlp_norm_statistics, d_residual, NormPlace::before_mlp, false, layer_bucket());
  };
  // Where both halves read the layer's input, both need the gradient as it came.
  if (!spec_.parallel_residual) into_residual();
  const BufferId d_attn_norm = attention_gradient(a, d_residual);
  if (spec_.parallel_residual) into_residual();
  norm_gradient(d_attn_norm, a.input, a.attn_norm_statistics, d_residual, NormPlace::before_attention, false, layer_bucket());
}

/// Both gradients of a linear layer in one operation, or, of a split backward, the input's now and the weight's when its turn comes.
void Builder::linear_gradient(const Linear& linear, std::vector<BufferUse> uses) {
  const bool sums_beside_products = spec_.qkv_bias || spec_.output_bias || spec_.mlp_bias || spec_.qk_norm;
  if (!split_) {
    const BufferId x = linear.x_name.empty() ? linear.x : gathered_rows(linear.x, linear.x_name, operand_, linear.x_width);
    uses.push_back({Slot::x, x, Access::read});
  }
  if (!split_ || sums_beside_products) uses.push_back(accumulate(linear.bucket));
  const Access access = linear.operand_given ? Access::read : Access::write;
  if (linear.operand >= 0) uses.push_back({Slot::operand, linear.operand, access});
  if (linear.operand_gate >= 0) uses.push_back({Slot::operand_gate, linear.operand_gate, access});
  emit(linear.kind, std::move(uses), (split_ ? 1 : 2) * linear.flops);
  if (split_) flight_->deferred.push_back({at_.layer, linear});
}

void Builder::weight_gradient(const Linear& linear) {
  const BufferId x = linear.x_name.empty() ? linear.x : gathered_rows(linear.x, linear.x_name, operand_, linear.x_width);
  std::vector<BufferUse> uses = {{Slot::x, x, Access::read}, {Slot::operand, linear.operand, Access::read}, accumulate(linear.bucket)};
  if (linear.operand_gate >= 0) uses.push_back({Slot::operand_gate, linear.operand_gate, Access::read});
  emit(linear.kind, std::move(uses), linear.flops);
}

/// A gradient of all tokens, rounded for products before it is gathered; -1 where nothing is to be gathered.
BufferId Builder::gathered_gradient(BufferId d_rows, std::string_view what) {
  return gathers_sequence() ? gathered_rows(d_rows, what, operand_, shape_.width) : -1;
}

/// @param d_output  gathered_gradient() of d_residual
/// @return the gradient of the MLP's norm's output, of which every tensor-parallel rank has a part
BufferId Builder::mlp_gradient(const LayerActivations& a, std::int64_t ffn, BufferId d_residual, BufferId d_output) {
  const double flops = matmul_flops(shape_.n, shape_.width, ffn);
  const BufferId d_up = gradient_of("up", ElementType::f32, shape_.n * ffn);
  Linear down{OpKind::mlp_down_backward, layer_bucket(), a.activation};
  down.flops = flops;
  down.operand_given = d_output >= 0;
  down.operand = down.operand_given ? d_output : rounded_gradient("output.operand", shape_.n * shape_.width);
  linear_gradient(down, {product_weights(), {Slot::d_y, d_residual, Access::read}, {Slot::d_x, d_up, Access::write}});

  const BufferId d_norm = gradient_of("mlp_norm", ElementType::f32, shape_.n * shape_.width);
  const bool gated = model::gated(spec_.mlp);
  Linear up{OpKind::mlp_up_backward, layer_bucket(), a.mlp_norm, gathers_sequence() ? "mlp_norm" : "", shape_.width};
  up.flops = (gated ? 2 : 1) * flops;
  std::vector<BufferUse> uses = {product_weights(),
                                 {Slot::up, a.up, Access::read},
                                 {Slot::d_y, d_up, gated ? Access::read : Access::update},
                                 {Slot::d_x, d_norm, Access::write}};
  up.operand = gated ? gradient_of("up.operand", operand_, shape_.n * ffn) : rounded_gradient("up.operand", shape_.n * ffn);
  if (gated) {
    up.operand_gate = gradient_of("gate.operand", operand_, shape_.n * ffn);
    uses.push_back({Slot::gate, a.gate, Access::read});
  }
  linear_gradient(up, std::move(uses));
  return d_norm;
}

/// @return the gradient of the attention's norm's output
BufferId Builder::attention_gradient(const LayerActivations& a, BufferId d_residual) {
  const BufferId d_o = gradient_of("o", ElementType::f32, shape_.n * shape_.heads_out);
  Linear out{OpKind::attention_out_backward, layer_bucket(), a.o};
  out.flops = matmul_flops(shape_.n, shape_.heads_out, shape_.width);
  const BufferId d_middle = gathered_gradient(d_residual, "d_middle");
  out.operand_given = d_middle >= 0;
  out.operand = out.operand_given ? d_middle : rounded_gradient("middle.operand", shape_.n * shape_.width);
  linear_gradient(out, {product_weights(), {Slot::d_y, d_residual, Access::read}, {Slot::d_x, d_o, Access::write}});

  const BufferId d_q = gradient_of("q", ElementType::f32, shape_.n * shape_.q);
  const BufferId d_k = gradient_of("k", ElementType::f32, layout_.cp * shape_.n * shape_.k);
  const BufferId d_v = gradient_of("v", ElementType::f32, layout_.cp * shape_.n * shape_.v);
  const BufferId k = keys_of_all(a.k, "k", shape_.k), v = keys_of_all(a.v, "v", shape_.v);
  emit(OpKind::attention_backward,
       {{Slot::q, a.q, Access::read},
        {Slot::k, k, Access::read},
        {Slot::v, v, Access::read},
        {Slot::x, a.o, Access::read},
        {Slot::d_y, d_o, Access::read},
        {Slot::row_max, a.row_max, Access::read},
        {Slot::row_sum, a.row_sum, Access::read},
        {Slot::d_q, d_q, Access::write},
        {Slot::d_k, d_k, Access::write},
        {Slot::d_v, d_v, Access::write},
        {Slot::workspace, workspace("attn.bwd", options_.workspace.attention_backward), Access::write}},
       2 * shape_.attention_flops);
  const BufferId d_k_own = own_keys(d_k, "d_k", shape_.k), d_v_own = own_keys(d_v, "d_v", shape_.v);

  const bool latent = spec_.has_latent_attention();
  const std::int64_t x_width = latent ? shape_.latent : shape_.width;
  const BufferId d_x = gradient_of(latent ? "latent" : "attn_norm", ElementType::f32, shape_.n * x_width);
  std::vector<BufferUse> uses = {vector_weights(),
                                 product_weights(),
                                 {Slot::d_q, d_q, Access::read},
                                 {Slot::d_k, d_k_own, Access::read},
                                 {Slot::d_v, d_v_own, Access::read},
                                 {Slot::scratch, gradient_of("qkv", ElementType::f32, shape_.n * shape_.qkv), Access::write},
                                 {Slot::d_x, d_x, Access::write}};
  const std::string_view x_name = latent ? "latent" : "attn_norm";
  Linear qkv{OpKind::qkv_backward, layer_bucket(), latent ? a.latent : a.attn_norm, gathers_sequence() ? x_name : "", x_width};
  qkv.flops = shape_.qkv_flops;
  qkv.operand = rounded_gradient("qkv.operand", shape_.n * shape_.qkv);
  if (keep_qkv()) {
    uses.push_back({Slot::qkv, a.qkv, Access::read});
    uses.push_back({Slot::head_statistics, a.head_statistics, Access::read});
  }
  linear_gradient(qkv, std::move(uses));
  const BufferId summed = summed_rows(d_x, x_name, x_width);
  return latent ? latent_gradient(a, summed) : summed;
}

/// Of the down projections and their norms.
BufferId Builder::latent_gradient(const LayerActivations& a, BufferId d_latent) {
  const BufferId d_norm = gradient_of("attn_norm", ElementType::f32, shape_.s * shape_.width);
  Linear down{OpKind::latent_backward, layer_bucket(), a.attn_norm};
  down.flops = matmul_flops(shape_.s, shape_.width, shape_.latent);
  down.operand = rounded_gradient("latent.operand", shape_.s * shape_.latent);
  linear_gradient(down, {vector_weights(),
                         product_weights(),
                         {Slot::d_y, d_latent, Access::read},
                         {Slot::y, a.latent, Access::read},
                         {Slot::statistics, a.latent_statistics, Access::read},
                         {Slot::d_x, d_norm, Access::write}});
  return d_norm;
}

}  // namespace longhaul::program
