"""The original way: walk the whole cache and add up what is there.

usage: original.py ROOT PAUSE WALKS; prints the bytes after each walk.
"""
import sys
import time
from pathlib import Path

root, pause, walks = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
for n in range(walks):
    if n:
        time.sleep(pause)
    print(sum(f.stat().st_size for f in root.rglob("*") if f.is_file()), flush=True)
# The processor time of this process is read after the last walk.
sys.stdin.read()
