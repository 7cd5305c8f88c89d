// Laws against the figures of their papers and of accounting D3 to D7.
#include "scaling/law.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "scaling/law_file.h"
#include "scaling/loss_form.h"
#include "units/error.h"

namespace longhaul::scaling {
namespace {

/// Besiroglu et al. 2024: arXiv 2404.10102, unrounded in the authors' notebook.
const Surface kEpoch{.irreducible = 1.81686, .a = 482.006, .alpha = 0.34781, .b = 2085.43, .beta = 0.36585, .outer = 1};

TEST(Law, ChinchillaOptimumIsWhereNothingIsCheaper) {  // accounting D4
  for (const double flops : {1e18, 1e21, 5.76e23}) {
    const Allocation best = kEpoch.optimum(flops);
    EXPECT_NEAR(best.flops() / flops, 1, 1e-12);
    const double g = std::pow(0.34781 * 482.006 / (0.36585 * 2085.43), 1 / (0.34781 + 0.36585));
    EXPECT_NEAR(best.parameters / (g * std::pow(flops / 6, 0.36585 / (0.34781 + 0.36585))), 1, 1e-12);
    EXPECT_NEAR(best.tokens / (std::pow(flops / 6, 0.34781 / (0.34781 + 0.36585)) / g), 1, 1e-12);
    for (const double factor : {0.9, 0.99, 1.01, 1.1})
      EXPECT_LT(kEpoch.loss(best), kEpoch.loss(best.parameters * factor, best.tokens / factor)) << flops << ' ' << factor;
  }
}

// The authors' claim: about 20 tokens a parameter at Chinchilla's budget, and N grows as C^0.513 (their abstract and section 4).
TEST(Law, EpochRefitAgreesWithTwentyTokensAParameter) {
  EXPECT_NEAR(kEpoch.parameters_exponent(), 0.5126, 5e-4);
  const double ratio = kEpoch.optimum(5.76e23).tokens_per_parameter();
  EXPECT_GT(ratio, 15);
  EXPECT_LT(ratio, 25);
}

// Table A3 of Hoffmann et al. 2022 gives 9.2 B tokens for 400 M parameters by approach 3 (2.21e19 FLOPs).
TEST(Law, HoffmannApproachThreeUnrounded) {
  const Law law = find_law("hoffmann-2022-approach-3");
  const Allocation at = advise(law, 2.21e19).at;
  EXPECT_NEAR(at.parameters / 400e6, 1, 0.03);
  EXPECT_NEAR(at.tokens / 9.2e9, 1, 0.03);
  EXPECT_NEAR(law.coefficients[1], std::exp(6.0073404), 1e-4);
  EXPECT_NEAR(law.coefficients[2], std::exp(6.0179186), 1e-4);
  EXPECT_NEAR(law.coefficients[0], std::exp(0.5267228), 1e-6);
}

// What rounding to the printed digits does to the optimum.
TEST(Law, RoundedCoefficientsAreBiased) {
  const Surface printed{.irreducible = 1.69, .a = 406.4, .alpha = 0.34, .b = 410.7, .beta = 0.28, .outer = 1};
  const Surface unrounded = *find_law("hoffmann-2022-approach-3").surface();
  EXPECT_NEAR(printed.optimum(1e21).tokens_per_parameter() / unrounded.optimum(1e21).tokens_per_parameter(), 1.48, 0.01);
}

// Tables 3 and A3: every published pair lies on the line through them as nearly as two digits allow.
TEST(Law, HoffmannLinesPassTheirTables) {
  const std::vector<std::pair<std::string, std::vector<Allocation>>> tables{
      {"hoffmann-2022-approach-1", {{400e6, 8.0e9}, {10e9, 205.1e9}, {175e9, 3.7e12}, {10e12, 216.2e12}}},
      {"hoffmann-2022-approach-2", {{400e6, 7.7e9}, {10e9, 219.5e9}, {175e9, 4.3e12}, {10e12, 292.0e12}}}};
  for (const auto& [name, pairs] : tables)
    for (const Allocation& pair : pairs) {
      const Allocation at = advise(find_law(name), pair.flops()).at;
      EXPECT_NEAR(at.parameters / pair.parameters, 1, 0.05) << name << ' ' << pair.parameters;
    }
  EXPECT_NEAR(find_law("hoffmann-2022-approach-1").line->exponent, 0.50, 0.005);
  EXPECT_NEAR(find_law("hoffmann-2022-approach-2").line->exponent, 0.49, 0.005);
}

TEST(Law, RuleOfThumb) {  // accounting D5
  const Allocation at = advise(find_law("twenty-tokens-per-parameter"), 1e21).at;
  EXPECT_NEAR(at.parameters, 2.887e9, 5e5);
  EXPECT_NEAR(at.tokens, 5.774e10, 5e6);
  EXPECT_NEAR(at.parameters, std::sqrt(1e21 / 120), 1);
}

TEST(Law, CopiedSquareRootIsExplainedNotOffered) {  // accounting D6
  for (const char* name : {"0.7sqrt", "0.7*sqrt(C)", "0.7-sqrt-c", "1.4sqrt", "07sqrt", "Sqrt0.7"}) {
    EXPECT_TRUE(is_copied_square_root(name)) << name;
    EXPECT_THROW(
        {
          try {
            (void)find_law(name);
          } catch (const UsageError& error) {
            for (const char* says : {"5.88", "3.2 times too few tokens", "D/N is 2", "twenty-tokens-per-parameter"})
              EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << says;
            throw;
          }
        },
        UsageError);
  }
  for (const Law& law : published_laws()) EXPECT_FALSE(is_copied_square_root(law.id)) << law.id;
  // The sentence's figures.
  const double n = 0.7 * std::sqrt(1e21), d = 1.4 * std::sqrt(1e21);
  EXPECT_NEAR(6 * n * d / 1e21, 5.88, 1e-9);
  EXPECT_NEAR(d / n, 2, 1e-12);
  EXPECT_NEAR(std::sqrt(6 * n * d / 120) * 20 / d, 3.162, 1e-3);
}

// Kaplan et al. 2020: limits of eq. 1.5 are L(N) and L(D); doubling N at infinite data multiplies the loss by 2^-0.076 = 0.949 (sec. 1.2).
TEST(Law, KaplanJointForm) {
  const Surface s = *find_law("kaplan-2020-joint").surface();
  EXPECT_NEAR(s.loss(1e9, 1e30), std::pow(6.4e13 / 1e9, 0.076), 1e-6);
  EXPECT_NEAR(s.loss(1e30, 1e9), std::pow(1.8e13 / 1e9, 0.103), 1e-6);
  EXPECT_NEAR(s.loss(2e9, 1e30) / s.loss(1e9, 1e30), std::pow(2, -0.076), 1e-6);
  const Allocation best = s.optimum(1e20);
  for (const double factor : {0.95, 1.05}) EXPECT_LT(s.loss(best), s.loss(best.parameters * factor, best.tokens / factor));
  // N_opt = 1.3e9 · C^0.73 at one PF-day and at a thousand.
  EXPECT_NEAR(advise(find_law("kaplan-2020"), 8.64e19).at.parameters, 1.3e9, 1);
  EXPECT_NEAR(advise(find_law("kaplan-2020"), 8.64e22).at.parameters / 1.3e9, std::pow(1000, 0.73), 1e-6);
}

TEST(Law, OtherPublishedLines) {
  // Llama 3, section 3.2.1: 16.55 T tokens at 3.8e25 FLOPs.
  EXPECT_NEAR(advise(find_law("llama-3"), 3.8e25).at.tokens, 16.55e12, 1e6);
  EXPECT_NEAR(advise(find_law("llama-3"), 3.8e25).at.parameters / 402e9, 1, 0.06) << "6ND of 402 B and 16.55 T is 4.0e25";
  // DeepSeek: M_opt · D_opt = C, and N is M/6: 0.1715 · C^0.5243 / 6.
  EXPECT_NEAR(advise(find_law("deepseek-2024"), 1e20).at.parameters / (0.1715 * std::pow(1e20, 0.5243) / 6), 1, 1e-3);
}

TEST(Law, TokensForALoss) {
  const double loss = kEpoch.loss(1e9, 2e10);
  EXPECT_NEAR(*kEpoch.tokens_for(loss, 1e9) / 2e10, 1, 1e-9);
  EXPECT_FALSE(kEpoch.tokens_for(1.8, 1e12)) << "below the irreducible loss";
  EXPECT_FALSE(kEpoch.tokens_for(loss, 1e8)) << "too small a model for any number of tokens";
  const Surface joint = kaplan_surface(6.4e13, 1.8e13, 0.076, 0.103);
  EXPECT_NEAR(*joint.tokens_for(joint.loss(1e9, 2e10), 1e9) / 2e10, 1, 1e-9);
}

TEST(Law, IntervalsOfDrawsAndOfExponents) {
  Law law = find_law("epoch-2024");
  const Advice at = advise(law, 1e21);
  ASSERT_TRUE(at.parameters && at.tokens && at.loss_interval && at.tokens_per_parameter);
  EXPECT_TRUE(at.parameters->contains(at.at.parameters));
  EXPECT_TRUE(at.tokens->contains(at.at.tokens));
  EXPECT_TRUE(at.loss_interval->contains(*at.loss));
  // The paper's figure 5: an 80 % interval from 4 to 40 tokens a parameter at 1e26 FLOPs and more; ours to a factor of two.
  const Range far = *advise(law, 1e26).tokens_per_parameter;
  EXPECT_GT(far.low, 4 / 2.0);
  EXPECT_LT(far.low, 4 * 2.0);
  EXPECT_GT(far.high, 40 / 2.0);
  EXPECT_LT(far.high, 40 * 2.0);
  law.draws.resize(19);
  EXPECT_FALSE(advise(law, 1e21).parameters) << "too few refits for a tenth";
  // A line turns around the middle of its runs: no width there, symmetric beyond in logarithms of the exponent's ends.
  const Law line = find_law("hoffmann-2022-approach-2");
  const Range none = *advise(line, line.line->pivot_flops).parameters;
  EXPECT_NEAR(none.low / none.high, 1, 1e-12);
  const Range wide = *advise(line, 1e24).parameters;
  EXPECT_NEAR(std::log(wide.high / wide.low), (0.534 - 0.462) * std::log(1e24 / line.line->pivot_flops), 1e-9);
}

TEST(Law, BeyondTheRunsItRestsOn) {
  const Law law = find_law("epoch-2024");
  EXPECT_FALSE(advise(law, 1e21).beyond);
  EXPECT_NEAR(*advise(law, law.flops->high * 50).beyond, 50, 1e-9);
  EXPECT_NEAR(*advise(law, law.flops->low / 4).beyond, 0.25, 1e-9);
}

TEST(Law, TheOptimumIsTheBottomOfTheValley) {
  // No split of the same compute does better than the optimum.
  const double best = kEpoch.loss(kEpoch.optimum(1e21));
  double least = 10;
  for (double n = 1e8; n < 1e11; n *= 1.12) {
    const double loss = kEpoch.loss({n, 1e21 / 6 / n});
    EXPECT_GE(loss, best);
    least = std::min(least, loss);
  }
  EXPECT_NEAR(least, best, 1e-4);
}

// Refits of noise have optima without end; an interval needs all of them.
TEST(Law, NoIntervalOfWhatIsNotFinite) {
  Law law = find_law("epoch-2024");
  law.draws.assign(kFewestDraws, law.coefficients);
  EXPECT_TRUE(advise(law, 1e21).parameters);
  for (std::size_t i = 0; i < 5; ++i) law.draws[i] = {1.8, 1e100, 1e-100, 0.0001, 0.0001};
  EXPECT_FALSE(advise(law, 1e21).parameters);
  law.draws.assign(kFewestDraws - 1, law.coefficients);
  EXPECT_FALSE(advise(law, 1e21).parameters);
}

TEST(LawFile, EveryPublishedLawSaysWhereItIsFrom) {
  const std::vector<Law> laws = published_laws();
  EXPECT_GE(laws.size(), 9u);
  std::set<std::string> seen;
  for (const Law& law : laws) {
    EXPECT_TRUE(seen.insert(law.id).second);
    EXPECT_NE(law.source.find("arXiv"), std::string::npos) << law.id;
    const Advice at = advise(law, 1e21);
    EXPECT_NEAR(at.at.flops() / 1e21, 1, 1e-9) << law.id;
    EXPECT_GT(at.at.parameters, 1e8) << law.id;
    EXPECT_LT(at.at.parameters, 1e11) << law.id;
  }
}

TEST(LawFile, ReadsBack) {
  for (const Law& law : published_laws()) {
    const Law again = parse_law(to_toml(law), law.id + ".toml");
    EXPECT_EQ(again.title, law.title);
    EXPECT_EQ(again.caveats, law.caveats);
    EXPECT_EQ(again.coefficients, law.coefficients);
    EXPECT_EQ(again.draws.size(), law.draws.size());
    EXPECT_DOUBLE_EQ(advise(again, 3e22).at.parameters, advise(law, 3e22).at.parameters);
  }
}

// What a fit may end at, its file may hold; but both exponents at their least have no optimum that a double could hold.
TEST(LawFile, HoldsTheEdgesOfEveryFit) {
  const std::vector<Point> points{{{1e6, 1e7}, 8, 6e13, 0}, {{1e12, 1e15}, 1.5, 6e27, 1}};
  for (const Form form : {Form::chinchilla, Form::kaplan, Form::power_flops, Form::power_parameters, Form::power_tokens}) {
    const LossForm loss(form, points);
    const auto [low, high] = loss.bounds();
    for (std::size_t corner = 0; corner < (1u << low.size()); ++corner) {
      std::vector<double> theta;
      for (std::size_t k = 0; k < low.size(); ++k) theta.push_back((corner >> k & 1) != 0 ? high[k] : low[k]);
      Law law;
      law.title = law.source = "edge";
      law.form = form, law.coefficients = loss.coefficients(theta);
      if (const auto surface = law.surface(); surface && !std::isfinite(surface->loss(surface->optimum(1e30)))) continue;
      EXPECT_NO_THROW((void)parse_law(to_toml(law), "edge.toml")) << to_toml(law);
    }
  }
}

void expect_law_refused(const std::string& toml, const std::string& says) {
  try {
    (void)parse_law(toml, "bad.toml");
    ADD_FAILURE() << "taken: " << toml;
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
  }
}

TEST(LawFile, RefusesWithTheField) {
  const std::string head = "version = 1\ntitle = \"t\"\nsource = \"s\"\ntrust = \"fitted\"\nembeddings = true\nform = \"chinchilla\"\n";
  const std::string good = head + "[coefficients]\nE = 1.8\nA = 480\nB = 2100\nalpha = 0.35\nbeta = 0.37\n";
  EXPECT_NO_THROW((void)parse_law(good, "good.toml"));
  const auto with = [&](const std::string& what, const std::string& by) {
    std::string text = good;
    return text.replace(text.find(what), what.size(), by);
  };
  expect_law_refused("", "version must be 1");
  expect_law_refused(with("version = 1", "version = 2"), "version must be 1");
  expect_law_refused(with("alpha = 0.35", "alpha = -0.35"), "coefficients.alpha must be a number from");
  expect_law_refused(with("A = 480", "A = nan"), "bad.toml:9: coefficients.A");
  expect_law_refused(with("A = 480", "A = \"many\""), "coefficients.A");
  expect_law_refused(with("A = 480\n", ""), "coefficients.A must be given");
  expect_law_refused(with("beta = 0.37", "betta = 0.37"), "nearest: beta");
  expect_law_refused(with("\"chinchilla\"", "\"chinchila\""), "nearest: chinchilla");
  expect_law_refused(with("\"fitted\"", "\"sure\""), "trust must be");
  expect_law_refused(good + "[bootstrap]\ndraws = [[1, 2, 3]]\n", "5 numbers: E, A, B, alpha, beta");
  expect_law_refused(good + "[range]\nflops = [3, 2]\n", "the lower first");
  expect_law_refused(head.substr(0, head.find("form")) + "form = \"line\"\n[line]\npairs = [[1e9, 2e10], [1e9, 2e10]]\n",
                     "two pairs at least");
  expect_law_refused(head.substr(0, head.find("form")) + "form = \"line\"\n[line]\nvalue = 1\ntokens_per_parameter = 20\n", "exactly one");
  expect_law_refused(head.substr(0, head.find("form")) + "form = \"line\"\n[line]\npairs = [[1e9, 2e10], [1e9, 3e10]]\nexponent = 0.9\n",
                     "line.exponent is unknown here");
  EXPECT_THROW((void)find_law("epoch-2042"), UsageError);
}

}  // namespace
}  // namespace longhaul::scaling
