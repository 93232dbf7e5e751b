# one-by-one.py REPO: a whole repository, one file after the other.
import sys

from huggingface_hub import snapshot_download

snapshot_download(sys.argv[1], max_workers=1)
