#include "interop/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "units/error.h"

namespace longhaul::interop {
namespace {

constexpr std::string_view kKeywords =
    "False None True and as assert async await break class continue def del elif else except finally for from global "
    "if import in is lambda nonlocal not or pass raise return try while with yield";

/// What torchtitan 0.3 imports, by its requirements and theirs. A file of such a name on PYTHONPATH comes before the package.
constexpr std::string_view kPackages =
    "PIL absl aiohttp datasets dill einops filelock fsspec functorch grpc huggingface_hub jinja2 megatron mpmath "
    "multiprocess networkx numpy packaging pandas pyarrow regex requests rich safetensors setuptools spmd_types "
    "sympy tensorboard tokenizers torch torch_checkpointing torchao torchdata torchft torchgen torchtitan "
    "torchvision tqdm transformers triton typeguard typing_extensions tyro wandb xxhash yaml";

/// sys.stdlib_module_names of Python 3.9 to 3.14 without those that begin with _.
constexpr std::string_view kStandardLibrary =
    "abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect "
    "builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys compileall "
    "compression concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses "
    "datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl "
    "filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp "
    "gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json "
    "keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib "
    "msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev "
    "pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty "
    "pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter "
    "runpy sched secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver "
    "spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau "
    "symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap this threading time timeit "
    "tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata "
    "unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp "
    "zipfile zipimport zlib zoneinfo";

bool contains(std::string_view list, std::string_view word) {
  for (std::size_t from = 0; from < list.size();) {
    const std::size_t end = std::min(list.find(' ', from), list.size());
    if (list.substr(from, end - from) == word) return true;
    from = end + 1;
  }
  return false;
}

}  // namespace

Processes processes_of(const cost::RunShape& shape) {
  const int most = std::min(shape.devices_per_node, shape.devices);
  if (shape.devices % most == 0) return {most, shape.devices / most};
  const int together = shape.layout.tp <= most ? shape.layout.tp : 1;  // which divides the devices, as 1 does
  int per_node = most;
  while (per_node > 1 && (shape.devices % per_node != 0 || per_node % together != 0)) --per_node;
  return {per_node, shape.devices / per_node};
}

std::string other_nodes(const cost::RunShape& shape) {
  const Processes written = processes_of(shape);
  const int full = shape.devices / shape.devices_per_node, left = shape.devices % shape.devices_per_node;
  if (written.per_node == shape.devices_per_node || full == 0) return "";
  return fmt::format(
      "devices = {}: torchrun starts as many processes on every node, so {} nodes of {} are written; the plan assumes {} of {} and one of "
      "{}",
      shape.devices, written.nodes, written.per_node, full, shape.devices_per_node, left);
}

void check_python_module(std::string_view stem, const std::string& out) {
  const auto refuse = [&](const std::string& why) { throw UsageError(fmt::format("--out {}: {}", out, why)); };
  const bool identifier = !stem.empty() && std::isdigit(static_cast<unsigned char>(stem.front())) == 0 &&
                          std::all_of(stem.begin(), stem.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (!identifier) refuse("Python imports the file by its name, which takes letters, digits and _ alone");
  const std::string instead = fmt::format("; call it run_{}.py", stem);
  if (contains(kKeywords, stem)) refuse(fmt::format("'{}' is a keyword of Python, which nothing can be imported by", stem) + instead);
  if (contains(kPackages, stem))
    refuse(fmt::format("on PYTHONPATH it would hide the package '{}' that torchtitan imports", stem) + instead);
  if (contains(kStandardLibrary, stem))
    refuse(fmt::format("on PYTHONPATH it would hide the module '{}' of Python's standard library", stem) + instead);
}

}  // namespace longhaul::interop
