# store.py REPO: a whole repository of Xet files. Only the transfer itself is replaced, by plain HTTP: the
# hub of these tests has no Xet server behind it. What happens on disk around it is the client's own.
import os
import sys

import httpx2
from huggingface_hub import file_download, snapshot_download


def transfer(*, incomplete_path, displayed_filename, **_):
    url = f"{os.environ['HF_ENDPOINT']}/{sys.argv[1]}/resolve/main/{displayed_filename}"
    with open(incomplete_path, "ab") as partial, httpx2.stream("GET", url) as response:
        for piece in response.iter_bytes(10 << 20):
            partial.write(piece)


file_download.xet_get = transfer
snapshot_download(sys.argv[1])
