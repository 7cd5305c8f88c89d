#include "scaling/family.h"

#include <gtest/gtest.h>

#include "units/error.h"

namespace longhaul::scaling {
namespace {

TEST(Family, PublishedShapes) {
  FamilyOptions options;
  const model::ModelSpec seven = shape_of(4096, usual_layers(4096), options);
  EXPECT_EQ(seven.layers, 32);
  EXPECT_EQ(seven.ffn_width, 11008) << "LLaMA 7B";
  EXPECT_EQ(seven.heads, 32);
  const model::ModelSpec thirteen = shape_of(5120, usual_layers(5120), options);
  EXPECT_EQ(thirteen.layers, 40);
  EXPECT_EQ(thirteen.ffn_width, 13824) << "LLaMA 13B";
  EXPECT_EQ(parameters_of(thirteen, true), 13'015'864'320.0 - 40 * 2 * 5120.0 * (5120 - 1024)) << "LLaMA 13B with grouped heads";
}

TEST(Family, NearestShapeIsNear) {
  for (const double n : {1.25e8, 1e9, 7e9, 7e10, 4e11, 1e12})
    for (const bool embeddings : {true, false}) {
      const model::ModelSpec spec = nearest_shape(n, embeddings, {});
      EXPECT_NEAR(parameters_of(spec, embeddings) / n, 1, n < 5e8 ? 0.15 : 0.05) << n;
      EXPECT_FALSE(model::trainable(spec)) << n;
    }
  EXPECT_THROW((void)nearest_shape(1e5, true, {}), UsageError);
  EXPECT_THROW((void)nearest_shape(1e16, true, {}), UsageError);
  const auto between = family_between(1e9, 1e10, true, {});
  EXPECT_GE(between.size(), 8u);
  for (const auto& spec : between) EXPECT_TRUE(parameters_of(spec, true) >= 1e9 && parameters_of(spec, true) <= 1e10);
}

}  // namespace
}  // namespace longhaul::scaling
