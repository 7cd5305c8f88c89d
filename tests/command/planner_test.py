#!/usr/bin/env python3
"""The planner's verbs as a user runs them: what they explain and draw, and that bad input ends in a sentence with a fix."""
import json
import math
import pathlib
import unittest

import harness
from harness import DONE, expect, json_of, refused, write

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = ROOT / "tests/golden/runs.csv"
ON_CLUSTER = ["plan", "--model", "llama-3-8b", "--cluster", "h100x64", "--set", "batch.global_batch=128"]
LAYOUT = ["--layout", "dp=4,tp=4,pp=4,zero=1,sp=1"]


class Defaults(unittest.TestCase):
    def test_a_model_and_a_cluster_are_enough(self):
        named = ["--model", "llama-3-8b", "--cluster", "h100x64"]
        said = expect(self, DONE, "plan", *named, "--json", says=["no batch given: 1024 sequences of 4096", "no layout given: dp="])
        plan = json.loads(said.stdout)
        self.assertEqual(plan["batch"]["global_batch"] * plan["batch"]["sequence_length"], 4 << 20)
        best = json.loads(expect(self, DONE, "search", *named, "--json").stdout)["best"][0]
        self.assertEqual(plan["layout"], best["layout"])
        self.assertEqual(plan["step"]["seconds"], best["step_seconds"])
        self.assertTrue(plan["memory"]["fit"]["fits"])

    def test_an_odd_number_of_devices_divides_the_batch(self):
        plan = json.loads(expect(self, DONE, "plan", "--model", "llama-3-8b", "--cluster", "h100x48", "--json").stdout)
        self.assertEqual(plan["batch"]["global_batch"] % 3, 0)


