#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longhaul::train {
namespace {

using config::DecayShape;
using config::LearningRateSchedule;

TEST(Schedule, WarmupEndsAtPeakAndCosineEndsAtFloor) {  // accounting A3
  const Schedule s{LearningRateSchedule::cosine, 3e-4, 3e-5, 100, 1000};
  EXPECT_NEAR(learning_rate(s, 0), 3e-6, 1e-18);
  EXPECT_NEAR(learning_rate(s, 50), 1.53e-4, 1e-16);
  EXPECT_DOUBLE_EQ(learning_rate(s, 99), 3e-4);
  EXPECT_DOUBLE_EQ(learning_rate(s, 100), 3e-4);
  EXPECT_NEAR(learning_rate(s, 550), 1.6476411858e-4, 1e-14);
  EXPECT_DOUBLE_EQ(learning_rate(s, 999), 3e-5);
}

TEST(Schedule, EveryKindIsContinuousAtItsJoints) {  // accounting A4
  for (LearningRateSchedule kind : {LearningRateSchedule::constant, LearningRateSchedule::linear, LearningRateSchedule::cosine,
                                    LearningRateSchedule::inverse_sqrt, LearningRateSchedule::wsd})
    for (DecayShape shape : {DecayShape::linear, DecayShape::cosine, DecayShape::one_minus_sqrt}) {
      const Schedule s{kind, 1e-3, 1e-4, 1000, 100000, 0.2, shape};
      // The largest change between neighbouring steps: the warm-up's 1e-6, and 1−√ falls fastest at its start, 9e-4·√(1/20000).
      const double largest = shape == DecayShape::one_minus_sqrt && kind == LearningRateSchedule::wsd ? 6.5e-6 : 1.0001e-6;
      for (std::int64_t step = 1; step < s.total_steps; ++step)
        ASSERT_LE(std::abs(learning_rate(s, step) - learning_rate(s, step - 1)), largest) << "kind " << int(kind) << " step " << step;
      ASSERT_DOUBLE_EQ(learning_rate(s, 999), 1e-3);
    }
}

TEST(Schedule, TailsEndAtTheFloor) {
  for (LearningRateSchedule kind : {LearningRateSchedule::linear, LearningRateSchedule::cosine, LearningRateSchedule::wsd})
    for (DecayShape shape : {DecayShape::linear, DecayShape::cosine, DecayShape::one_minus_sqrt}) {
      const Schedule s{kind, 1e-3, 1e-4, 10, 1000, 0.3, shape};
      EXPECT_NEAR(learning_rate(s, 999), 1e-4, 1e-18);
    }
  const Schedule stable{LearningRateSchedule::wsd, 1e-3, 0, 10, 1000, 0.3};
  EXPECT_DOUBLE_EQ(learning_rate(stable, 500), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(stable, 700), 1e-3);  // the tail's first step still has the peak
  EXPECT_LT(learning_rate(stable, 701), 1e-3);
}

TEST(Schedule, InverseSquareRootHalvesWhenStepsQuadruple) {
  const Schedule s{LearningRateSchedule::inverse_sqrt, 1e-3, 0, 100, 100000};
  EXPECT_DOUBLE_EQ(learning_rate(s, 399), 5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1599), 2.5e-4);
}

TEST(Schedule, WithoutWarmupTheFirstStepHasThePeak) {
  for (LearningRateSchedule kind : {LearningRateSchedule::constant, LearningRateSchedule::linear, LearningRateSchedule::cosine,
                                    LearningRateSchedule::inverse_sqrt, LearningRateSchedule::wsd})
    EXPECT_DOUBLE_EQ(learning_rate({kind, 1e-3, 1e-4, 0, 100, 0.2}, 0), 1e-3);
}

}  // namespace
}  // namespace longhaul::train
