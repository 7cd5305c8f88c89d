#!/usr/bin/env python3
"""The pages in a real browser: no error on the console, light and dark, wide and narrow, and what a hand can do with them.

Needs Debian's chromium-driver and python3-selenium (tools/setup test). Screenshots stay in the build folder: pages/NAME-SCHEME-WIDTH.png.
"""
import base64
import json
import os
import pathlib
import unittest

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import harness
from harness import DONE, USAGE, expect

SHOTS = pathlib.Path(os.environ.get("LONGHAUL_PAGES", harness.SCRATCH / "pages"))
CLUSTER = ["plan", "--model", "gpt3-175b", "--cluster", "a100x1024", "--layout", "dp=16,tp=8,pp=8,zero=1,sp=1", "--tokens", "300B",
           "--set", "batch.sequence_length=2048", "--set", "batch.global_batch=1536"]
LONG_VALIDATION = 4321.0  # seconds, of a run whose steps take milliseconds


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=webdriver.chrome.service.Service("/usr/bin/chromedriver"), options=options)


def lengthen(run_file, step, phase, seconds):
    """Makes a phase of one recorded step last so long; the hash chain holds results, not timings."""
    metrics = run_file.parent / "run/ledger/metrics.jsonl"
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    timing = next(record["timing"] for record in records if record.get("result", {}).get("step") == step)
    timing["step_seconds"] += seconds - timing["phase_seconds"].get(phase, 0)
    timing["phase_seconds"][phase] = seconds
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records))


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        SHOTS.mkdir(parents=True, exist_ok=True)
        cls.files = {name: harness.SCRATCH / f"{name}.html" for name in ("cluster", "machine", "report")}
        check = cls("test_no_errors_in_any_light_and_width")
        expect(check, DONE, *CLUSTER, "--html", cls.files["cluster"])
        cls.run_file = harness.write_run("page", run={"steps": 20, "threads": 0}, validation={"prompt": "ab", "prompt_tokens": 8},
                                         log={"tensors_every": "2 steps"})
        expect(check, DONE, "plan", cls.run_file, "--html", cls.files["machine"])
        # Stopped after 10 steps and gone on with another guard; a branch at that step.
        expect(check, DONE, "train", cls.run_file, "--set", "guards.window=90")
        expect(check, DONE, "train", cls.run_file, "--from-step", "10")
        cls.branch_file = harness.write_run("page-branch", run={"steps": 20, "threads": 0}, optimizer={"learning_rate": 1e-3})
        expect(check, DONE, "train", cls.branch_file, "--branch-from", f"{cls.run_file.parent / 'run'}@10")
        cls.files["branch"] = harness.SCRATCH / "branch.html"
        expect(check, DONE, "report", cls.branch_file, "--out", cls.files["branch"])
        lengthen(cls.run_file, step=7, phase="validate", seconds=LONG_VALIDATION)
        expect(check, DONE, "report", cls.run_file, "--out", cls.files["report"])
        cls.driver = browser()
        cls.addClassCleanup(cls.driver.quit)

    def show(self, name, scheme="light", width=1200):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
        self.driver.get("about:blank")
        self.driver.get(self.files[name].as_uri())

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def test_the_compute_optimal_path_crosses_the_loss_surface(self):
        self.show("cluster")
        series = self.js("return [...document.querySelectorAll('figure[data-series]')].map(f => JSON.parse(f.dataset.series)[4])"
                         ".flat().filter(s => s[0] == 'compute-optimal')[0][1]")
        self.assertGreater(len(series), 30)
        for n, d in series:  # by the law of the page some 10 to 30 tokens a parameter at these sizes
            self.assertTrue(5 < d / n < 60, (n, d))

    def test_saves_and_failures_count_in_time_and_money(self):
        self.files["failing"] = harness.SCRATCH / "failing.html"
        expect(self, DONE, *CLUSTER, "--price", "2", "--mtbf-hours", "12", "--save-seconds", "120", "--html", self.files["failing"])
        self.show("failing")
        self.assertEqual(self.driver.find_element(By.TAG_NAME, "body").text.count("with saves and failures"), 3)

    def test_the_rate_is_that_of_the_run_asked_for(self):
        """The schedule's peak stands at the warm-up that was set, over the steps of --tokens."""
        self.files["warm"] = harness.SCRATCH / "warm.html"
        expect(self, DONE, *CLUSTER, "--set", "schedule.warmup_steps=7", "--html", self.files["warm"])
        self.show("warm")
        series = self.js("return [...document.querySelectorAll('figure[data-series]')].map(f => JSON.parse(f.dataset.series))"
                         ".filter(s => /learning rate/i.test(JSON.stringify(s).slice(0, 400)))[0][4][0][1]")
        peak = max(series, key=lambda point: point[1])
        self.assertAlmostEqual(peak[0], 7, delta=1)
        self.assertEqual(series[-1][0], -(-300_000_000_000 // (2048 * 1536)))

    def test_no_errors_in_any_light_and_width(self):
        for name in self.files:
            papers = set()
            for scheme in ("light", "dark"):
                for width in (1200, 400):
                    with self.subTest(page=name, scheme=scheme, width=width):
                        self.show(name, scheme, width)
                        self.assertEqual(self.driver.get_log("browser"), [])
                        self.assertLessEqual(self.js("return document.documentElement.scrollWidth"), width, "the page scrolls sideways")
                        papers.add(self.js("return getComputedStyle(document.body).backgroundColor"))
                        small = self.js("""return [...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().width > 0)
                            .map(t => 11 * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width)
                            .filter(size => size < 9.5).length""")
                        self.assertEqual(small, 0, "letters too small to read")
                        outside = self.js("""return [...document.querySelectorAll('svg text')].map(t => [t.textContent,
                            t.getBoundingClientRect(), t.ownerSVGElement.getBoundingClientRect()]).filter(([, t, s]) => t.width > 0 &&
                            (t.left < s.left - 1 || t.right > s.right + 1 || t.top < s.top - 2)).map(([text]) => text)""")
                        self.assertEqual(outside, [], "letters cut off")
                        self.keep(f"{name}-{scheme}-{width}")
            self.assertEqual(len(papers), 2, "light and dark look the same")

    def test_a_report_opens_with_loss_and_held_out_loss(self):
        self.show("report")
        first, names = self.js("""const content = [...document.body.children].filter(e => !['H1', 'SCRIPT'].includes(e.tagName));
            return [content[0].querySelector('figcaption').textContent, JSON.parse(content[0].dataset.series)[4].map(s => s[0])]""")
        self.assertEqual((first, names), ("Loss", ["training", "held-out"]))
        below = self.js("return document.querySelector('figure').nextElementSibling.textContent")
        self.assertRegex(below, r"training loss [\d.]+ nats/token; held-out [\d.]+ nats/token at step 20")

    def test_a_report_shows_gradients_passages_and_changes(self):
        self.show("report")
        captions = self.js("return [...document.querySelectorAll('figcaption')].map(c => c.textContent)")
        for caption in ("Gradient noise scale", "Gradient norm of each tensor", "Update norm ÷ weight norm", "Weight norm of each tensor"):
            self.assertTrue(any(c.startswith(caption) for c in captions), captions)
        cells = self.js("""const figure = [...document.querySelectorAll('figure')].find(f => f.textContent.startsWith('Weight norm'));
            return [...figure.querySelectorAll('svg.wide path')].map(p => p.getAttribute('d').split('M').length - 1).reduce((a, b) => a + b)""")
        rows = len(next(e for e in harness.events(self.run_file) if e["kind"] == "launch")["tensors"])
        self.assertEqual(cells, rows * 10, "a cell for each tensor and recorded step")
        text = self.js("return document.body.innerText")
        self.assertIn("guards.window", text)
        self.assertEqual(self.js("return document.querySelectorAll('svg.wide .mark').length"), 1)
        passages = self.js("return [...[...document.querySelectorAll('h2')].find(h => h.textContent === 'Passages').nextElementSibling"
                           ".nextElementSibling.querySelectorAll('tr')].length")
        self.assertEqual(passages, 1 + 2)

    def test_a_branch_draws_its_parent(self):
        self.show("branch")
        names = self.js("return JSON.parse(document.querySelector('figure').dataset.series)[4].map(s => [s[0], s[1].length])")
        self.assertEqual(dict(names)["parent, training"], 10)
        self.assertEqual(dict(names)["training"], 10)
        self.assertIn("optimizer.learning_rate", self.js("return document.body.innerText"))

    def test_one_long_validation_flattens_no_plot(self):
        """Every plot of the run fills its height, and what is above the axis is marked with its value."""
        for width, frame in ((1200, "wide"), (400, "narrow")):
            self.show("report", width=width)
            phases, marks, values = self.js("""
                const figure = [...document.querySelectorAll('figure')].find(f => f.textContent.startsWith('Time per phase'));
                const svg = figure.querySelector(`svg.${arguments[0]}`), [, , , top, bottom] = JSON.parse(svg.dataset.frame);
                const heights = [...svg.querySelector('path[fill-opacity]').getAttribute('d').split('Z')[0].matchAll(/[ML][\\d.]+ ([\\d.]+)/g)]
                    .map(m => (bottom - m[1]) / (bottom - top));
                return [heights, svg.querySelectorAll('.outlier').length, [...svg.querySelectorAll('.outlier-value')].map(t => t.textContent)]""",
                                            frame)
            self.assertGreater(sorted(phases)[len(phases) // 2], 0.05, "the ordinary steps lie flat on the axis")
            self.assertGreater(max(phases), 0.99)
            self.assertGreaterEqual(marks, 1)
            self.assertIn("4.32e+03", values)

    def test_what_was_planned_does_not_depend_on_the_machine_that_reports(self):
        self.assertIn("Memory over the step, by line, as planned", self.files["report"].read_text())
        again = harness.SCRATCH / "one-processor.html"
        processor = min(os.sched_getaffinity(0))
        expect(self, DONE, "report", self.run_file, "--out", again, preexec_fn=lambda: os.sched_setaffinity(0, {processor}))
        self.assertEqual(again.read_text(), self.files["report"].read_text())

    def keep(self, name):
        """The whole page as one picture."""
        size = self.js("const e = document.documentElement; return [e.clientWidth, Math.min(e.scrollHeight, 8000)]")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}})
        (SHOTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def test_plots_have_axes_with_units(self):
        for name in self.files:
            self.show(name)
            labels = self.js("""return [...document.querySelectorAll('figure[data-series]')].map(
                f => [...f.querySelectorAll('svg.wide > text')].map(t => t.textContent).filter(t => /[a-z]/i.test(t) && isNaN(t)))""")
            self.assertGreaterEqual(len(labels), 3)
            for texts in labels:
                self.assertGreaterEqual(len(texts), 2, texts)

    def test_nothing_is_loaded_from_elsewhere(self):
        for name, path in self.files.items():
            self.show(name)
            self.assertEqual(self.js("return performance.getEntriesByType('resource').map(e => e.name)"), [])
            self.assertNotIn("http://", path.read_text())
            self.assertNotIn("https://", path.read_text().replace("https://arxiv.org", ""))

    def point_at(self, element, x, y):
        """Moves the pointer to a place of an element, in parts of its size."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        size = element.size
        ActionChains(self.driver).move_to_element_with_offset(element, (x - .5) * size["width"], (y - .5) * size["height"]).perform()

    def test_the_pointer_reads_values(self):
        self.show("cluster")
        for index, plot in enumerate(self.driver.find_elements(By.CSS_SELECTOR, "figure[data-series]")):
            self.point_at(plot.find_element(By.CSS_SELECTOR, "svg.wide"), .5, .5)
            said = plot.find_element(By.TAG_NAME, "output").text
            self.assertRegex(said, r"\d", f"plot {index} says '{said}'")
        self.assertRegex(self.js("return [...document.querySelectorAll('figure[data-surface] output')].map(o => o.textContent).join()"),
                         r"loss 2\.\d+.*FLOP.*tokens per parameter")

    def test_the_timeline_zooms_and_names_operations(self):
        self.show("cluster")
        canvas, said = self.one("figure.timeline canvas"), lambda: self.one("figure.timeline output").text
        pixels = lambda: self.js("return arguments[0].toDataURL()", canvas)
        self.point_at(canvas, .5, .1)
        self.assertRegex(said(), r"rank 0: mb\d+/s0\.(fwd|bwd), (forward|backward), [\d.]+ m?s to [\d.]+ m?s")
        whole = pixels()
        self.one("figure.timeline button[data-zoom='.5']").click()
        half = pixels()
        self.assertNotEqual(half, whole)
        canvas.send_keys(Keys.ARROW_RIGHT)
        self.assertNotEqual(pixels(), half)
        canvas.send_keys("0")
        self.point_at(canvas, .99, .1)
        self.assertIn("rank 0: other", said())
        self.show("machine")
        self.point_at(self.one("figure.timeline canvas"), .5, .2)
        self.assertRegex(self.one("figure.timeline output").text, r"rank 0: (mb\d+/)?s0/\S+")

    def test_layouts_sort_and_filter(self):
        self.show("cluster")
        rows = lambda: [row.text for row in self.driver.find_elements(By.CSS_SELECTOR, ".rows tbody tr")]
        count = lambda: self.one(".rows output").text
        self.assertIn("200 of 4200", count())
        box = self.one(".rows input")
        box.send_keys("tp=4 simulated -pp=8")
        self.assertTrue(rows() and all("tp=4," in r and "simulated" in r and "pp=8" not in r for r in rows()), rows()[:3])
        box.clear()
        box.send_keys("simulated")
        step = next(h for h in self.driver.find_elements(By.CSS_SELECTOR, ".rows th") if h.text.startswith("step"))
        seconds = lambda: self.js("""return [...document.querySelectorAll('.rows tbody tr')].map(r => parseFloat(r.cells[3].textContent))""")
        step.click()
        self.assertEqual(seconds(), sorted(seconds()))
        step.click()
        self.assertEqual(seconds(), sorted(seconds(), reverse=True))

    def test_every_figure_leads_to_its_explanation(self):
        self.show("cluster")
        links = self.driver.find_elements(By.CSS_SELECTOR, ".cards a[href]")
        self.assertGreaterEqual(len(links), 8)
        for target in [link.get_attribute("href").split("#")[1] for link in links]:
            self.js("document.querySelector(`.cards a[href='#${arguments[0]}']`).click()", target)
            self.assertTrue(self.js("return document.getElementById(arguments[0]).open", target), target)
        self.assertIn("Formula: weights + gradients", self.js("return document.getElementById('memory.peak').innerText"))

    def test_links_and_devices_stay_what_they_are(self):
        link, target = harness.SCRATCH / "link.html", harness.SCRATCH / "target.html"
        link.symlink_to(target)
        expect(self, DONE, *CLUSTER, "--html", link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(target.read_text(), self.files["cluster"].read_text())
        expect(self, DONE, *CLUSTER, "--html", "/dev/null")
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())

    def test_bad_input(self):
        expect(self, USAGE, "plan", "--model", "bloom-176b", "--html", harness.SCRATCH / "x.html", says=["--html", "--cluster"])
        expect(self, harness.FAILED, *CLUSTER, "--html", harness.SCRATCH / "none" / "x.html", says=["none"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