class RunFiles(unittest.TestCase):
    """[parallel] of a run file has the keys of --layout: each reaches the plan of a cluster or is refused."""
    # One value of each key, and what else it needs to mean something on 8 devices.
    VALUES = {"dp": (8, {}), "tp": (8, {}), "pp": (8, {}), "cp": (8, {}), "ep": (2, {}), "zero": (3, {"dp": 8}),
              "shard": (4, {"dp": 8, "zero": 3}), "virtual": (2, {"pp": 8}), "sp": (1, {"tp": 8}), "recompute": ("layer", {}),
              "schedule": ("gpipe", {"pp": 8}), "stages": ("15+17", {"pp": 2, "dp": 4}), "virtual_tensor": (2, {}),
              "virtual_sequence": (2, {})}
    REFUSED = ("virtual_tensor", "virtual_sequence")  # orders of sums, which this version's one rank does not cut

    def run_file(self, **parallel):
        toml = lambda value: json.dumps(value)
        text = "[run]\nsteps = 100\n[model]\nname = \"mixtral-8x7b\"\n[batch]\nglobal_batch = 64\n[parallel]\n"
        return write("layout/run.toml", text + "".join(f"{key} = {toml(value)}\n" for key, value in parallel.items()))

    def planned(self, run_file, *more):
        done = expect(self, DONE, "plan", run_file, "--cluster", "h200x8", "--json", *more)
        return json.loads(done.stdout), done.stderr

    def test_each_key_reaches_the_plan_or_is_refused(self):
        keys = [option["key"] for option in json_of(self, "config", "--options", "--json")["options"] if option["table"] == "parallel"]
        self.assertEqual(set(keys), set(self.VALUES))
        without, said = self.planned(self.run_file())
        self.assertNotIn("[parallel]", said)
        for key in keys:
            value, needs = self.VALUES[key]
            with self.subTest(key):
                run_file = self.run_file(**needs, **{key: value})
                if key in self.REFUSED:
                    refused(self, [f"parallel.{key} = {value} needs"], "plan", run_file, "--cluster", "h200x8")
                    continue
                plan, said = self.planned(run_file)
                self.assertIn(f"{key}={value}", plan["layout"].split(","))
                self.assertIn("[parallel]", said)
                self.assertNotEqual(plan["layout"], without["layout"], "a value that the plan has anyway proves nothing")
                found = json_of(self, "search", run_file, "--cluster", "h200x8", "--top", "3", "--json")
                for row in found["best"]:
                    self.assertIn(f"{key}={value}", row["layout"].split(","))

    def test_a_layout_is_the_same_in_a_run_file_and_on_the_command_line(self):
        layout = {"dp": 2, "tp": 2, "pp": 2, "zero": 1, "virtual": 2, "sp": 1, "recompute": "selective"}
        in_file, said = self.planned(self.run_file(**layout))
        self.assertIn("the layout is that of [parallel]", said)
        text = ",".join(f"{key}={value}" for key, value in layout.items())
        given, said = self.planned(self.run_file(tp=8), "--layout", text)
        self.assertIn("--layout replaces tp=8 of [parallel]", said)
        self.assertEqual(in_file, given)
        self.assertIn("schedule=interleaved", in_file["layout"])  # which virtual > 1 implies in both

    def test_what_cannot_be_is_refused(self):
        on = ["--cluster", "h200x8"]
        refused(self, ["4 ranks, the cluster has 8 devices"], "plan", self.run_file(tp=4), *on)
        refused(self, ["no layout of 8 devices can have ep=3", "experts"], "plan", self.run_file(ep=3), *on)
        refused(self, ["no layout is left", "or dp=3 of [parallel]"], "search", self.run_file(dp=3), *on)
        refused(self, ["run.toml:8: parallel.stages = \"1+x\" is not a list of whole numbers"], "plan", self.run_file(stages="1+x"), *on)

    def test_allow_replaces_what_the_run_file_gives(self):
        run_file = self.run_file(recompute="layer", tp=2)
        done = expect(self, DONE, "search", run_file, "--cluster", "h200x8", "--allow", "recompute=none", "--json",
                      says=["every layout considered has tp=2 of [parallel]"])
        for row in json.loads(done.stdout)["best"]:
            self.assertIn("tp=2", row["layout"])
            self.assertNotIn("recompute", row["layout"])

    def test_a_resolved_run_file_keeps_what_differs_from_one_rank(self):
        resolved = lambda **parallel: write("layout/resolved.toml", expect(self, DONE, "config", self.run_file(**parallel)).stdout)
        self.assertEqual(self.planned(resolved())[0], self.planned(self.run_file())[0])
        plan, said = self.planned(resolved(recompute="layer"))
        self.assertIn("every layout considered has recompute=layer of [parallel]", said)
        self.assertIn("recompute=layer", plan["layout"])
        self.assertNotIn("recompute", self.planned(self.run_file(recompute="none"))[0]["layout"])

    def test_what_does_not_depend_on_the_hardware_is_the_same_in_both_documents(self):
        run_file = write("layout/small.toml", "[run]\nsteps = 100\n[model]\nlayers = 2\nwidth = 64\nheads = 4\nvocab = 256\n")
        machine, cluster = (json_of(self, "plan", run_file, *on) for on in ([], ["--cluster", "h100x1"]))
        for key in ("parameters", "flops", "tokens", "steps"):
            self.assertEqual(machine[key], cluster[key], key)
        self.assertEqual(machine["layout"], "dp=1,tp=1,pp=1")
        for plan in (machine, cluster):
            self.assertAlmostEqual(sum(plan["step"]["split"].values()), plan["step"]["seconds"], delta=1e-9 * plan["step"]["seconds"])
            self.assertEqual(plan["tokens"]["per_step"], plan["batch"]["global_batch"] * plan["batch"]["sequence_length"])
            self.assertAlmostEqual(plan["flops"]["run"], plan["flops"]["per_token"] * plan["tokens"]["run"], delta=1)

    def test_emit_takes_it_too(self):
        run_file = self.run_file(dp=4, tp=2, zero=1, sp=1)
        out = json_of(self, "emit", "--for", "megatron", run_file, "--cluster", "h200x8", "--json")
        self.assertEqual(out["layout"], "dp=4,tp=2,pp=1,zero=1,sp=1")


