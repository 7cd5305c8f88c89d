#!/usr/bin/env python3
"""fit of a table of losses, and scale, as a user runs them."""
import csv
import math
import pathlib
import random
import unittest

import harness
from harness import DONE, USAGE, expect, json_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
POINTS = str(ROOT / "tests/golden/chinchilla_fig4_epoch.csv")
# Besiroglu et al. 2024, arXiv 2404.10102: coefficient, standard error.
PUBLISHED = {"E": (1.81686, 0.0257), "A": (482.006, 124.5), "B": (2085.43, 1293.3), "alpha": (0.34781, 0.0154), "beta": (0.36585, 0.0206)}


def table(name, header, rows):
    path = harness.SCRATCH / name
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return str(path)


def planted():
    """Losses of E 1.7, A 400, B 1500, alpha 0.33, beta 0.36 at 8 sizes and 6 lengths."""
    for i in range(8):
        for k in range(6):
            n, d = 5e7 * 2**i, 1e9 * 3**k
            yield n, d, 1.7 + 400 / n**0.33 + 1500 / d**0.36


class Fit(unittest.TestCase):
    def test_chinchillas_points_give_the_published_refit(self):
        law = str(harness.SCRATCH / "law.toml")
        out = json_of(self, "fit", POINTS, "--bootstrap", "100", "--out", law, "--json")
        self.assertEqual((out["points"], out["fit"]["points"], out["fit_of_all_points"]["points"]), (245, 240, 245))
        for name, (value, error) in PUBLISHED.items():
            found = out["fit"]["coefficients"][name]
            self.assertLess(abs(found["value"] - value), error, name)
            self.assertLess(abs(math.log(found["standard_error"] / error)), math.log(1.6), name)
        every = out["fit_of_all_points"]["coefficients"]
        self.assertAlmostEqual(every["E"]["value"], 1.891, delta=0.003)
        self.assertAlmostEqual(every["beta"]["value"], 0.453, delta=0.003)
        self.assertEqual(len(out["residuals"]), 240)
        self.assertTrue(any(optimum["extrapolation"] for optimum in out["optima"]))
        scale = json_of(self, "scale", "--flops", "1e21", "--law", law, "--json")
        self.assertEqual(scale["chosen_law"], "law")
        mine = next(row for row in scale["laws"] if row["law"] == "law")
        low, high = mine["interval_80"]["parameters"]
        self.assertTrue(low < mine["parameters"] < high)

    def test_text_shows_both_fits_and_the_rule(self):
        text = expect(self, DONE, "fit", POINTS, "--bootstrap", "0").stdout
        for says in ("240 points, without the 5", "all 245 points", "extrapolation", "largest residuals"):
            self.assertIn(says, text)
        text = expect(self, DONE, "fit", POINTS, "--bootstrap", "0", "--drop-lowest-tokens-per-parameter", "0").stdout
        self.assertNotIn("without", text)

    def test_planted_coefficients_and_a_plot(self):
        path, page = table("planted.csv", ["params", "tokens", "val_loss"], planted()), harness.SCRATCH / "residuals.html"
        out = json_of(self, "fit", path, "--bootstrap", "0", "--plot", str(page), "--json")
        self.assertAlmostEqual(out["fit"]["coefficients"]["alpha"]["value"], 0.33, delta=1e-3)
        self.assertAlmostEqual(out["fit"]["coefficients"]["E"]["value"], 1.7, delta=1e-3)
        self.assertIn("<svg", page.read_text())

    def test_noise_has_no_made_up_figures(self):
        losses = random.Random(3)
        rows = [(n, d, losses.uniform(2, 4)) for n in (1e8, 3e8, 1e9, 3e9) for d in (1e9, 3e9, 1e10, 3e10)]
        path = str(harness.SCRATCH / "noise.toml")
        for form in ("chinchilla", "kaplan"):
            done = expect(self, DONE, "fit", table("noise.csv", ["n", "d", "loss"], rows), "--form", form, "--bootstrap", "50", "--out", path)
            self.assertNotRegex(done.stdout, r"\b(nan|inf)\b")
            self.assertIn("no optimum is given", done.stdout)
            self.assertNotRegex(expect(self, DONE, "scale", "--flops", "1e21", "--law", path).stdout, r"\b(nan|inf)\b")

    def test_bad_input(self):
        same_n = [(1e9, d, loss) for _, d, loss in planted()]
        ratio = [(n, 20 * n, loss) for n, _, loss in planted()]
        for says, name, header, rows in (
            ("neither points of a scaling law nor measured runs", "t1.csv", ["a", "b"], [[1, 2]]),
            ("the same loss", "t0.csv", ["n", "d", "loss"], [(n, d, 3) for n, d, _ in planted()]),
            ("at least 8", "t2.csv", ["n", "d", "loss"], list(planted())[:5]),
            ("alpha cannot be told", "t3.csv", ["n", "d", "loss"], same_n),
            ("cannot be told apart", "t4.csv", ["n", "d", "loss"], ratio),
            ("t5.csv:2: loss", "t5.csv", ["n", "d", "loss"], [[1e9, 2e10, "nan"]]),
            ("t6.csv:2: n", "t6.csv", ["n", "d", "loss"], [[-1, 2e10, 2]]),
            ("contradicts 6", "t7.csv", ["n", "d", "flops", "loss"], [[1e9, 2e10, 1e10, 2]]),
            ("no points", "t8.csv", ["n", "d", "loss"], []),
        ):
            with self.subTest(says):
                expect(self, USAGE, "fit", table(name, header, rows), says=(says,))
        expect(self, USAGE, "fit", POINTS, "--form", "chinchila", says=("nearest: chinchilla",))
        expect(self, USAGE, "fit", POINTS, "--bootstrap", "3", says=("fewer than 20 refits",))
        expect(self, USAGE, "fit", POINTS, "--drop-lowest-tokens-per-parameter", "lots", says=("2%",))
        expect(self, USAGE, "fit", str(ROOT / "tests/golden/runs.csv"), says=("--out is required",))


