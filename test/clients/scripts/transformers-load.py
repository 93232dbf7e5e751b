# transformers-load.py REPO: a model, as most scripts load one.
import sys

from transformers import AutoModelForCausalLM

AutoModelForCausalLM.from_pretrained(sys.argv[1])
