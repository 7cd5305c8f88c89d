"""What the whole-command tests share: a tiny corpus, a tiny run, and the program run as a user runs it.

The program is named by the environment variable LONGHAUL (ctest sets it). Everything is made below one temporary directory, removed
at the end unless LONGHAUL_KEEP is set.
"""
import atexit
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

try:
    import schemas
except ModuleNotFoundError:  # jsonschema: Debian's Python has it, under which command tests run (schema_test.py needs it), the oracle's has not
    schemas = None

LONGHAUL = os.environ.get("LONGHAUL", str(pathlib.Path(__file__).resolve().parents[2] / "build/longhaul"))
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-test-"))
if not os.environ.get("LONGHAUL_KEEP"):
    atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
# What the program keeps of the machine is neither the user's nor another test's.
os.environ["XDG_CACHE_HOME"] = str(SCRATCH / "cache")

DONE, FAILED, USAGE, DAMAGED, STOPPED, PREEMPTED = 0, 1, 2, 3, 4, 75

# Small, yet with everything that has ever made two runs differ: grouped heads, several micro-batches, four virtual ranks, an average.
RUN = {
    "run": {"seed": 7, "steps": 40, "threads": 2},
    "model": {"layers": 2, "width": 64, "heads": 4, "kv_heads": 2, "ffn_width": 176, "vocab": 512},
    "data": {},
    "batch": {"sequence_length": 96, "micro_batch": 2, "global_batch": 8, "virtual_ranks": 4},
    "optimizer": {"learning_rate": 3e-3, "ema_beta": 0.9},
    "schedule": {"warmup_steps": 5},
    "validation": {"every": "10 steps", "max_tokens": 2000},
    "checkpoint": {"every": "10 steps", "keep_last": 10},
    "guards": {"state_hash_every": "10 steps"},
    "log": {"every": "10 steps"},
}


def run_program(*arguments, environment=None, timeout=300, **options):
    """The finished process; its texts in .stdout and .stderr (a model's bytes need not be UTF-8: such are replaced)."""
    return subprocess.run([LONGHAUL, *map(str, arguments)], capture_output=True, encoding="utf-8", errors="replace", timeout=timeout,
                          env={**os.environ, **(environment or {})}, **options)


def expect(test, code, *arguments, says=(), **options):
    """Runs the program, checks its exit code and that its message has each of `says`; gives the finished process."""
    done = run_program(*arguments, **options)
    told = f"\n$ longhaul {' '.join(map(str, arguments))}\nexit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    test.assertEqual(done.returncode, code, told)
    for text in says:
        test.assertIn(str(text), done.stderr, told)
    return done


def json_of(test, *arguments, code=DONE, **options):
    """The one document that `--json` prints, checked against its schema (docs/json)."""
    document = json.loads(expect(test, code, *arguments, *([] if "--json" in arguments else ["--json"]), **options).stdout)
    if schemas:
        schemas.check(document, schemas.name_of(arguments))
    return document


@functools.lru_cache(maxsize=None)
def verbs():
    """Every verb as `longhaul --help` lists them, with those inside it: "plan", "data prepare" …"""
    found = []
    for name, help_text in re.findall(r"^  ([\w-]+) +(.*)$", run_program("--help").stdout, re.MULTILINE):
        inner = re.match(r"\w+( \| \w+)*(?=:)", help_text)
        found += [f"{name} {word}" for word in inner[0].split(" | ")] if inner else [name]
    return found