class Scale(unittest.TestCase):
    def test_a_budget_of_flops(self):
        out = json_of(self, "scale", "--flops", "1e21", "--json")
        laws = {row["law"]: row for row in out["laws"]}
        rule = laws["twenty-tokens-per-parameter"]  # accounting D5
        self.assertAlmostEqual(rule["parameters"], 2.887e9, delta=5e5)
        self.assertAlmostEqual(rule["tokens"], 5.774e10, delta=5e6)
        for row in out["laws"]:
            self.assertAlmostEqual(6 * row["parameters"] * row["tokens"] / 1e21, 1, delta=1e-6)
            self.assertTrue(row["source"] and row["trust"])
        low, high = laws["epoch-2024"]["interval_80"]["tokens_per_parameter"]
        self.assertTrue(low < 20 < high)

    def test_the_copied_square_root_is_explained(self):
        expect(self, USAGE, "scale", "--flops", "1e21", "--law", "0.7sqrt", says=("5.88", "3.2 times too few tokens"))

    def test_serving_makes_it_smaller(self):
        before = 1e30
        for tokens in ("100B", "1T", "10T"):
            out = json_of(self, "scale", "--flops", "1e22", "--served-tokens", tokens, "--json")["serving"]
            self.assertLess(out["with_serving"]["parameters"], min(before, out["compute_optimal"]["parameters"]))
            self.assertLess(out["with_serving"]["lifetime_flops"], out["compute_optimal"]["lifetime_flops"])
            self.assertAlmostEqual(out["with_serving"]["loss"], out["compute_optimal"]["loss"], delta=1e-6)
            before = out["with_serving"]["parameters"]
        out = json_of(self, "scale", "--flops", "1e22", "--served-tokens", "1T", "--lifetime", "--json")["serving"]
        self.assertAlmostEqual(out["with_serving"]["lifetime_flops"] / 1e22, 1, delta=1e-6)

    def test_the_suggested_model_is_taken_by_plan(self):
        path = str(harness.SCRATCH / "suggested.toml")
        out = json_of(self, "scale", "--flops", "1e20", "--out-model", path, "--json")
        plan = json_of(self, "plan", "--model", path, "--cluster", "h100x8", "--json")
        self.assertEqual(plan["parameters"]["total"], out["suggestion"]["counted_parameters"])

    def test_on_a_cluster(self):
        out = json_of(self, "scale", "--days", "2", "--cluster", "h100x32", "--price", "2", "--tokens-per-step", "1M", "--json")
        shapes = out["cluster"]["shapes"]
        best = shapes[out["cluster"]["best"]]
        self.assertEqual(best["loss"], min(row["loss"] for row in shapes if "loss" in row))
        self.assertAlmostEqual(best["device_hours"], 2 * 24 * 32, delta=1e-6)
        self.assertAlmostEqual(best["dollars"], 2 * 24 * 32 * 2, delta=1e-4)
        self.assertIsNone(best["kilowatt_hours"])
        self.assertAlmostEqual(out["budget"]["flops"] / best["flops"], 1, delta=1e-9)

    def test_warnings(self):
        text = expect(self, DONE, "scale", "--flops", "1e25", "--unique-tokens", "100B").stdout
        self.assertIn("epochs over 100 B tokens", text)
        self.assertIn("extrapolation", text)
        text = expect(self, DONE, "scale", "--flops", "1e21", "--tokens-per-step", "1T").stdout
        self.assertIn("longer than the whole run", text)
        self.assertIn("not given", expect(self, DONE, "scale", "--flops", "1e20", "--cluster", "h100x8").stdout)
        training = lambda flops: json_of(self, "scale", "--flops", flops, "--json")["training"]["deepseek_llm"]["extrapolates"]
        self.assertEqual([training(flops) for flops in ("1e15", "1e18", "1e21")], [True, False, True])  # fitted on 1e17 to 2e19
        text = expect(self, DONE, "scale", "--flops", "1e20", "--tokens-per-step", "64M").stdout
        self.assertIn("by the square root", text)
        self.assertIn("linear rule was found to hold up to about 8 times", text)  # accounting A6

    def test_a_law_without_losses_suggests_alone(self):
        rule = ("--law", "twenty-tokens-per-parameter")
        for more in (("--cluster", "h100x64"), ("--served-tokens", "2T")):
            expect(self, USAGE, "scale", "--flops", "1e21", *rule, *more, says=("compare losses", "epoch-2024"))
        path = harness.SCRATCH / "rule.toml"
        out = json_of(self, "scale", "--flops", "1e21", *rule, "--out-model", str(path), "--json")
        self.assertIn("by twenty-tokens-per-parameter", path.read_text())
        self.assertAlmostEqual(out["suggestion"]["wanted"]["tokens_per_parameter"], 20, delta=1e-6)

    def test_any_number_of_devices(self):
        out = json_of(self, "scale", "--flops", "1e21", "--cluster", "h100x24", "--json")
        shapes = out["cluster"]["shapes"]
        self.assertIn("layout", shapes[out["cluster"]["best"]])
        expect(self, USAGE, "scale", "--flops", "1e21", "--watts", "700", says=("--cluster",))

    def test_laws_are_listed(self):
        self.assertIn("0.7", expect(self, USAGE, "scale", "--flops", "1e21", "--law", "sqrt0.7", says=("0.7",)).stderr)
        listed = json_of(self, "scale", "--laws")["laws"]
        self.assertGreaterEqual(len(listed), 9)
        for law in listed:
            self.assertIn(law["trust"], ("verified", "secondary", "fitted", "rule"))

    def test_bad_input(self):
        for says, *arguments in (
            ("give one budget",),
            ("give one budget", "--flops", "1e21", "--days", "3", "--cluster", "h100"),
            ("need --cluster", "--days", "3"),
            ("needs --price", "--dollars", "3", "--cluster", "h100"),
            ("--flops", "--flops", "nan"),
            ("--flops", "--flops", "-1"),
            ("--flops", "--flops", "1e300"),
            ("nearest: epoch-2024", "--flops", "1e21", "--law", "epoch-2042"),
            ("--served-tokens 'x'", "--flops", "1e21", "--served-tokens", "x"),
            ("need --served-tokens", "--flops", "1e21", "--lifetime"),
            ("more than the whole budget", "--flops", "1e12", "--served-tokens", "10T", "--lifetime"),
            ("--vocab '0'", "--flops", "1e21", "--vocab", "0"),
            ("no cluster named", "--flops", "1e21", "--cluster", "h1000"),
        ):
            with self.subTest(arguments):
                expect(self, USAGE, "scale", *arguments, says=(says,))


if __name__ == "__main__":
    unittest.main()
