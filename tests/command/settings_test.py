#!/usr/bin/env python3
"""Settings change on purpose: some where a run goes on, as records of its ledger's chain; the others in a branch, a run of its own."""
import hashlib
import json
import os
import shutil
import signal
import unittest

import harness
from harness import DAMAGED, DONE, STOPPED, USAGE, expect, json_of

SHIM = os.environ.get("LONGHAUL_STOP_SHIM", "")
# Stops early, with a checkpoint: the schedule is that of the whole run.
WSD = {"kind": "wsd", "warmup_steps": 5}


def lines(run_file, file="metrics.jsonl"):
    return [json.loads(line) for line in (run_file.parent / "run/ledger" / file).read_text().splitlines()]


def verify_chain(test, run_file):
    """Recomputes the chain from the bytes: SHA-256 of prev, newline, canonical JSON without prev and hash."""
    head = "0" * 64
    for line in (run_file.parent / "run/ledger/metrics.jsonl").read_text().splitlines():
        kind = json.loads(line).keys() - {"timing", "parent"}
        begin = line.index(f'"{kind.pop()}":{{') + 1
        begin = line.index("{", begin)
        record, end = json.JSONDecoder().raw_decode(line, begin)
        test.assertEqual(record["prev"], head)
        # The bytes as they stand, since doubles are printed by the program's own rule; other keys follow these two.
        text = line[begin:end].replace(f'"prev":"{head}",', "", 1).replace(f'"hash":"{record["hash"]}",', "", 1)
        test.assertEqual(hashlib.sha256(f"{head}\n{text}".encode()).hexdigest(), record["hash"])
        head = record["hash"]


def changes(run_file):
    return [(c["step"], c["option"], c["before"], c["now"]) for document in lines(run_file) if (c := document.get("change"))]


def stop_at(test, run_file, step, *arguments):
    """SIGTERM once the ledger has `step` records; the step at which it was saved."""
    process = harness.start("train", run_file, *arguments)
    harness.wait_until(lambda: harness.steps_recorded(run_file) >= step, process, f"step {step}")
    process.send_signal(signal.SIGTERM)
    test.assertEqual(process.wait(240), harness.PREEMPTED, process.log.read_text())
    return int(harness.commits(run_file)[-1].split("-")[1].split(".")[0])


def state_of(test, run_file, *arguments):
    return json_of(test, "train", run_file, *arguments)["state_hash"]


def contents(directory):
    return {name: hashlib.sha256(data).hexdigest() for name, data in harness.tree(directory).items()}