class Layouts(unittest.TestCase):
    def refused(self, layout, *says):
        with self.subTest(layout):
            refused(self, says, *ON_CLUSTER, "--layout", layout)

    def test_what_is_no_layout(self):
        for layout in ("dp", "=8", "dp=64,,tp=1", "dp=64;tp=1"):
            self.refused(layout, "write for example dp=8" if layout != "dp=64;tp=1" else "64;tp=1")
        self.refused("dpp=64", "'dpp' is unknown", "nearest: dp")
        self.refused("dp=64,dp=64", "dp is given twice")
        self.refused("dp=64,schedule=1fb1", "1f1b", "zb-h1")
        self.refused("dp=64,recompute=selectiv", "nearest: selective")
        self.refused("", "--layout", "empty")

    def test_sizes_that_are_none(self):
        for size in ("-1", "", "1e12", "1000000000000", "nan", "1.5", "x"):
            for key in ("dp", "tp", "pp", "cp", "ep", "virtual", "shard"):
                least = 0 if key == "shard" else 1
                self.refused(f"{key}={size}", f"{key} = '{size}'", f"allowed: integer ≥ {least} and ≤ 1048576")
        self.refused("dp=0", "dp = '0' is out of range", "integer ≥ 1")
        self.refused("dp=64,zero=4", "zero = '4'", "integer ≥ 0 and ≤ 3")
        self.refused("dp=64,sp=2", "sp = '2'", "integer ≥ 0 and ≤ 1")
        self.refused("dp=1048576,tp=1048576", "1048576 ranks")

    def test_contradictions_name_field_and_fix(self):
        self.refused("dp=8", "8 ranks", "the cluster has 64 devices", "dp=64")
        self.refused("dp=3,tp=3", "plan for 9 devices")
        self.refused("tp=64", "tp = 64 does not divide heads = 32; 32 does")
        self.refused("dp=4,tp=16,sp=1,cp=1,pp=1,ep=2", "ep = 2", "no experts", "ep=1")
        self.refused("pp=64", "64 stages for 32 layers", "at most 32")
        self.refused("dp=16,pp=4,virtual=2,schedule=1f1b", "virtual = 2 needs schedule=interleaved")
        self.refused("dp=16,pp=4,schedule=interleaved", "virtual of at least 2")
        self.refused("dp=16,pp=4,stages=8+8", "stages lists 2 numbers", "4 stages")
        self.refused("dp=16,pp=4,stages=8+8+8+7", "31 layers", "the model has 32", "add 1")
        self.refused("dp=64,shard=8", "zero = 0 shards nothing", "zero=1")
        self.refused("dp=64,zero=1,shard=7", "shard = 7", "4 and 8")
        self.refused("dp=16,pp=4,stages=8+8+8+", "stages = '8+8+8+' is not a list of whole numbers")

    def test_all_contradictions_at_once(self):
        said = refused(self, [], *ON_CLUSTER, "--layout", "dp=1,tp=48,cp=3").stderr
        for field in ("144 ranks", "tp = 48 does not divide heads", "ffn_width", "cp = 3 does not divide sequence_length"):
            self.assertIn(field, said)

    def test_batch_that_does_not_divide(self):
        refused(self, ["batch.global_batch = 100", "nearest: 128"], "plan", "--model", "llama-3-8b", "--cluster", "h100x64", "--set",
                "batch.global_batch=100", "--set", "batch.virtual_ranks=1", "--layout", "dp=64")

    def test_heads_that_do_not_divide_the_width(self):
        refused(self, ["heads = 40 does not divide width = 5140"], "plan", "--model", "gpt3-13b", "--cluster", "a100x64", "--set",
                "batch.global_batch=128")


