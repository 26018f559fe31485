#!/usr/bin/env python3
"""Checks of the house that no compiler makes: layer arrows, lengths, banned calls, mutable state, dead files.

  tidy.py ROOT [--build DIR]   checks the tree; with a build directory also the object files
  tidy.py --self-test          proves that every rule can fail

Prints one line per finding (file:line: rule: what) and ends with `N passed, N failed`, one per rule.
"""
import os
import re
import subprocess
import sys
import tempfile

# What a folder may include, besides its own files and <odradek/...>.
ARROWS = {
    "base": {"base"},
    "io": {"io", "base"},
    "wire": {"wire", "base"},
    "store": {"store", "base"},
    "broker": {"broker", "coordinator", "wire", "base"},
    "coordinator": {"coordinator", "wire", "base"},
    "security": {"security", "base"},
    "server": {"server", "broker", "wire", "base"},
    "client": {"client", "wire", "base"},
    "tools": {"tools", "client", "server", "wire", "base"},
}
PUBLIC_OF_BASE = {"err.h", "bytes.h", "diag.h"}
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 15
FILE_LINES_MAX = 1000
BANNED_EVERYWHERE = ["strcpy", "strcat", "sprintf", "vsprintf", "gets", "alloca", "system", "rand", "srand", "random",
                     "atoi", "atol", "strtok", "setjmp", "longjmp", "sigsetjmp", "siglongjmp", "usleep", "nanosleep",
                     "sleep", "popen"]
BANNED_OUTSIDE_IO = ["time", "gettimeofday", "clock_gettime", "getrandom", "arc4random", "socket", "accept", "accept4",
                     "connect", "recv", "send", "sendmsg", "recvmsg", "pread", "pwrite", "fsync", "fdatasync", "mmap",
                     "fopen", "open", "openat"]
BANNED_IN_HANDLERS = ["malloc", "calloc", "realloc", "free", "xcalloc", "xrealloc", "xstrndup", "strdup"]
OUTSIDE_IO_ALLOWED = {
    # path: calls that this file may make, and why
    "src/server/serve.c": {"fopen", "open"},       # the configuration file, read once before anything runs
}
MUTABLE_ALLOWED = {"sigbus.c",                      # the table that a signal handler must reach
                   "hash_table.c"}                  # the seed of all hash tables: uthash has no place for it
HASH_TABLE = "src/base/hash_table.h"                # the one file that may include uthash.h: others get the seeded hash
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def sources(root, folders=("src", "include", "tools", "tests", "bench")):
    for folder in folders:
        for base, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(base, name), root)


def text_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as handle:
        return handle.read()


