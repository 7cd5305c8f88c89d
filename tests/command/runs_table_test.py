#!/usr/bin/env python3
"""Tables of measured runs, as `validate`, `fit` and `plan --from-runs` read them: what is refused, what is skipped and named."""
import csv
import pathlib
import unittest

import harness
from harness import DONE, expect, json_of, refused, write

RUNS = pathlib.Path(__file__).resolve().parents[1] / "golden/runs.csv"
ON_CLUSTER = ["plan", "--model", "llama-3-8b", "--cluster", "h100x64", "--set", "batch.global_batch=128"]


class RunsFile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with RUNS.open(newline="") as file:
            reader = csv.DictReader(file)
            cls.columns, cls.row = reader.fieldnames, next(row for row in reader if row["framework"] == "megatron-lm")

    def table(self, name, *rows, columns=None):
        columns = columns or self.columns
        path = harness.SCRATCH / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([row.get(column, "") for column in columns] for row in rows)
        return path

    def refused(self, path, *says):
        with self.subTest(path.name):
            refused(self, [path.name, *says], "validate", path)
            out = harness.SCRATCH / "never.toml"
            refused(self, [path.name, *says], "fit", path, "--out", out)
            self.assertFalse(out.exists())

    def test_a_good_row_is_predicted(self):
        families = json_of(self, "validate", self.table("good.csv", self.row))["families"]
        self.assertEqual([(family["family"], family["rows"]) for family in families], [(self.row["family"], 1)])

    def test_what_is_no_table(self):
        self.refused(write("empty.csv", ""), "first line is empty")
        self.refused(write("blank.csv", "\n\n"), "first line is empty")
        self.refused(self.table("header.csv"), "no rows below the header")
        self.refused(write("binary.csv", bytes(range(256)) * 16), ":1", "no text")
        self.refused(write("utf16.csv", ",".join(self.columns).encode("utf-16")), ":1", "no text")
        self.refused(self.table("double.csv", self.row, columns=[*self.columns, "heads"]), ":1", "'heads' twice")
        self.refused(write("short.csv", ",".join(self.columns) + "\na,b\n"), ":2", "2 cells")
        self.refused(write("quote.csv", ",".join(self.columns) + '\n"a,b\n'), ":2", "quoted cell has no end")

    def test_missing_columns(self):
        for column in ("id", "layers", "seq_len", "micro_batch", "framework", "gpu"):
            path = self.table(f"no-{column}.csv", self.row, columns=[each for each in self.columns if each != column])
            refused(self, [path.name, f"no column {column}"], "validate", path)
            refused(self, [path.name, column], "fit", path, "--out", harness.SCRATCH / "unused.toml")

    def test_cells(self):
        for column, value in (("layers", "-3"), ("hidden", "nan"), ("heads", "1e400"), ("dp", "0"), ("tp", "2.5"), ("seq_len", "two"),
                              ("step_time_s", "-1"), ("step_time_s", "inf"), ("peak_memory_gib", "0"), ("micro_batch", "1e99"), ("vocab", "1e12"), ("dp", "1e7"), ("pp", "2000000")):
            path = self.table(f"cell-{column}.csv", {**self.row, column: value})
            self.refused(path, ":2", column, value)
            with self.subTest("between others", column=column, value=value):
                path = self.table(f"among-{column}.csv", {**self.row, "id": "before"}, {**self.row, "id": "bad", column: value}, self.row)
                skipped = json_of(self, "validate", path)["skipped"]
                self.assertEqual([(row["line"], row["id"]) for row in skipped["first"]], [(3, "bad")])
                self.assertIn(column, skipped["first"][0]["reason"])
                refused(self, [":3", column, value], "validate", path, "--strict")

    def test_a_fit_leaves_out_and_names_what_it_cannot_read(self):
        path = self.table("bad-among-good.csv", self.row, {**self.row, "id": "bad", "global_batch": "0"})
        expect(self, DONE, "fit", path, "--folds", "0", "--out", harness.SCRATCH / "of-one.toml",
               says=["1 row is skipped, global_batch is not a whole number of at least 1: line 3 (bad)"])
        shown = expect(self, DONE, "validate", path).stdout
        self.assertIn("skipped: 1 of 2 rows\n  line 3, bad: global_batch is not a whole number of at least 1", shown)

    def test_rows_of_one_id_and_rows_seen_are_said(self):
        done = expect(self, DONE, "validate", self.table("twice.csv", self.row, self.row), says=[f"2 rows have the id '{self.row['id']}'"])
        self.assertIn("rows that a fit has seen flatter it", done.stdout)

    def test_a_row_that_cannot_be_predicted_says_why(self):
        path = self.table("contradiction.csv", {**self.row, "num_gpus": "7"})
        skipped = json_of(self, "validate", path, "--rows")["rows"][0]["skipped"]
        self.assertIn("is not num_gpus = 7", skipped)

    def test_what_cannot_be_read(self):
        for path in (harness.SCRATCH / "nowhere.csv", harness.SCRATCH):
            self.refused(path, "cannot")
            refused(self, [path.name, "cannot"], *ON_CLUSTER, "--from-runs", path)

    def test_options(self):
        path = self.table("options.csv", self.row)
        for folds in ("0", "1", "-3", "101", "x"):
            refused(self, ["--folds"], "validate", path, "--folds", folds)
        refused(self, ["nonsense", "COLUMN=VALUE"], "validate", path, "--leave-out", "nonsense")
        refused(self, ["no column colour"], "validate", path, "--leave-out", "colour=red")
        refused(self, ["many", "not a number"], "validate", path, "--leave-out", "num_gpus>=many")
        refused(self, ["no row", "matches"], "validate", path, "--leave-out", "family=nowhere")


if __name__ == "__main__":
    unittest.main(verbosity=2)
