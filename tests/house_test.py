"""The house: includes follow the table of tools/rooms, no circle of files, no room that is too large; and that tool finds what is planted."""
import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOADER = importlib.machinery.SourceFileLoader("rooms", str(ROOT / "tools/rooms"))
rooms = importlib.util.module_from_spec(importlib.util.spec_from_loader("rooms", LOADER))
LOADER.exec_module(rooms)


class House(unittest.TestCase):
    def test_this_tree(self):
        self.assertEqual(rooms.check(ROOT), [])

    def test_each_room_is_in_the_table_and_has_a_paragraph(self):
        folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()} | {"longhaul"}
        self.assertEqual(folders, set(rooms.ALLOWED))
        text = (ROOT / "src/README.md").read_text()
        for room in folders - {"longhaul"}:
            self.assertIn(f"**{room}** — ", text)


class Planted(unittest.TestCase):
    def tree(self, files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        (root / "apps").mkdir()
        for name, text in files.items():
            path = root / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    def test_an_arrow_the_wrong_way(self):
        root = self.tree({"train/loop.cpp": '#include "plan/search.h"\n', "plan/search.h": ""})
        fault, = rooms.forbidden_includes(root)
        self.assertIn('src/train/loop.cpp: includes "plan/search.h"; train may include', fault)

    def test_a_room_nobody_placed(self):
        self.assertIn("room 'attic' is not in the table", rooms.forbidden_includes(self.tree({"attic/a.h": ""}))[0])

    def test_a_circle_over_three_files(self):
        root = self.tree({"units/a.cpp": '#include "units/a.h"\n#include "units/b.h"\n', "units/a.h": "", "units/b.h": '#include "units/c.h"\n',
                          "units/c.h": "", "units/c.cpp": '#include "units/a.h"\n'})
        self.assertEqual(rooms.circles(root), [["units/a", "units/b", "units/c"]])

    def test_a_room_that_holds_too_much(self):
        root = self.tree({"plan/a.cpp": "\n" * 50, "units/b.cpp": "\n" * 200})
        self.assertIn("room units: 80.0% of the code", "".join(rooms.check(root)))


if __name__ == "__main__":
    unittest.main()
