#include "kernels/statements/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/attention_scale.h"
#include "kernels/statements/elementary_scalar.h"
#include "kernels/statements/scalar_statement.h"

namespace longhaul::kernels {
namespace {

constexpr std::int64_t kKeyTile = 64;

// One sequence and one query head with its key/value head, as operands converted to float: element (t, d) of each.
struct Head {
  Order order;
  std::int64_t length, head_dim;
  const float *q, *k, *v;            // first row of the sequence, at the head's column
  std::int64_t q_stride, kv_stride;  // of a row
  const std::int32_t* document_start;
  float scale;

  float key(std::int64_t j, std::int64_t d) const { return j < length ? k[j * kv_stride + d] : 0; }
  float value(std::int64_t j, std::int64_t d) const { return j < length ? v[j * kv_stride + d] : 0; }
  bool visible(std::int64_t t, std::int64_t j) const { return j >= document_start[t] && j <= t; }
  std::int64_t first_tile(std::int64_t t) const { return document_start[t] / kKeyTile; }
  float score(std::int64_t t, std::int64_t j) const {
    return scale * chain(
                       order, 0, head_dim, [&](std::int64_t d) { return q[t * q_stride + d]; }, [&](std::int64_t d) { return key(j, d); });
  }
};

struct RowStatistics {
  float max, sum;
};

RowStatistics forward_row(const Head& head, std::int64_t t, void* o, std::int64_t o_offset) {
  std::vector<float> accumulator(static_cast<std::size_t>(head.head_dim), 0.0f);
  float m = std::numeric_limits<float>::lowest(), l = 0;
  for (std::int64_t tile = head.first_tile(t) * kKeyTile; tile <= t; tile += kKeyTile) {
    float s[kKeyTile], p[kKeyTile];
    float m_new = m;
    for (std::int64_t i = 0; i < kKeyTile; ++i) {
      if (!head.visible(t, tile + i)) continue;
      s[i] = head.score(t, tile + i);
      m_new = std::max(m_new, s[i]);
    }
    m_new += 0.0f;  // −0 becomes +0: a maximum does not say which of the two it is
    for (std::int64_t i = 0; i < kKeyTile; ++i) p[i] = head.visible(t, tile + i) ? scalar::exp(s[i] - m_new) : 0.0f;
    const float rescale = scalar::exp(m - m_new);
    l = std::fma(l, rescale, sum_of_lanes(kKeyTile, [&](std::int64_t i) { return p[i]; }));
    for (std::int64_t d = 0; d < head.head_dim; ++d) {
      float& acc = accumulator[static_cast<std::size_t>(d)];
      acc = chain(
          head.order, acc * rescale, kKeyTile, [&](std::int64_t i) { return rounded(head.order, p[i]); },
          [&](std::int64_t i) { return head.value(tile + i, d); });
    }
    m = m_new;
  }
  for (std::int64_t d = 0; d < head.head_dim; ++d) {
    store_operand(head.order, o, o_offset + d, accumulator[static_cast<std::size_t>(d)] / l + 0.0f);
  }
  return {m, l};
}

// P and dS of a head, [length, padded length] with zeros where a key is masked, rounded where they feed a product.
struct ScoreGradients {
  std::int64_t stride;
  std::vector<float> p, d_s;
};

ScoreGradients score_gradients(const Head& head, const float* o, const float* d_o, const RowStatistics* rows) {
  ScoreGradients out;
  out.stride = head.length + kKeyTile;
  out.p.assign(static_cast<std::size_t>(head.length * out.stride), 0.0f);
  out.d_s = out.p;
  for (std::int64_t t = 0; t < head.length; ++t) {
    const auto gradient = [&](std::int64_t d) { return rounded(head.order, d_o[t * head.q_stride + d]); };
    const float inverse = 1.0f / rows[t].sum;
    const float correction = dot_of_lanes(head.head_dim, gradient, [&](std::int64_t d) { return o[t * head.q_stride + d]; });
    for (std::int64_t j = 0; j <= t; ++j) {
      if (!head.visible(t, j)) continue;
      const float p = scalar::exp(head.score(t, j) - rows[t].max) * inverse;
      const float d_p = chain(head.order, 0, head.head_dim, gradient, [&](std::int64_t d) { return head.value(j, d); });
      out.p[static_cast<std::size_t>(t * out.stride + j)] = rounded(head.order, p);
      out.d_s[static_cast<std::size_t>(t * out.stride + j)] = rounded(head.order, p * (d_p - correction));
    }
  }
  return out;
}

// The operand tensor as floats (exact).
std::vector<float> floats(Order order, const void* data, std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) out[static_cast<std::size_t>(i)] = load_operand(order, data, i);
  return out;
}

struct Operands {
  std::vector<float> q, k, v;
};

Head head_of(Order order, const AttentionShape& s, const Operands& x, const std::int32_t* document_start, std::int64_t b, std::int64_t h) {
  const std::int64_t q_stride = s.heads * s.head_dim, kv_stride = s.kv_heads * s.head_dim, first = b * s.sequence_length;
  const std::int64_t kv_offset = first * kv_stride + h / (s.heads / s.kv_heads) * s.head_dim;
  return {order,
          s.sequence_length,
          s.head_dim,
          x.q.data() + first * q_stride + h * s.head_dim,
          x.k.data() + kv_offset,
          x.v.data() + kv_offset,
          q_stride,
          kv_stride,
          document_start + first,
          attention_scale(s.head_dim)};
}

}  // namespace

