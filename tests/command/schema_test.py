#!/usr/bin/env python3
"""What docs/json promises of every `--json` document: each verb has a schema, each schema is sound and says units, and the program prints
all that it describes. That documents hold to their schemas is checked wherever a test reads one (harness.json_of)."""
import copy
import json
import pathlib
import unittest

import jsonschema

import harness
import schemas
from harness import DONE, expect, json_of

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
GPT3 = ["--model", "gpt3-6.7b", "--cluster", "a100x16", "--set", "batch.global_batch=64", "--set", "batch.sequence_length=2048"]


class Schemas(unittest.TestCase):
    def every_part(self):
        for name in schemas.schemas():
            yield from schemas.parts(name)

    def test_every_schema_is_one_and_its_references_lead_somewhere(self):
        for name, schema in schemas.schemas().items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)
                self.assertEqual(schema["$id"], name)
        for pointer, part in self.every_part():
            if "$ref" in part:
                schemas.at(schemas.target(pointer, part["$ref"]))

    def test_every_property_is_described(self):
        def described(pointer):
            part = schemas.at(pointer)
            return "description" in part or "$ref" in part and described(schemas.target(pointer, part["$ref"]))

        for pointer, part in self.every_part():
            for name in part.get("properties", {}):
                self.assertTrue(described(schemas.below(pointer, "properties", name)), f"{pointer}: {name} has no description")
                self.assertTrue(schemas.is_word(name), f"{pointer}: {name}")

    def test_every_object_says_what_it_holds(self):
        for pointer, part in self.every_part():
            if part.get("type") == "object":
                self.assertIn("additionalProperties", part, pointer)
                if "properties" in part:
                    self.assertFalse(part["additionalProperties"], pointer)
                    self.assertLessEqual(set(part["required"]), set(part["properties"]), pointer)
            if part.get("type") == "array":
                self.assertIn("items", part, pointer)

    def test_every_number_has_its_unit_from_one_place(self):
        for pointer, part in self.every_part():
            if part.get("type") in ("number", "integer") and not pointer.startswith("common.json"):
                self.fail(f"{pointer}: a bare number; refer to its unit in common.json")

    def test_every_verb_with_json_has_a_schema_and_no_schema_is_of_nothing(self):
        named = {schemas.name_of(verb.split()) for verb in harness.verbs() if "--json" in expect(self, DONE, *verb.split(), "--help").stdout}
        self.assertIn("plan.json", named)
        self.assertIn("data-prepare.json", named)
        refers = {schemas.target(pointer, part["$ref"]).partition("#")[0] for pointer, part in self.every_part() if "$ref" in part}
        self.assertEqual(set(schemas.schemas()) - named - refers, set())

    def test_the_index_names_every_schema(self):
        index = (schemas.FOLDER / "README.md").read_text()
        for name in schemas.schemas():
            self.assertIn(f"({name})", index)

    def test_plans_of_a_machine_and_a_cluster_name_the_same_thing_the_same(self):
        def properties(pointer, path=()):
            """Path and description of every property, past references, without the elements of lists."""
            part = schemas.at(pointer)
            if "$ref" in part:
                yield from properties(schemas.target(pointer, part["$ref"]), path)
            for name, inner in part.get("properties", {}).items():
                yield path + (name,)
                yield from properties(schemas.below(pointer, "properties", name), path + (name,))

        machine, cluster = (set(properties(f"plan-{where}.json")) for where in ("machine", "cluster"))
        for name in {path[-1] for path in machine} & {path[-1] for path in cluster}:
            of_machine, of_cluster = ({path for path in paths if path[-1] == name} for paths in (machine, cluster))
            self.assertTrue(of_machine <= of_cluster or of_cluster <= of_machine, f"{name}: {of_machine} and {of_cluster}")
        for part in ("layout", "batch", "parameters", "flops", "tokens", "steps"):  # one description, so one unit and one meaning
            of = [schemas.at(f"plan-{where}.json")["properties"][part] for where in ("machine", "cluster")]
            self.assertEqual(*of)
        self.assertGreaterEqual(len(machine & cluster), 35)

    def test_a_document_that_differs_is_refused(self):
        good = json_of(self, "cluster", "show", "h100x64")
        extra, missing, text, negative, fraction = (copy.deepcopy(good) for _ in range(5))
        extra["accelerator"]["memory.bytes"] = 1
        del missing["accelerator"]["source"]
        text["accelerator"]["memory_bytes"] = "80 GB"
        negative["node_network_bytes_per_s"] = -1
        fraction["devices"] = 64.5
        for bad, says in ((extra, "memory.bytes"), (missing, "source"), (text, "memory_bytes"), (negative, "network"), (fraction, "devices")):
            with self.subTest(says), self.assertRaisesRegex(AssertionError, says):
                schemas.check(bad, "cluster-show.json")
        with self.assertRaisesRegex(AssertionError, "no schema"):
            schemas.name_of(["nonsense", "plan"])