class OnAResume(unittest.TestCase):
    def test_guards_change_twice_and_the_chain_verifies(self):
        run_file = harness.write_run("guards")
        plain = harness.write_run("guards-plain")
        first = stop_at(self, run_file, 12)
        done = expect(self, DONE, "train", run_file, "--set", "run.steps=40", "--set", "guards.spike_z=0", "--set", "guards.loss_alarm_ratio=5",
                      "--set", "run.threads=1", says=["guards.spike_z changes from 10.0 to 0.0"])
        self.assertIn("guards.loss_alarm_ratio changes from 3.0 to 5.0", done.stderr)
        # Finished; a longer look at it with other guards again changes nothing that was done.
        self.assertEqual(changes(run_file), [(first, "guards.loss_alarm_ratio", "3.0", "5.0"), (first, "guards.spike_z", "10.0", "0.0")])
        verify_chain(self, run_file)
        self.assertEqual(harness.results(run_file)[-1]["state_hash"], (expect(self, DONE, "train", plain), harness.results(plain)[-1]["state_hash"])[1])

    def test_a_second_change_follows_the_first(self):
        run_file = harness.write_run("twice")
        first = stop_at(self, run_file, 8)
        second = stop_at(self, run_file, first + 8, "--set", "guards.window=50")
        expect(self, DONE, "train", run_file, "--set", "guards.window=60", "--set", "validation.every=5 steps")
        self.assertEqual(changes(run_file), [(first, "guards.window", "100", "50"), (second, "guards.window", "50", "60"),
                                             (second, "validation.every", '"10 steps"', '"5 steps"')])
        verify_chain(self, run_file)
        validated = [r["step"] for r in harness.results(run_file) if "validation_loss" in r]
        self.assertEqual([s for s in validated if s > second], [s for s in range(second + 1, 41) if s % 5 == 0])

    def test_a_change_that_was_never_saved_is_made_again(self):
        run_file = harness.write_run("unsaved", checkpoint={"every": "10 steps"})
        harness.kill_after(run_file, 13)
        harness.kill_after(run_file, 15, "--set", "guards.window=50")
        expect(self, DONE, "train", run_file, "--set", "guards.window=50")
        self.assertEqual(changes(run_file), [(10, "guards.window", "100", "50")])
        verify_chain(self, run_file)

    def test_a_run_may_grow_while_its_schedule_so_far_stays_the_same(self):
        whole = harness.write_run("grown-whole", run={"steps": 80}, schedule=WSD)
        grown = harness.write_run("grown", run={"steps": 40}, schedule=WSD)
        at = stop_at(self, grown, 10)
        self.assertLess(at, 32, "in the stable phase of both")
        done = expect(self, DONE, "train", grown, "--set", "run.steps=80", says=[f"run.steps changes from 40 to 80 after step {at}"])
        expect(self, DONE, "train", whole)
        self.assertEqual(harness.results(grown)[-1]["state_hash"], harness.results(whole)[-1]["state_hash"])
        self.assertEqual(changes(grown), [(at, "run.steps", "40", "80")])
        verify_chain(self, grown)
        self.assertIn("step 80/80", done.stderr)
        # In the tail the learning rate of steps that are done would have been another.
        expect(self, DAMAGED, "train", grown, "--set", "run.steps=90", says=["run.steps: checkpoint 80, run 90", "differs after step 65", "--from-step", "--branch-from"])

    def test_a_default_warm_up_stays_as_it_was(self):
        grown = harness.write_run("warm-up", run={"steps": 100}, schedule={"kind": "wsd", "warmup_steps": -1})
        at = stop_at(self, grown, 12)
        done = expect(self, DONE, "train", grown, "--set", "run.steps=120", says=["schedule.warmup_steps = 10 is kept"])
        self.assertEqual(changes(grown), [(at, "run.steps", "100", "120")], done.stderr)

    def test_after_a_guard_stopped_the_run_its_limit_may_change(self):
        # Losses above 1e-3 of the mean are skipped once the guard speaks: all of them.
        run_file = harness.write_run("stopped", guards={"silent_steps": 3, "loss_skip_ratio": 1e-3, "max_skipped_steps": 2})
        expect(self, STOPPED, "train", run_file)
        expect(self, DONE, "train", run_file, "--set", "guards.loss_skip_ratio=10", says=["guards.loss_skip_ratio changes from 0.001 to 10.0"])
        verify_chain(self, run_file)

    def test_a_micro_batch_changes_where_the_virtual_ranks_of_the_run_divide(self):
        batch = {"sequence_length": 96, "micro_batch": 2, "global_batch": 8}
        wanted = state_of(self, harness.write_run("micro-whole", run={"steps": 20}, batch={**batch, "virtual_ranks": 2}))
        tables = {"run": {"steps": 20}, "batch": batch}
        run_file = harness.write_run("micro", **tables)
        text = run_file.read_text()
        run_file.write_text(text.replace("virtual_ranks = 4\n", ""))  # computed: 4 micro-batches, V = 4
        stop_at(self, run_file, 6)
        refused = expect(self, USAGE, "train", run_file, "--set", "batch.micro_batch=4", says=["batch.micro_batch = 4", "allowed: 1, 2"])
        self.assertNotIn("batch.virtual_ranks", refused.stderr)
        expect(self, DONE, "train", run_file, "--set", "batch.micro_batch=1", says=["batch.virtual_ranks = 4 is kept"])
        (run_file.parent / "run/run.toml").unlink()
        expect(self, DONE, "train", run_file, "--set", "batch.micro_batch=1", says=["batch.virtual_ranks = 4 is kept"])
        again = harness.write_run("micro-again", **tables)
        again.write_text(again.read_text().replace("virtual_ranks = 4\n", ""))
        self.assertEqual(harness.results(run_file)[-1]["loss"], (expect(self, DONE, "train", again), harness.results(again)[-1]["loss"])[1])
        self.assertTrue(wanted)

    def test_back_to_an_earlier_checkpoint(self):
        run_file = harness.write_run("back")
        expect(self, DONE, "train", run_file)
        before = harness.results(run_file)
        expect(self, USAGE, "train", run_file, "--from-step", "15", says=["no checkpoint of step 15; there are 10, 20, 30, 40"])
        done = expect(self, DONE, "train", run_file, "--from-step", "20", says=["went back from step 40 to step 20"])
        self.assertEqual(harness.results(run_file), before, done.stderr)
        self.assertIn("step-00000020.g1", harness.commits(run_file))
        self.assertEqual([len(lines(run_file, path.name)) for path in (run_file.parent / "run/ledger").glob("discarded-*.jsonl")], [20])
        self.assertEqual(json_of(self, "train", run_file)["resumed_from_step"], 40, "newest is what was trained since")

    def test_what_a_run_went_back_past_is_for_branches(self):
        run_file = harness.write_run("back-past")
        expect(self, DONE, "train", run_file)
        # Other updates from 20 on: the records of the first 40 are another history from then.
        strict = ["--set", "guards.loss_skip_ratio=0.97", "--set", "guards.max_skipped_steps=0"]
        expect(self, DONE, "train", run_file, "--from-step", "20", *strict)
        stored, ledger = harness.commits(run_file), lines(run_file)
        self.assertIn("step-00000030.g0", stored, "going back removes nothing")
        shutil.rmtree(run_file.parent / "run/checkpoints/step-00000030.g1")
        done = expect(self, USAGE, "train", run_file, "--from-step", "30", *strict,
                      says=["step-00000030.g0 belongs to a history that the run went back past", "--branch-from"])
        self.assertEqual((harness.commits(run_file), lines(run_file)), ([c for c in stored if c != "step-00000030.g1"], ledger), done.stderr)
        branch = harness.write_run("back-past-branch")
        expect(self, DONE, "train", branch, "--branch-from", f"{run_file.parent / 'run'}@30")
        kept = [r["result"]["hash"] for r in lines(branch, "parent.jsonl") if "result" in r]
        self.assertEqual(len(kept), 30)
        self.assertEqual(lines(branch)[0]["branch"]["ledger_head"], kept[-1])

    def test_killed_while_going_back(self):
        whole = harness.write_run("back-killed-whole")
        expect(self, DONE, "train", whole)
        for i, (stop, step) in enumerate((("rename:step-00000020.g1", 40), ("fsync:metrics.jsonl", 20), ("rename:discarded-", 20), ("rename:step-00000030.g1", 20))):
            with self.subTest(stop):
                run_file = harness.write_run(f"back-killed-{i}")
                shutil.copytree(whole.parent / "run", run_file.parent / "run")
                expect(self, -signal.SIGKILL, "train", run_file, "--from-step", "20", environment={"LD_PRELOAD": SHIM, "LONGHAUL_STOP_AT": stop})
                self.assertEqual(json_of(self, "train", run_file)["resumed_from_step"], step)
                self.assertEqual(harness.results(run_file), harness.results(whole))
                verify_chain(self, run_file)
                self.assertNotIn("records_missing", [event["kind"] for event in harness.events(run_file)])

    def test_back_with_another_guard(self):
        run_file = harness.write_run("back-guard")
        expect(self, DONE, "train", run_file)
        expect(self, DONE, "train", run_file, "--from-step", "30", "--set", "guards.window=50", says=["guards.window changes from 100 to 50 after step 30"])
        self.assertEqual(changes(run_file), [(30, "guards.window", "100", "50")])
        verify_chain(self, run_file)

    def test_a_run_that_decayed_grows_from_a_checkpoint_of_its_stable_phase(self):
        whole = harness.write_run("regrown-whole", run={"steps": 80}, schedule=WSD)
        expect(self, DONE, "train", whole)
        run_file = harness.write_run("regrown", schedule=WSD)
        expect(self, DONE, "train", run_file)
        expect(self, DAMAGED, "train", run_file, "--set", "run.steps=80", says=["differs after step 33", "--from-step"])
        expect(self, DONE, "train", run_file, "--set", "run.steps=80", "--from-step", "30")
        self.assertEqual(harness.results(run_file)[-1]["state_hash"], harness.results(whole)[-1]["state_hash"])
        verify_chain(self, run_file)


