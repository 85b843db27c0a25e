"""Does the checkpoint mean the same to PyTorch `transformers` as to Espalier?

Covered: a folder loads through `AutoModelForCausalLM`, and for the same ids its logits and log-probabilities are those
that `espalier score` printed, within a tolerance. Not covered: the tokenizer, sampling, training, speed.

Both sides compute in float32 on the CPU; transformers with its plain attention. The reference also runs in float64, so
that a failure says which of the two is off.
"""

import argparse
import json
import sys

import torch
from transformers import AutoModelForCausalLM


def reference(folder, ids, dtype):
    """Logits [length][vocabulary] and log-probabilities [length - 1] of each id after the first."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    with torch.inference_mode():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    targets = torch.tensor(ids[1:]).unsqueeze(1)
    return logits, torch.log_softmax(logits[:-1], dim=-1).gather(1, targets).squeeze(1)


def largest(name, ours, theirs, tolerance):
    gap = (ours.double() - theirs.double()).abs().max().item()
    passed = gap <= tolerance
    print(f"{name}: largest difference {gap:.2e} over {theirs.numel()} values, {'ok' if passed else 'TOO LARGE'}")
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a Hugging Face folder that Espalier wrote")
    parser.add_argument("--ids", required=True, help="JSON: the array of token ids that was scored")
    parser.add_argument("--score", required=True, help="what `espalier score MODEL --ids IDS --logits` printed")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    with open(options.ids, encoding="utf8") as file:
        ids = json.load(file)
    with open(options.score, encoding="utf8") as file:
        score = json.load(file)

    passed = True
    for dtype in (torch.float32, torch.float64):
        logits, logprobs = reference(options.model, ids, dtype)
        name = str(dtype).removeprefix("torch.")
        passed &= largest(f"log-probabilities ({name})", torch.tensor(score["logprobs"]), logprobs, options.tolerance)
        if "logits" in score:
            passed &= largest(f"logits ({name})", torch.tensor(score["logits"]), logits, options.tolerance)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
