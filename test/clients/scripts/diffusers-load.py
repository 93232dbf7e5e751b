# diffusers-load.py REPO: a pipeline of several models.
import sys

from diffusers import DiffusionPipeline

DiffusionPipeline.from_pretrained(sys.argv[1])