class Facts(unittest.TestCase):
    def test_numbers_out_of_range(self):
        for option, low in (("--price", "1e-06"), ("--mtbf-hours", "0.01"), ("--save-seconds", "0.001")):
            for value in ("0", "-1", "1e300", "1e-9"):
                with self.subTest(option=option, value=value):
                    refused(self, [option, value, "allowed", low], *ON_CLUSTER, option, value)
            for value in ("nan", "inf", "ten", ""):
                with self.subTest(option=option, value=value):
                    refused(self, [option], *ON_CLUSTER, option, value)

    def test_tokens(self):
        for value in ("-5", "nan", "0", "1e12", "1.5", "99999T", "300 BB"):
            with self.subTest(value):
                refused(self, ["--tokens", value, "300B"], *ON_CLUSTER, "--tokens", value)

    def test_saves_slower_than_failures(self):
        refused(self, ["--save-seconds = 7200", "--mtbf-hours = 1"], *ON_CLUSTER, "--mtbf-hours", "1", "--save-seconds", "7200")

    def test_failures_need_both_figures(self):
        refused(self, ["--mtbf-hours without --save-seconds"], *ON_CLUSTER, "--mtbf-hours", "12")
        refused(self, ["--save-seconds without --mtbf-hours"], *ON_CLUSTER, "--save-seconds", "60")

    def test_options_of_a_cluster_need_one(self):
        for option in (["--layout", "dp=2"], ["--tokens", "1B"], ["--price", "2"], ["--trace", "t.json"], ["--framework", "nanotron"]):
            with self.subTest(option[0]):
                refused(self, [option[0], "--cluster"], "plan", "--model", "llama-3-8b", *option)

    def test_unknown_names(self):
        refused(self, ["foo", "known:", "megatron-deepspeed", "torchtitan"], *ON_CLUSTER, "--framework", "foo")
        refused(self, ["nearest: nanotron"], *ON_CLUSTER, "--framework", "nanotrom")
        refused(self, ["bf15", "bf16"], *ON_CLUSTER, "--precision", "bf15")
        refused(self, ["no verb 'shw'", "nearest: show"], "cluster", "shw", "h100")
        refused(self, ["no verb 'serach'", "nearest: search"], "serach")
        refused(self, ["llama-3-9b", "nearest: llama-3-8b"], "plan", "--model", "llama-3-9b", "--cluster", "h100x64")
        refused(self, ["h101", "nearest: h100"], "plan", "--model", "llama-3-8b", "--cluster", "h101x64")
        refused(self, ["memory.optmizer", "nearest: memory.optimizer", "list"], *ON_CLUSTER, "--explain", "memory.optmizer")

    def test_numbers_of_devices(self):
        for count in ("0", "99999999999"):
            refused(self, ["number of devices", "from 1 to"], "plan", "--model", "llama-3-8b", "--cluster", f"h100x{count}")

    def test_a_framework_with_additions_is_known(self):
        expect(self, DONE, *ON_CLUSTER, "--framework", "torchtitan+compile")


class ClusterFile(unittest.TestCase):
    GOOD = 'name = "Mine"\nsource = "me"\npeak_tflops = {bf16 = 100}\nmemory_gb = 80\nmemory_tb_per_s = 2\nlink_gb_per_s = 100\n'

    def refused(self, text, *says):
        with self.subTest(text):
            path = write("cluster/mine.toml", text)
            refused(self, says, "plan", "--model", "llama-3-8b", "--cluster", path)

    def test_missing_and_malformed_fields(self):
        self.refused('source = "s"\n', "mine.toml:1", "name")
        self.refused('name = "X"\n', "source")
        self.refused('name = "X"\nsource = "s"\n', "peak_tflops", "bf16 = 312")
        self.refused('name = "X"\nsource = "s"\npeak_tflops = 300\n', "peak_tflops")
        for number in ("-3", "0", "nan", "inf", '"80"'):
            self.refused(f'name = "X"\nsource = "s"\npeak_tflops = {{bf16 = {number}}}\n', "mine.toml:3", "peak_tflops.bf16", "above 0")
            self.refused(self.GOOD.replace("memory_gb = 80", f"memory_gb = {number}"), "mine.toml:4", "memory_gb", "above 0")
        for number in ("0", "2.5", "-1", "1e9"):
            self.refused(self.GOOD + f"[node]\ndevices = {number}\n", "mine.toml:8", "node.devices")
        self.refused(self.GOOD + "memry_gb = 80\n", "mine.toml:7", "memry_gb", "nearest: memory_gb")
        self.refused(self.GOOD + "[node]\nnetwork_gb = 3\n", "node.network_gb", "nearest: network_gb_per_s")
        self.refused("= = ", "mine.toml:1")
        self.refused('accelerator = "h1000"\nsource = "s"\n', "h1000", "nearest: h100")
        self.refused('accelerator = "h100"\n', "source")
        refused(self, ["no cluster file nowhere.toml"], "plan", "--model", "llama-3-8b", "--cluster", "nowhere.toml")

    def test_peak_that_the_precision_needs(self):
        path = write("cluster/only-fp8.toml", self.GOOD.replace("bf16", "fp8"))
        refused(self, ["no peak for bf16", "it has fp8"], "plan", "--model", "llama-3-8b", "--cluster", path)

    def test_its_figures_are_the_ones_used(self):
        path = write("cluster/mine.toml", self.GOOD + "[node]\ndevices = 4\nnetwork_gb_per_s = 10\n")
        slow = ["plan", "--model", "llama-3.2-1b", "--cluster", f"{path}x8", "--set", "batch.global_batch=64", "--layout"]
        plan = json_of(self, *slow, "dp=8")
        self.assertEqual(plan["step"]["peak_flops"], 8 * 100e12)
        self.assertEqual(plan["cluster"]["devices_per_node"], 4)
        write("cluster/mine.toml", self.GOOD + "[node]\ndevices = 4\nnetwork_gb_per_s = 100\n")
        faster = json_of(self, *slow, "dp=8")
        self.assertLess(faster["step"]["split"]["data_parallel_seconds"], plan["step"]["split"]["data_parallel_seconds"])
        # A system of the catalogue brings its own network.
        own = write("cluster/system.toml", 'name = "S"\naccelerator = "gh200"\nsource = "me"\n[node]\ndevices = 4\nnetwork_gb_per_s = 5\n')
        usual = json_of(self, "plan", "--model", "llama-3.2-1b", "--cluster", "gh200x8", "--set", "batch.global_batch=64")
        throttled = json_of(self, "plan", "--model", "llama-3.2-1b", "--cluster", f"{own}x8", "--set", "batch.global_batch=64")
        self.assertGreater(throttled["step"]["seconds"], usual["step"]["seconds"])