def write_corpus(directory, documents=40, words=250, seed=1):
    """Text files of words drawn with a long tail, so that a vocabulary has something to learn."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choice("abcdefghijklmnoprstuvwyzäé") for _ in range(draw.randint(1, 9))) for _ in range(400)]
    directory.mkdir(parents=True)
    for i in range(documents):
        count = draw.randint(3, 2 * words)
        text = " ".join(vocabulary[min(int(draw.expovariate(1 / 60)), 399)] for _ in range(count))
        (directory / f"{i:03}.txt").write_text(text + ".\n", encoding="utf-8")
    return directory


@functools.lru_cache(maxsize=None)
def dataset():
    """A prepared dataset that all tests of one file share; copy it before damaging it."""
    corpus = write_corpus(SCRATCH / "corpus")
    directory = SCRATCH / "data"
    done = prepare(corpus, directory)
    if done.returncode:
        raise RuntimeError(f"preparing the tests' data failed:\n{done.stderr}")
    return directory


def prepare_arguments(corpus, directory, vocabulary=512):
    return ["data", "prepare", "--source", f"text={corpus}", "--out", directory, "--vocab-size", vocabulary, "--heldout-fraction", "0.1"]


def prepare(corpus, directory):
    return run_program(*prepare_arguments(corpus, directory))


def write(name, text):
    path = SCRATCH / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(test, says, *arguments):
    """Exit code 2, a short message with each of `says`, and nothing on standard output."""
    done = expect(test, USAGE, *arguments, says=says)
    test.assertEqual(done.stdout, "")
    test.assertLess(len(done.stderr), 2000, done.stderr)
    return done


def toml(tables):
    def value(v):
        return json.dumps(v)  # booleans, numbers, strings and arrays of them read the same in TOML

    return "\n".join(f"[{name}]\n" + "".join(f"{k} = {value(v)}\n" for k, v in table.items()) for name, table in tables.items())


def write_run(name, **changes):
    """A run file below SCRATCH/name with RUN's values, changed by tables given as keywords; its directory is SCRATCH/name/run."""
    folder = SCRATCH / name
    folder.mkdir(parents=True)
    tables = {table: dict(values) for table, values in RUN.items()}
    tables["run"]["directory"] = "run"
    tables["data"]["directory"] = os.path.relpath(dataset(), folder)
    for table, values in changes.items():
        tables.setdefault(table, {}).update(values)
    path = folder / "run.toml"
    path.write_text(toml({name: table for name, table in tables.items() if table}))
    return path


def results(run_file):
    """The `result` of each record, in the order of the file: what the numerics contract fixes."""
    lines = (run_file.parent / "run/ledger/metrics.jsonl").read_text().splitlines()
    return [record["result"] for record in map(json.loads, lines) if "result" in record]


def events(run_file):
    return [json.loads(line) for line in (run_file.parent / "run/ledger/events.jsonl").read_text().splitlines()]


def commits(run_file):
    """Names of published checkpoints, oldest first."""
    folder = run_file.parent / "run/checkpoints"
    return sorted(p.name for p in folder.iterdir() if re.fullmatch(r"step-\d+\.g\d+", p.name)) if folder.exists() else []


def start(*arguments, environment=None):
    """The program in the background; its messages go to a file, .log."""
    log = tempfile.NamedTemporaryFile("w+", dir=SCRATCH, delete=False)
    process = subprocess.Popen([LONGHAUL, *map(str, arguments)], stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
    process.log = pathlib.Path(log.name)
    return process


def wait_until(condition, process, what, seconds=240):
    """Waits until condition() holds while the process lives; fails with the process's messages otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"the program ended ({process.returncode}) before {what}:\n{process.log.read_text()[-3000:]}")
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"waited {seconds} s for {what}:\n{process.log.read_text()[-3000:]}")
        time.sleep(0.002)


def steps_recorded(run_file):
    path = run_file.parent / "run/ledger/metrics.jsonl"
    return path.read_bytes().count(b'"result"') if path.exists() else 0


def kill_after(run_file, step, *arguments):
    """Trains, and kills -9 as soon as the ledger holds `step` records."""
    process = start("train", run_file, *arguments)
    wait_until(lambda: steps_recorded(run_file) >= step, process, f"step {step}")
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process


def flip_byte(path, offset):
    """Flips one bit of the byte at offset (from the end where negative)."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def tree(directory):
    """What a directory holds, for "nothing was damaged": path → bytes."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}