def without_comments(text):
    """The code, with comments and string contents blanked; line numbers stay."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(blank, text)


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1]
    return "tools" if parts[0] == "tools" else None


def rule_arrows(root):
    for path in sources(root, ("src", "tools", "include")):
        layer = layer_of(path)
        for number, line in enumerate(text_of(root, path).splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+(?:"([a-z_]+)/[^"]+"|<odradek/([^>]+)>|<(liburing[^>]*)>)', line)
            if not found:
                continue
            target, public, ring = found.groups()
            if ring and path != "src/io/uring.c":
                yield path, number, "liburing may be included by src/io/uring.c only"
            if path.startswith("include/") and target:
                yield path, number, f"a public header includes the private folder {target}/"
            if layer and target and target not in ARROWS.get(layer, set()):
                yield path, number, f"{layer} may not include {target}/"
            if layer == "base" and public and public not in PUBLIC_OF_BASE:
                yield path, number, f"base may not know <odradek/{public}>"
            if layer == "wire" and public and public not in PUBLIC_OF_BASE:
                yield path, number, f"wire may not know <odradek/{public}>"


def functions(code):
    """(name, first line, line count) of every function body: a line that is exactly '{' ... '}' at column 0."""
    lines = code.splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 6):start - 1])
            names = re.findall(r"([A-Za-z_]\w*)\s*\(", head)
            if names and line == "}":
                yield names[-1], start, number - start - 1
            start = None


def rule_lengths(root):
    counts = []
    for path in sources(root):
        text = text_of(root, path)
        line_count = text.count("\n")
        if line_count > FILE_LINES_MAX:
            yield path, line_count, f"{line_count} lines, at most {FILE_LINES_MAX}"
        for name, line, length in functions(without_comments(text)):
            if path.startswith("src/"):
                counts.append(length)
            if length > FUNCTION_LINES_MAX:
                yield path, line, f"{name} has {length} lines, at most {FUNCTION_LINES_MAX}"
    if counts and sorted(counts)[len(counts) // 2] > FUNCTION_LINES_MEDIAN_MAX:
        yield "src", 0, f"median function length {sorted(counts)[len(counts) // 2]}, at most {FUNCTION_LINES_MEDIAN_MAX}"


def calls(code, names):
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(names))
    for number, line in enumerate(code.splitlines(), 1):
        for found in pattern.finditer(line):
            yield number, found.group(1)


def rule_banned(root):
    for path in sources(root, ("src", "include", "tools")):
        code = without_comments(text_of(root, path))
        for number, name in calls(code, BANNED_EVERYWHERE):
            yield path, number, f"{name}() is banned"
        if not path.startswith(("src/io/", "tools/", "src/client/")):
            for number, name in calls(code, BANNED_OUTSIDE_IO):
                if name not in OUTSIDE_IO_ALLOWED.get(path, set()):
                    yield path, number, f"{name}() only behind odradek/io.h"
        if path.startswith("src/broker/handle/"):
            for number, name in calls(code, BANNED_IN_HANDLERS):
                yield path, number, f"{name}() is banned on the request path: use the request's arena"


def rule_hash_tables(root):
    for path in sources(root):
        for number, line in enumerate(text_of(root, path).splitlines(), 1):
            if re.match(r"\s*#\s*include\s*[<\"]uthash", line) and path != HASH_TABLE:
                yield path, number, f"hash tables come from {HASH_TABLE[len('src/'):]}, whose hash is seeded"


def rule_unfinished(root):
    for path in sources(root):
        for number, line in enumerate(text_of(root, path).splitlines(), 1):
            if UNFINISHED.search(line):
                yield path, number, "unfinished: " + line.strip()


def rule_dead_files(root):
    everything = {}
    for path in sources(root):
        everything[path] = text_of(root, path)
    builds = ""
    for base, _, names in os.walk(root):
        if "/build" in base[len(root):]:
            continue
        if "meson.build" in names:
            builds += text_of(base, "meson.build")
    included = set(re.findall(r'#\s*include\s+["<]([^">]+)[">]', "\n".join(everything.values())))
    for path in everything:
        name = os.path.basename(path)
        if path.endswith(".c"):
            stem = name[:-2]
            known = [name, f"'{stem}'"]
            if stem.endswith("_test"):
                known.append(f"'{stem[:-len('_test')]}'")
            if not any(word in builds for word in known):
                yield path, 0, "no meson.build names this file"
        elif not any(("/" + path).endswith("/" + use) for use in included):
            yield path, 0, "nobody includes this header"


def rule_docs(root):
    readme = text_of(root, "README.md") if os.path.exists(os.path.join(root, "README.md")) else ""
    for command in ("./tools/run", "./tools/test"):
        if command not in readme:
            yield "README.md", 0, f"does not name {command}"
    for folder in sorted(os.listdir(os.path.join(root, "src"))):
        if f"src/{folder}" not in readme:
            yield "README.md", 0, f"the tour does not name src/{folder}"
    for base, _, names in sorted(os.walk(root)):
        if "/build" in base[len(root):] or "/.git" in base:
            continue
        for name in sorted(names):
            if not name.endswith(".md"):
                continue
            path = os.path.relpath(os.path.join(base, name), root)
            for number, line in enumerate(text_of(root, path).splitlines(), 1):
                for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
                    if not os.path.exists(os.path.normpath(os.path.join(base, target))):
                        yield path, number, f"link to {target}, which does not exist"


def rule_mutable_state(build):
    if not build:
        return
    libraries = []
    for base, _, names in os.walk(os.path.join(build, "src")):
        libraries += [os.path.join(base, name) for name in sorted(names) if name.endswith(".a")]
    for library in sorted(libraries):
        output = subprocess.run(["objdump", "-t", library], check=True, capture_output=True, text=True).stdout
        member = ""
        for line in output.splitlines():
            found = re.match(r"(\S+):\s+file format", line)
            if found:
                member = found.group(1)
            found = re.match(r"[0-9a-f]+ .{6}O (\.t?data|\.t?bss)(?!\.rel\.ro)(?:\.\S+)?\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)", line)
            if found and not any(allowed in member for allowed in MUTABLE_ALLOWED):
                yield os.path.basename(library) + "(" + member + ")", 0, f"mutable state at file scope: {found.group(2)}"


def rule_headers_alone(root, build):
    if not build:
        return
    includes = ["-I" + os.path.join(root, "include"), "-I" + os.path.join(root, "src"),
                "-I" + os.path.join(build, "src")]
    for path in sources(root, ("include", "src")):
        if not path.endswith(".h"):
            continue
        full = os.path.join(root, path)
        modes = [["gcc", "-x", "c", "-std=gnu17"]]
        if path.startswith("include/"):
            modes.append(["g++", "-x", "c++", "-std=gnu++17"])
        for mode in modes:
            run = subprocess.run(mode + ["-D_GNU_SOURCE", '-DODRADEK_VERSION="x"', "-fsyntax-only"] + includes +
                                 ["-include", full, "/dev/null"], capture_output=True, text=True)
            if run.returncode != 0:
                yield path, 0, f"does not compile alone as {mode[2]}: " + run.stderr.strip().splitlines()[0]


def run_rules(root, build):
    rules = [
        ("arrows", lambda: rule_arrows(root)),
        ("lengths", lambda: rule_lengths(root)),
        ("banned calls", lambda: rule_banned(root)),
        ("hash tables", lambda: rule_hash_tables(root)),
        ("unfinished", lambda: rule_unfinished(root)),
        ("dead files", lambda: rule_dead_files(root)),
        ("docs", lambda: rule_docs(root)),
        ("mutable state", lambda: rule_mutable_state(build)),
        ("headers alone", lambda: rule_headers_alone(root, build)),
    ]
    results = {}
    for name, rule in rules:
        results[name] = list(rule())
    return results


BAD_TREE = {
    "src/store/a.c": '#include "broker/topics.h"\n#include <uthash.h>\n#include "store/a.h"\nint dirty;\nvoid f(void)\n{\n    system("x");\n'
                     '    /* TODO */\n' + "    f();\n" * 80 + "}\n",
    "src/store/a.h": "#pragma once\nstruct a { undefined_type x; };\n",
    "src/broker/handle/h.c": "void h(void)\n{\n    malloc(3);\n}\n",
    "src/store/forgotten.c": "int g(void);\n",
    "README.md": "[gone](docs/gone.md)\n",
    "meson.build": "'a.c' 'h.c'\n",
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, text in BAD_TREE.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as handle:
                handle.write(text)
        build = os.path.join(root, "build")
        os.makedirs(os.path.join(build, "src"))
        with open(os.path.join(build, "d.c"), "w", encoding="utf-8") as handle:
            handle.write("int dirty = 3;\n")
        subprocess.run(["gcc", "-c", "d.c", "-o", "d.o"], cwd=build, check=True)
        subprocess.run(["ar", "rc", "src/libd.a", "d.o"], cwd=build, check=True)
        results = run_rules(root, build)
    silent = [name for name, findings in results.items() if not findings]
    for name in silent:
        print(f"self-test: rule '{name}' found nothing in a tree made to break it")
    print(f"{len(results) - len(silent)} passed, {len(silent)} failed")
    return 1 if silent else 0


def main(argv):
    if "--self-test" in argv:
        return self_test()
    root = os.path.abspath(argv[1])
    build = os.path.abspath(argv[argv.index("--build") + 1]) if "--build" in argv else None
    results = run_rules(root, build)
    for name, findings in results.items():
        for path, line, what in findings:
            print(f"{path}:{line}: {name}: {what}")
    failed = sum(1 for findings in results.values() if findings)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