class CalibrationFile(unittest.TestCase):
    PARAMETER = '[[parameter]]\nname = "memory.weights"\nvalue = 2\nunit = "B per parameter"\nmeaning = "weights"\n'

    def refused(self, text, *says):
        with self.subTest(text):
            path = write("calibration.toml", text)
            refused(self, ["calibration.toml", *says], "validate", RUNS, "--calibration", path)

    def test_keys_and_values(self):
        for number in ("nan", "inf", '"two"', "true"):
            self.refused(self.PARAMETER.replace("= 2", f"= {number}"), ":3", "parameter.value", "number")
        self.refused(self.PARAMETER + "valu = 3\n", ":6", "parameter.valu", "known", "value")
        self.refused(self.PARAMETER.replace("parameter]", "paramter]"), ":1", "paramter", "[[parameter]]")
        self.refused(self.PARAMETER.replace("name", "nam"), "name")
        self.refused(self.PARAMETER + "spread = -1\n", ":6", "parameter.spread")
        self.refused(self.PARAMETER + "framework = 3\n", ":6", "parameter.framework")
        self.refused(self.PARAMETER * 2, ":7", "parameter.name", "memory.weights")
        self.refused("parameter = 3\n", "[[parameter]]")
        self.refused("= = ", ":1")
        self.refused('[[residuals]]\nof = "time"\nkind = "k"\nmedian_abs = 1\nlow = 2\nhigh = 1\nrows = 3\n', "low")

    def test_what_cannot_be_read(self):
        for verb in (["validate", RUNS], ["fit", RUNS, "--out", harness.SCRATCH / "never.toml"], ON_CLUSTER,
                     ["search", *ON_CLUSTER[1:], "--tokens", "1B"]):
            with self.subTest(verb[0]):
                refused(self, ["nowhere.toml", "cannot open"], *verb, "--calibration", harness.SCRATCH / "nowhere.toml")

    def test_an_empty_folder(self):
        folder = harness.SCRATCH / "no-calibration"
        folder.mkdir()
        refused(self, ["no file *.toml"], "validate", RUNS, "--calibration", folder)


