# snapshot.py REPO [PATTERN...]: a whole repository, or what the patterns select.
import sys

from huggingface_hub import snapshot_download

snapshot_download(sys.argv[1], allow_patterns=sys.argv[2:] or None)
