# file.py REPO PATH: one file.
import sys

from huggingface_hub import hf_hub_download

hf_hub_download(sys.argv[1], sys.argv[2])