class Explanations(unittest.TestCase):
    ARGUMENTS = [*ON_CLUSTER, *LAYOUT, "--price", "2.5", "--mtbf-hours", "48", "--save-seconds", "60", "--tokens", "300B",
                 "--unique-tokens", "100B"]

    def test_every_line_gives_the_figure_of_the_plan(self):
        plan = json_of(self, *self.ARGUMENTS)
        ids = [line["id"] for line in json_of(self, *self.ARGUMENTS, "--explain", "list")["explanations"]]
        self.assertGreater(len(ids), 50)
        compared = 0
        for line in ids:
            explained = json_of(self, *self.ARGUMENTS, "--explain", line)
            self.assertTrue(explained["formula"] and explained["source"] and explained["substituted"], line)
            if not explained["pointer"]:
                continue
            figure = plan
            for key in explained["pointer"].strip("/").split("/"):
                figure = figure[int(key) if isinstance(figure, list) else key]
            self.assertTrue(math.isclose(figure, explained["value"], rel_tol=1e-12), line)
            compared += 1
        self.assertGreater(compared, 40)

    def test_text_has_formula_source_and_levers(self):
        shown = expect(self, DONE, *self.ARGUMENTS, "--explain", "memory.optimizer").stdout
        for part in ("formula", "here", "parameters ÷ 4 =", "Rajbhandari", "zero=0"):
            self.assertIn(part, shown)

    def test_traps_are_named(self):
        self.assertIn("28,672 GB", expect(self, DONE, *self.ARGUMENTS, "--explain", "devices_needed").stdout)
        self.assertIn("1.4·√C is wrong", expect(self, DONE, *self.ARGUMENTS, "--explain", "run.tokens_per_parameter").stdout)

    def test_a_lever_is_the_plan_with_that_layout(self):
        levers = {lever["change"]: lever["value"] for lever in json_of(self, *self.ARGUMENTS, "--explain", "memory.peak")["levers"]}
        other = [argument.replace("zero=1", "zero=3") for argument in self.ARGUMENTS]
        self.assertAlmostEqual(levers["zero=3"], json_of(self, *other)["memory"]["peak_bytes_per_rank"], delta=1)

    def test_on_this_machine(self):
        run_file = harness.write_run("explain")
        plan = json_of(self, "plan", run_file)
        for line, key in (("memory.weights", "weights_bytes"), ("memory.moments", "moments_bytes"), ("memory.activations", "activations_bytes")):
            self.assertEqual(json_of(self, "plan", run_file, "--explain", line)["value"], plan["memory"]["lines_at_peak"][key], line)
        refused(self, ["nearest: memory.moments"], "plan", run_file, "--explain", "memory.moment")


class Traces(unittest.TestCase):
    def trace(self, *arguments):
        path = harness.SCRATCH / "trace.json"
        plan = json_of(self, *ON_CLUSTER, *arguments, "--trace", path)
        return plan, json.loads(path.read_text())

    def check(self, plan, trace):
        """The Trace Event Format's rules for complete events: slices of one track nest, and all ranks end with the step."""
        tracks, ends = {}, {}
        for event in trace["traceEvents"]:
            self.assertIn(event["ph"], "XMC")
            self.assertIsInstance(event["pid"], int)
            if event["ph"] == "C":
                self.assertTrue(all(isinstance(value, (int, float)) for value in event["args"].values()))
            if event["ph"] != "X":
                continue
            begin, length = round(event["ts"] * 1000), round(event["dur"] * 1000)
            self.assertGreaterEqual(begin, 0)
            self.assertGreaterEqual(length, 0)
            tracks.setdefault((event["pid"], event["tid"]), []).append((begin, -(begin + length), event["name"]))
            ends[event["pid"]] = max(ends.get(event["pid"], 0), begin + length)
        for slices in tracks.values():
            open_ends = []
            for begin, negative_end, name in sorted(slices):
                while open_ends and open_ends[-1] <= begin:
                    open_ends.pop()
                self.assertTrue(not open_ends or -negative_end <= open_ends[-1], name)
                open_ends.append(-negative_end)
        for end in ends.values():
            self.assertAlmostEqual(end * 1e-9, plan["step"]["seconds"], delta=1e-8)
        return ends

    def test_slices_nest_and_end_with_the_step(self):
        for arguments in (LAYOUT, [*LAYOUT, "--framework", "nanotron"], ["--layout", "dp=64,zero=3", "--framework", "torchtitan"]):
            with self.subTest(arguments):
                plan, trace = self.trace(*arguments)
                ends = self.check(plan, trace)
                self.assertEqual(len(ends), 4 if arguments[1] == LAYOUT[1] else 1)
                self.assertEqual(trace["otherData"]["step_seconds"], plan["step"]["seconds"])

    def test_an_unwritable_place(self):
        expect(self, harness.FAILED, *ON_CLUSTER, "--trace", "/proc/longhaul/trace.json", says=["/proc/longhaul/trace.json"])