class Branches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.parent = harness.write_run("parent", schedule={"kind": "constant", "warmup_steps": 5}, run={"steps": 30})
        harness.run_program("train", cls.parent)
        other = harness.SCRATCH / "other-corpus"
        harness.write_corpus(other, seed=2)
        cls.other = harness.SCRATCH / "other-data"
        done = harness.run_program("data", "prepare", "--source", f"text={other}", "--out", cls.other, "--tokenizer", harness.dataset() / "tokenizer.json",
                                   "--heldout-fraction", "0.1")
        assert done.returncode == 0, done.stderr

    def branch(self, name, **changes):
        changes.setdefault("schedule", {"kind": "constant", "warmup_steps": 5})
        changes.setdefault("run", {"steps": 40})
        return harness.write_run(name, **changes)

    def changed(self, name):
        return self.branch(name, optimizer={"learning_rate": 1e-3}, data={"directory": str(self.other)})

    def from_parent(self, step=20):
        return ["--branch-from", f"{self.parent.parent / 'run'}@{step}"]

    def test_without_a_difference_a_branch_is_the_run_itself(self):
        run_file = self.branch("same", run={"steps": 30})
        summary = json_of(self, "train", run_file, *self.from_parent())
        self.assertEqual(summary["resumed_from_step"], 20)
        self.assertEqual(harness.results(run_file)[-1]["state_hash"], harness.results(self.parent)[-1]["state_hash"])
        self.assertEqual([{**r, "prev": 0, "hash": 0} for r in harness.results(run_file)],
                         [{**r, "prev": 0, "hash": 0} for r in harness.results(self.parent)[20:]])

    def test_another_rate_and_other_data_leave_the_parent_alone(self):
        before = contents(self.parent.parent / "run")
        run_file = self.changed("changed")
        done = expect(self, DONE, "train", run_file, "--branch-from", self.parent, says=["the data begin at sample 0", "optimizer.learning_rate: 0.003 in the parent"])
        self.assertEqual(contents(self.parent.parent / "run"), before, done.stderr)
        record = lines(run_file)[0]["branch"]
        self.assertEqual((record["step"], record["ledger_head"]), (30, harness.results(self.parent)[-1]["hash"]))
        self.assertEqual(sorted(d["option"] for d in record["differences"]), ["data.content", "optimizer.learning_rate"])
        self.assertEqual(record["state_hash"], harness.results(self.parent)[-1]["state_hash"])
        self.assertEqual([line["result"] for line in lines(run_file, "parent.jsonl")], harness.results(self.parent))
        verify_chain(self, run_file)

    def test_the_parent_is_not_needed_once_the_branch_has_begun(self):
        lost = self.branch("lost", run={"steps": 30})
        expect(self, DONE, "train", lost)
        run_file = self.changed("orphan")
        wanted = self.changed("orphan-whole")
        origin = ["--branch-from", f"{lost.parent / 'run'}@20"]
        expect(self, DONE, "train", wanted, *origin)
        stop_at(self, run_file, 4, *origin)
        shutil.rmtree(lost.parent)
        expect(self, DONE, "train", run_file, *origin)
        self.assertEqual(harness.results(run_file), harness.results(wanted))
        self.assertEqual(expect(self, DONE, "report", run_file).returncode, 0)

    def test_killed_at_its_beginning(self):
        wanted = self.changed("killed-whole")
        expect(self, DONE, "train", wanted, *self.from_parent())
        self.assertTrue(os.path.exists(SHIM), f"no {SHIM}; run through ctest")
        for i, (stop, there, command) in enumerate((("rename:branch.json", 0, self.from_parent()), ("rename:parent.jsonl", 0, []), ("rename:step-00000020", 0, []),
                                     ("fsync:step-00000020", 0, self.from_parent()), ("rename:step-00000030", 1, []))):
            with self.subTest(stop):
                run_file = self.changed(f"killed-{i}")
                process = harness.start("train", run_file, *self.from_parent(), environment={"LD_PRELOAD": SHIM, "LONGHAUL_STOP_AT": stop})
                self.assertEqual(process.wait(240), -signal.SIGKILL, process.log.read_text())
                self.assertEqual(len(harness.commits(run_file)), there)
                expect(self, DONE, "train", run_file, *command)
                self.assertEqual(harness.results(run_file), harness.results(wanted))
                verify_chain(self, run_file)

    def test_a_beginning_that_was_killed_keeps_its_step_while_the_parent_trains_on(self):
        parent = self.branch("moving", run={"steps": 20})
        expect(self, DONE, "train", parent)
        run_file = self.changed("behind")
        killed = {"LD_PRELOAD": SHIM, "LONGHAUL_STOP_AT": "rename:step-00000020"}
        expect(self, -signal.SIGKILL, "train", run_file, "--branch-from", parent, environment=killed)
        expect(self, DONE, "train", parent, "--set", "run.steps=30")
        self.assertEqual(json_of(self, "train", run_file, "--branch-from", parent)["resumed_from_step"], 20)

    def test_a_branch_that_lost_its_checkpoints_never_reads_the_parent_again(self):
        run_file = self.changed("lost-checkpoints")
        expect(self, DONE, "train", run_file, *self.from_parent())
        checkpoints = run_file.parent / "run/checkpoints"
        for name in harness.commits(run_file):
            (checkpoints / name).rename(checkpoints / f"quarantine-{name}")
        for _ in range(2):
            expect(self, DAMAGED, "train", run_file, *self.from_parent(), says=["No usable checkpoint is left"])
        shutil.rmtree(checkpoints)
        expect(self, DAMAGED, "train", run_file, *self.from_parent(), says=["has steps of a branch and no checkpoint"])

    def test_a_beginning_that_is_repeated_wants_the_same_parent(self):
        moved = self.branch("replaced", run={"steps": 30})
        shutil.copytree(self.parent.parent / "run", moved.parent / "run")
        run_file = self.changed("repeated")
        arguments = ["--branch-from", f"{moved.parent / 'run'}@20"]
        expect(self, -signal.SIGKILL, "train", run_file, *arguments, environment={"LD_PRELOAD": SHIM, "LONGHAUL_STOP_AT": "rename:step-00000020.g0"})
        shutil.rmtree(moved.parent / "run")
        other = self.branch("replacing", run={"steps": 30, "seed": 99})
        expect(self, DONE, "train", other)
        shutil.copytree(other.parent / "run", moved.parent / "run")
        expect(self, DAMAGED, "train", run_file, *arguments, says=["another state than the one that this branch had begun with"])

    def test_a_damaged_branch_file_keeps_no_branch_from_going_on(self):
        run_file = self.changed("damaged-intent")
        expect(self, DONE, "train", run_file, *self.from_parent(), "--set", "run.steps=30")
        intent = run_file.parent / "run/branch.json"
        intent.write_text('{"parent": ')
        expect(self, DONE, "train", run_file, *self.from_parent())
        expect(self, DONE, "train", run_file)
        unbegun = self.changed("damaged-unbegun")
        (unbegun.parent / "run").mkdir()
        for text in ('{"parent": ', '{"parent": "x", "step": -1}', '{"parent": "x", "step": 1.5}'):
            (unbegun.parent / "run/branch.json").write_text(text)
            expect(self, DAMAGED, "train", unbegun, says=["branch.json: cannot be read", "give the parent again with --branch-from"])
        self.assertEqual(state_of(self, unbegun, *self.from_parent()), state_of(self, run_file))

    def test_equal_branches_have_equal_records_wherever_the_parent_lies(self):
        copy = self.branch("a-copy", run={"steps": 30})
        shutil.copytree(self.parent.parent / "run", copy.parent / "run@20")
        hashes = []
        for name, parent in (("here", self.parent.parent / "run"), ("there", copy.parent / "run@20")):
            run_file = self.changed(f"equal-{name}")
            expect(self, DONE, "train", run_file, "--branch-from", str(parent) if name == "there" else f"{parent}@30")
            hashes.append(lines(run_file)[-1]["result"]["hash"])
            self.assertEqual(lines(run_file)[0]["parent"], str(parent))
            verify_chain(self, run_file)
        self.assertEqual(*hashes)

    def test_the_same_command_goes_on_when_the_parents_run_file_is_gone(self):
        gone = self.branch("gone-parent", run={"steps": 30})
        expect(self, DONE, "train", gone)
        run_file = self.changed("of-a-file")
        expect(self, DONE, "train", run_file, "--branch-from", f"{gone}@20", "--set", "run.steps=30")
        shutil.rmtree(gone.parent)
        expect(self, DONE, "train", run_file, "--branch-from", f"{gone}@20")

    def test_a_branch_of_a_branch_keeps_the_records_of_both(self):
        child, grandchild = self.branch("child"), self.branch("grandchild", run={"steps": 45})
        expect(self, DONE, "train", child, *self.from_parent())
        expect(self, DONE, "train", grandchild, "--branch-from", f"{child.parent / 'run'}@30")
        kept = [line["result"]["step"] for line in lines(grandchild, "parent.jsonl") if "result" in line]
        self.assertEqual(kept, list(range(1, 31)))
        self.assertEqual([r["step"] for r in harness.results(grandchild)], list(range(31, 46)))
        expect(self, DONE, "report", grandchild)

    def test_an_average_begins_as_the_weights_or_is_dropped(self):
        without = self.branch("without-average", optimizer={"ema_beta": 0.0})
        expect(self, DONE, "train", without, *self.from_parent())
        with_it = self.branch("with-average", run={"steps": 41})
        expect(self, DONE, "train", with_it, "--branch-from", without)
        self.assertEqual(json_of(self, "eval", with_it)["weights"], "average")

    def test_what_a_branch_may_not_be(self):
        alien = harness.SCRATCH / "alien"
        self.assertEqual(harness.prepare(harness.write_corpus(harness.SCRATCH / "alien-corpus", seed=3), alien).returncode, 0)
        for name, changes, says in (("model", {"model": {"layers": 3}}, ["keeps the model", "model.layers: parent 2, branch 3"]),
                                    ("tokenizer", {"data": {"directory": str(alien)}}, ["keeps the model and the tokenizer", "data.tokenizer: parent "]),
                                    ("short", {"run": {"steps": 20}}, ["run.steps = 20: nothing is left to train after step 20"]),
                                    ("nowhere", {}, ["no checkpoint of step 15; there are 10, 20, 30"])):
            with self.subTest(name):
                run_file = self.branch("refused-" + name, **changes)
                expect(self, USAGE, "train", run_file, *self.from_parent(15 if name == "nowhere" else 20), says=says)
        expect(self, USAGE, "train", self.parent, *self.from_parent(), says=["set another run.directory"])
        occupied = self.branch("occupied")
        expect(self, DONE, "train", occupied)
        expect(self, USAGE, "train", occupied, *self.from_parent(), says=["holds a run that is no branch"])
        begun = self.branch("begun")
        expect(self, USAGE, "train", begun, "--branch-from", harness.SCRATCH / "none", says=["is no run directory"])
        expect(self, DONE, "train", begun, *self.from_parent())
        expect(self, USAGE, "train", begun, *self.from_parent(10), says=["holds a branch from", "@20", "leave --branch-from out"])

    def test_the_newest_checkpoint_that_verifies(self):
        parent = harness.SCRATCH / "damaged-parent"
        shutil.copytree(self.parent.parent / "run", parent)
        harness.flip_byte(parent / "checkpoints/step-00000030.g0/weights.safetensors", -5)
        before = contents(parent)
        run_file = self.branch("past-damage")
        expect(self, DONE, "train", run_file, "--branch-from", parent, says=["step-00000030.g0/weights.safetensors: damaged", f"branch from {parent} at step 20"])
        self.assertEqual(contents(parent), before)
        expect(self, DAMAGED, "train", self.branch("at-damage"), "--branch-from", f"{parent}@30", says=["damaged"])

    def test_what_follows_from_the_length_is_the_parents(self):
        parent = harness.write_run("long-parent", run={"steps": 100}, schedule={"kind": "wsd", "warmup_steps": -1}, checkpoint={"every": "5 steps"})
        harness.kill_after(parent, 16)
        run_file = harness.write_run("longer", run={"steps": 200}, schedule={"kind": "wsd", "warmup_steps": -1})
        killed = {"LD_PRELOAD": SHIM, "LONGHAUL_STOP_AT": "rename:parent.jsonl"}
        expect(self, -signal.SIGKILL, "train", run_file, "--branch-from", f"{parent.parent / 'run'}@15", environment=killed)
        harness.kill_after(run_file, 2)
        self.assertEqual([d["option"] for d in lines(run_file)[0]["branch"]["differences"]], ["run.steps"], "not the warm-up, which nobody set")
        self.assertEqual(harness.results(run_file)[0]["learning_rate"], 3e-3)

    def test_a_branch_goes_on_after_what_stopped_its_parent(self):
        guards = {"silent_steps": 3, "loss_skip_ratio": 1e-3, "max_skipped_steps": 2}
        parent = self.branch("stopped-parent", guards=guards)
        expect(self, STOPPED, "train", parent)
        expect(self, DONE, "train", self.branch("cured", guards={**guards, "loss_skip_ratio": 10.0}), "--branch-from", parent)
        worse = self.branch("not-cured", guards=guards, optimizer={"learning_rate": 1e-3})
        expect(self, STOPPED, "train", worse, "--branch-from", parent)
        self.assertEqual(len(harness.results(worse)), 2, "counted anew")

    def test_the_remedy_that_a_refused_change_names(self):
        run_file = self.branch("remedy")
        expect(self, DONE, "train", run_file)
        new = self.branch("remedy-new", optimizer={"learning_rate": 1e-3})
        refused = expect(self, DAMAGED, "train", new, "--set", f"run.directory={run_file.parent / 'run'}", says=["optimizer.learning_rate: checkpoint 0.003, run 0.001"])
        self.assertIn(f"with another run.directory and more run.steps: `longhaul train NEW.toml --branch-from {run_file.parent / 'run'}`", refused.stderr)
        expect(self, USAGE, "train", new, "--branch-from", run_file.parent / "run", says=["run.steps = 40: nothing is left to train after step 40"])
        expect(self, DONE, "train", new, "--set", "run.steps=45", "--branch-from", run_file.parent / "run")


if __name__ == "__main__":
    unittest.main()