void attention_forward_reference(Order order, const AttentionShape& s, const void* q, const void* k, const void* v,
                                 const std::int32_t* document_start, void* o, float* row_max, float* row_sum) {
  set_floating_point_environment();
  const std::int64_t tokens = s.sequences * s.sequence_length, kv_count = tokens * s.kv_heads * s.head_dim;
  const Operands x{floats(order, q, tokens * s.heads * s.head_dim), floats(order, k, kv_count), floats(order, v, kv_count)};
  for (std::int64_t b = 0; b < s.sequences; ++b) {
    for (std::int64_t h = 0; h < s.heads; ++h) {
      const Head head = head_of(order, s, x, document_start, b, h);
      for (std::int64_t t = 0; t < s.sequence_length; ++t) {
        const RowStatistics row = forward_row(head, t, o, ((b * s.sequence_length + t) * s.heads + h) * s.head_dim);
        row_max[(b * s.heads + h) * s.sequence_length + t] = row.max;
        row_sum[(b * s.heads + h) * s.sequence_length + t] = row.sum;
      }
    }
  }
}

void attention_backward_reference(Order order, const AttentionShape& s, const void* q, const void* k, const void* v, const void* o,
                                  const float* d_o, const float* row_max, const float* row_sum, const std::int32_t* document_start,
                                  float* dq, float* dk, float* dv) {
  set_floating_point_environment();
  const std::int64_t length = s.sequence_length, tokens = s.sequences * length, kv_count = tokens * s.kv_heads * s.head_dim;
  const Operands x{floats(order, q, tokens * s.heads * s.head_dim), floats(order, k, kv_count), floats(order, v, kv_count)};
  const std::vector<float> outputs = floats(order, o, tokens * s.heads * s.head_dim);
  std::fill_n(dk, kv_count, 0.0f);
  std::fill_n(dv, kv_count, 0.0f);
  const float scale = attention_scale(s.head_dim);
  for (std::int64_t b = 0; b < s.sequences; ++b) {
    for (std::int64_t h = 0; h < s.heads; ++h) {  // heads outer: dk and dv of a group are one chain
      const Head head = head_of(order, s, x, document_start, b, h);
      const std::int64_t q_offset = b * length * head.q_stride + h * s.head_dim;
      const std::int64_t kv_offset = b * length * head.kv_stride + h / (s.heads / s.kv_heads) * s.head_dim;
      std::vector<RowStatistics> rows;
      for (std::int64_t t = 0; t < length; ++t) {
        const std::int64_t row = (b * s.heads + h) * length + t;
        rows.push_back({row_max[row], row_sum[row]});
      }
      const ScoreGradients g = score_gradients(head, outputs.data() + q_offset, d_o + q_offset, rows.data());
      for (std::int64_t d = 0; d < s.head_dim; ++d) {
        for (std::int64_t t = 0; t < length; ++t) {
          const float* row = g.d_s.data() + t * g.stride;
          const float sum = chain(
              order, 0, t + 1, [&](std::int64_t j) { return row[j]; }, [&](std::int64_t j) { return head.key(j, d); });
          dq[q_offset + t * head.q_stride + d] = std::fma(sum, scale, 0.0f);
        }
        for (std::int64_t j = 0; j < length; ++j) {
          const auto column = [&](const std::vector<float>& m) {
            return [&, j](std::int64_t t) { return m[static_cast<std::size_t>(t * g.stride + j)]; };
          };
          float& d_key = dk[kv_offset + j * head.kv_stride + d];
          float& d_value = dv[kv_offset + j * head.kv_stride + d];
          d_key = chain(order, d_key, length, column(g.d_s), [&](std::int64_t t) { return head.q[t * head.q_stride + d]; });
          d_value = chain(order, d_value, length, column(g.p),
                          [&](std::int64_t t) { return rounded(order, d_o[q_offset + t * head.q_stride + d]); });
        }
      }
    }
  }
  for (std::int64_t i = 0; i < kv_count; ++i) {
    dk[i] = std::fma(dk[i], scale, 0.0f);
    dv[i] += 0.0f;
  }
}