class Warnings(unittest.TestCase):
    def warnings(self, *arguments):
        return json_of(self, *ON_CLUSTER, *arguments)["warnings"]

    def test_each_is_said_once(self):
        said = self.warnings("--layout", "dp=2,tp=16,pp=2,sp=1,virtual=3")
        for part in ("time is uncalibrated", "memory is uncalibrated", "tp = 16 crosses nodes of 8", "32 layers over 6 stages are uneven"):
            self.assertEqual(len([text for text in said if part in text]), 1, (part, said))

    def test_what_the_catalogue_lacks(self):
        plan = lambda cluster, *more: json_of(self, "plan", "--model", "llama-3-8b", "--cluster", cluster, *more)
        across = plan("gb200x144", "--layout", "dp=144,zero=1")
        self.assertTrue(any("no network of gb200" in text and "network_gb_per_s" in text for text in across["warnings"]), across["warnings"])
        self.assertFalse([text for text in plan("gb200x72", "--layout", "dp=72,zero=1")["warnings"] if "network" in text])
        # A node's network grows with its devices: a node of 72 is no slower than nine of 8.
        eight = plan("b200x144", "--layout", "dp=144,zero=1")
        self.assertLess(across["step"]["split"]["data_parallel_seconds"], 3 * eight["step"]["split"]["data_parallel_seconds"])

    def test_a_fit_by_a_hair_is_not_certain(self):
        for layout, certain in (("dp=32,tp=2,zero=1", False), ("dp=64,zero=3", True)):
            plan = json_of(self, *ON_CLUSTER, "--set", "batch.sequence_length=8192", "--layout", layout)
            self.assertEqual(plan["memory"]["fit"]["certain"], certain, layout)
            self.assertEqual(any("not certain" in text for text in plan["warnings"]), not certain, layout)

    def test_a_v100_has_fp16_alone(self):
        v100 = ["plan", "--model", "gpt2-1.5b", "--cluster", "v100x64", "--layout", "dp=64", "--set", "batch.global_batch=64"]
        refused(self, ["fp16"], *v100)
        self.assertGreater(json_of(self, *v100, "--precision", "fp16")["step"]["mfu"], 0)

    def test_hfu_counts_what_runs_again(self):
        hfu = {again: json_of(self, *ON_CLUSTER, "--layout", f"dp=16,tp=4,zero=1,recompute={again}")["step"]
               for again in ("none", "selective", "layer")}
        self.assertEqual(hfu["none"]["hfu"], hfu["none"]["mfu"])
        self.assertGreater(hfu["selective"]["hfu"] / hfu["selective"]["mfu"], 1.01)
        self.assertGreater(hfu["layer"]["hfu"] / hfu["layer"]["mfu"], hfu["selective"]["hfu"] / hfu["selective"]["mfu"])

    def test_vocabulary(self):
        said = json_of(self, "plan", "--model", "gpt2-1.5b", "--set", "model.heads=32", "--set", "model.width=1600", "--cluster", "a100x8",
                       "--layout", "tp=4,dp=2", "--set", "batch.global_batch=16")["warnings"]
        self.assertTrue(any("vocab = 50257 is not a multiple of tp = 4" in text for text in said), said)

    def test_epochs(self):
        few = self.warnings("--tokens", "300B", "--unique-tokens", "100B")
        many = self.warnings("--tokens", "300B", "--unique-tokens", "10B")
        self.assertFalse([text for text in few if "epochs" in text])
        self.assertTrue([text for text in many if "30.0 epochs" in text and "4" in text], many)
        for value in ("-1", "0", "x", ""):
            refused(self, ["--unique-tokens", value], *ON_CLUSTER, "--unique-tokens", value)

    def test_epochs_of_the_runs_own_data(self):
        tokens = json.loads((harness.dataset() / "dataset.json").read_text())["train"]["counts"]["tokens"]
        steps = 5 * tokens // (8 * 96) + 1
        many = harness.write_run("epochs", run={"steps": steps})
        self.assertIn("5.0 epochs", expect(self, DONE, "plan", many).stderr)
        plan = json_of(self, "plan", many, "--cluster", "h100", "--framework", "llm-foundry")
        self.assertAlmostEqual(plan["run"]["epochs"], steps * 8 * 96 / tokens)
        self.assertTrue(any("5.0 epochs" in text for text in plan["warnings"]))
        self.assertNotIn("epochs", expect(self, DONE, "plan", harness.write_run("few-epochs", run={"steps": 3})).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
