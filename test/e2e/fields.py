"""fields.py NAME=PATTERN...: the journal's entries on standard input (-o json) are exactly one, and
each of the named fields in it matches its pattern in full."""

import json
import re
import sys

entries = [json.loads(line) for line in sys.stdin]
if len(entries) != 1:
    sys.exit(f"{len(entries)} entries, not one: {[e.get('MESSAGE') for e in entries]}")
wrong = []
for wanted in sys.argv[1:]:
    name, pattern = wanted.split("=", 1)
    value = entries[0].get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        wrong.append(f"{name} is {value!r}, not {pattern}")
if wrong:
    sys.exit("\n".join(wrong))