// The double reference: a matrix of probabilities, textbook formulas.
namespace {

struct DoubleHead {
  std::int64_t q, kv;  // offsets of row 0
  std::int64_t q_stride, kv_stride;
};

template <typename F>
void for_each_head(const AttentionShape& s, F f) {
  for (std::int64_t b = 0; b < s.sequences; ++b) {
    for (std::int64_t h = 0; h < s.heads; ++h) {
      const std::int64_t q_stride = s.heads * s.head_dim, kv_stride = s.kv_heads * s.head_dim, first = b * s.sequence_length;
      f(first,
        DoubleHead{first * q_stride + h * s.head_dim, first * kv_stride + h / (s.heads / s.kv_heads) * s.head_dim, q_stride, kv_stride});
    }
  }
}

double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// Probabilities of row t over keys start…t, indexed by key.
std::vector<double> probabilities(const AttentionShape& s, const DoubleHead& head, const double* q, const double* k, std::int64_t t,
                                  std::int64_t start) {
  std::vector<double> p(static_cast<std::size_t>(t + 1), 0.0);
  const auto score = [&](std::int64_t j) {
    return dot(q + head.q + t * head.q_stride, k + head.kv + j * head.kv_stride, s.head_dim) / std::sqrt(static_cast<double>(s.head_dim));
  };
  double largest = score(start), sum = 0;
  for (std::int64_t j = start; j <= t; ++j) largest = std::max(largest, score(j));
  for (std::int64_t j = start; j <= t; ++j) sum += p[static_cast<std::size_t>(j)] = std::exp(score(j) - largest);
  for (double& x : p) x /= sum;
  return p;
}

}  // namespace

std::vector<double> attention_forward_double(const AttentionShape& s, const std::vector<double>& q, const std::vector<double>& k,
                                             const std::vector<double>& v, const std::vector<std::int32_t>& document_start) {
  std::vector<double> o(q.size(), 0.0);
  for_each_head(s, [&](std::int64_t first, const DoubleHead& head) {
    for (std::int64_t t = 0; t < s.sequence_length; ++t) {
      const std::vector<double> p = probabilities(s, head, q.data(), k.data(), t, document_start[static_cast<std::size_t>(first + t)]);
      for (std::int64_t j = 0; j <= t; ++j) {
        for (std::int64_t d = 0; d < s.head_dim; ++d) {
          o[static_cast<std::size_t>(head.q + t * head.q_stride + d)] +=
              p[static_cast<std::size_t>(j)] * v[static_cast<std::size_t>(head.kv + j * head.kv_stride + d)];
        }
      }
    }
  });
  return o;
}

AttentionGradientsDouble attention_backward_double(const AttentionShape& s, const std::vector<double>& q, const std::vector<double>& k,
                                                   const std::vector<double>& v, const std::vector<double>& d_o,
                                                   const std::vector<std::int32_t>& document_start) {
  AttentionGradientsDouble out{std::vector<double>(q.size(), 0.0), std::vector<double>(k.size(), 0.0), std::vector<double>(v.size(), 0.0)};
  const double scale = 1.0 / std::sqrt(static_cast<double>(s.head_dim));
  for_each_head(s, [&](std::int64_t first, const DoubleHead& head) {
    for (std::int64_t t = 0; t < s.sequence_length; ++t) {
      const std::vector<double> p = probabilities(s, head, q.data(), k.data(), t, document_start[static_cast<std::size_t>(first + t)]);
      const std::int64_t row = head.q + t * head.q_stride;
      const auto d_p = [&](std::int64_t j) { return dot(d_o.data() + row, v.data() + head.kv + j * head.kv_stride, s.head_dim); };
      double mean = 0;
      for (std::int64_t j = 0; j <= t; ++j) mean += p[static_cast<std::size_t>(j)] * d_p(j);
      for (std::int64_t j = 0; j <= t; ++j) {
        const double probability = p[static_cast<std::size_t>(j)], d_s = scale * probability * (d_p(j) - mean);
        for (std::int64_t d = 0; d < s.head_dim; ++d) {
          const std::size_t at_q = static_cast<std::size_t>(row + d), at_k = static_cast<std::size_t>(head.kv + j * head.kv_stride + d);
          out.dq[at_q] += d_s * k[at_k];
          out.dk[at_k] += d_s * q[at_q];
          out.dv[at_k] += probability * d_o[at_q];
        }
      }
    }
  });
  return out;
}

}  // namespace longhaul::kernels