class Shown(unittest.TestCase):
    """Runs every verb in each of its forms, so that nothing is described that no longer is printed."""

    def setUp(self):
        self.seen = set()

    def see(self, *arguments, **options):
        document = json_of(self, *arguments, **options)
        self.note(document, schemas.name_of(arguments))
        return document

    def note(self, document, name):
        schemas.check(document, name)
        self.seen.update(schemas.shown(document, name))

    def planner(self):
        for more in ([], ["--explain", "list"], ["--explain", "step.data_parallel"]):
            self.see("plan", *GPT3, "--layout", "dp=2,tp=8,pp=1,zero=1", "--price", "2", "--mtbf-hours", "100", "--save-seconds", "30",
                     "--unique-tokens", "100B", *more)
        space = ["--allow", "tp=1+8,zero=0+1,micro_batch=1+8"]
        found = self.see("search", *GPT3, *space, "--price", "2", "--all")["layouts"]
        for outcome in ("simulated", "contradiction"):
            layout = next(f"{c['layout']} micro_batch={c['micro_batch']}" for c in found if c["outcome"] == outcome)
            self.see("search", *GPT3, *space, "--why", layout)
        self.see("cluster", "list")
        self.see("cluster", "show", "h100x64")

    def fits(self):
        few = harness.SCRATCH / "few.csv"
        few.write_text("".join((GOLDEN / "runs.csv").read_text().splitlines(keepends=True)[:25]))
        self.see("fit", few, "--folds", "0", "--out", harness.SCRATCH / "fitted.toml")
        self.see("validate", few, "--rows")
        self.see("fit", GOLDEN / "chinchilla_fig4_epoch.csv", "--starts", "3", "--bootstrap", "20")

    def other_systems(self):
        run = ["--model", "llama-3-8b", "--cluster", "h100x8", "--set", "batch.global_batch=16", "--tokens", "1B"]
        for system, zero in (("megatron", 1), ("torchtitan", 3)):
            self.see("emit", "--for", system, *run, "--layout", f"dp=8,zero={zero}")
        self.see("audit-claim", "--model", "llama-3-8b", "--hardware", "h100x64", "--sequence", "8192", "--tflops", "780")
        self.see("audit-claim", "--model", "llama-2-70b", "--hardware", "a100x64", "--device-hours", "4000000", "--tokens", "2T")
        config = harness.SCRATCH / "config.json"
        config.write_text('{"model_type": "llama"}')
        self.see("hf", config)

    def scaling(self):
        self.see("scale", "--flops", "1e22")
        self.see("scale", "--laws")
        self.see("scale", "--days", "30", "--cluster", "a100-40gbx2", "--price", "2", "--watts", "700", "--served-tokens", "1T")  # the largest do not fit

    def machine(self):
        profile = harness.SCRATCH / "machine.toml"
        self.see("calibrate", "--order", "dp2", "--family", "avx2", "--threads", "1", "--out", profile)
        run_file = harness.write_run("run", run={"steps": 12, "threads": 1, "family": "avx2"})
        self.note(self.see("plan", run_file, "--profile", profile), "plan-machine.json")
        self.see("plan", run_file, "--profile", profile, "--explain", "memory.peak")
        self.see("bench", "step", run_file, "--steps", "2")
        unmeasured = harness.write_run("unmeasured", run={"steps": 1, "threads": 1, "family": "avx2"})
        self.see("train", unmeasured)
        self.see("plan", run_file)  # measures the kernels
        self.see("train", run_file)
        for trained in (unmeasured, run_file):
            self.note(json.loads((trained.parent / "run/plan.json").read_text()), "plan-machine.json")
        for verb in ("eval", "generate", "report", "config"):
            self.see(verb, run_file)
        self.see("eval", run_file, "--per-document")
        self.see("replay", run_file, "--from", "1", "--to", "12")
        self.see("replay", run_file, "--from", "1", "--to", "12", "--set", "optimizer.learning_rate=1e-2", code=harness.DAMAGED)
        for flag in ("--options", "--models"):
            self.see("config", flag)
        out = harness.SCRATCH / "out"
        self.see("export", "hf", run_file, "--out", out / "hf")
        self.see("debug", "step", run_file, "--out", out / "step")
        self.note(json.loads((out / "step/step.json").read_text()), "debug-step.json")
        self.see("debug", "batches", run_file, "--out", out / "batches.safetensors")

    def text(self):
        self.see(*harness.prepare_arguments(harness.SCRATCH / "corpus", harness.dataset()))
        self.see("data", "inspect", harness.dataset())
        harness.write("mixed/readme.md", "no text file")
        harness.write("mixed/a.txt", "one</s>two</s>three</s>four")
        harness.write("mixed/b.jsonl", '{"text": "good"}\n{"text": null}\n')
        mixed = harness.prepare_arguments(harness.SCRATCH / "mixed", harness.SCRATCH / "mixed-data", 300) + ["--bad-rows", "skip"]
        self.see(*mixed)
        self.see("data", "inspect", harness.SCRATCH / "mixed-data")
        self.see(*mixed, "--dry-run")
        tokenizer = harness.SCRATCH / "tokenizer.json"
        self.see("tokenizer", "train", harness.SCRATCH / "corpus", "--vocab-size", "300", "--out", tokenizer)
        self.see("tokenizer", "encode", "--tokenizer", tokenizer, input="A whale.")
        speed = expect(self, DONE, "tokenizer", "encode", "--tokenizer", tokenizer, "--bench", input="A whale. " * 1000).stdout
        self.note(json.loads(speed), "tokenizer-encode.json")
        self.see("tokenizer", "compare", tokenizer, harness.dataset() / "tokenizer.json", "--text", harness.SCRATCH / "corpus")

    def test_the_program_prints_all_that_is_described(self):
        harness.dataset()
        self.planner(), self.fits(), self.other_systems(), self.scaling(), self.machine(), self.text()
        described = set(schemas.schemas())
        for name in schemas.schemas():
            for pointer, part in schemas.parts(name):
                described.update(schemas.below(pointer, "properties", key) for key in part.get("properties", {}))
        self.assertEqual(described - self.seen, set(), "described, and never printed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
