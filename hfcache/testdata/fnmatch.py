"""Writes fnmatch.json: rows of [pattern, path, selected] as Python sees it.

The three steps are those of filter_repo_objects in huggingface_hub 2.4.0.
Run: python3 fnmatch.py > fnmatch.json
"""

import json
import random
import re
from fnmatch import fnmatchcase


def selected(pattern, path):
    pattern, path = pattern.replace("\\", "/"), path.replace("\\", "/")
    if pattern.endswith("/"):
        pattern += "*"
    return fnmatchcase(path, pattern)


FIXED = {
    "*.safetensors": ["a.safetensors", "sub/a.safetensors", "a.SAFETENSORS", ".safetensors", "a.safetensors.index.json"],
    "data/*.json": ["data/a.json", "data/sub/a.json", "data.json", "x/data/a.json"],
    "art/": ["art/a", "art/b/c", "art/", "art", "smart/a"],
    "art/**": ["art/a", "art/b/c", "art/", "art"],
    "model-0000[1-3]-of-00009.bin": ["model-00001-of-00009.bin", "model-00004-of-00009.bin"],
    "[!.]*": [".gitattributes", "README.md", ""],
    "[]]": ["]", "[", "[]]"],
    "[]-a]": ["]", "^", "a", "b", "-"],
    "[!]]": ["]", "a"],
    "[a-]": ["a", "-", "b"],
    "[-a]": ["a", "-", "b"],
    "[!-a]": ["a", "-", "b"],
    "[b-a]": ["a", "b", "-", ""],
    "[!b-a]": ["a", "b", "-", ""],
    "[b-a!x]": ["a", "b", "!", "x", "z"],
    "[b-ac-d]": ["a", "b", "c", "d", "-"],
    "[a-c-b]": ["a", "b", "c", "d", "-"],
    "[a-c-e]": ["a", "b", "c", "d", "e", "-"],
    "[--0]": ["-", ".", "0", "1"],
    "[^a]": ["^", "a", "b"],
    "[[]": ["[", "]"],
    "[[a]": ["[", "a"],
    "[": ["[", "a"],
    "[a": ["[a", "a"],
    "[!": ["[!", "a"],
    "[]": ["[]", "]"],
    "[a&&b|~]": ["a", "&", "|", "~", "c"],
    "a\\b": ["a/b", "a\\b"],
    "a\\": ["a/b", "a"],
    "?": ["a", "é", "\n", "ab", ""],
    "h?llo": ["héllo", "hllo"],
    "[à-é]": ["é", "e"],
    "**": ["", "a/b"],
    "": ["", "a"],
    "*a*b*": ["ab", "xaxbx", "ba", "aab/"],
    "*ab": ["aab", "abab", "aba"],
    "a*a": ["a", "aa", "aba"],
    "a.b": ["a.b", "axb"],
    "a+(b)$": ["a+(b)$", "aab"],
}

rows = [[p, s, selected(p, s)] for p, names in FIXED.items() for s in names]
rng = random.Random(1)
hits = 0
while len(rows) < 900:
    pattern = "".join(rng.choice("ab!^-[[]]*?/.\\&") for _ in range(rng.randint(1, 9)))
    name = "".join(rng.choice("ab!^-[].\\&/") for _ in range(rng.randint(0, 5)))
    try:
        got = selected(pattern, name)
    except re.error:
        continue
    if got or len(rows) % 2 == 0:
        rows.append([pattern, name, got])
print("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]")
