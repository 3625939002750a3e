"""As ``language_hits``, by words alone (BM25): `python benchmarks/language_words.py --handbook DIR` needs no model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.language_hits import FOLDERS, manual
from sharedllm_docs.retrieval.candidates import LeafIndex

LEAF = {"ja": 180, "zh": 180}  # characters of some 128 tokens
LEAF_OTHERWISE = 550


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--handbook", type=Path, required=True)
    arguments = parser.parse_args()
    asked = json.loads((Path(__file__).parent / "language_questions.json").read_text("utf-8"))
    for language, folder in FOLDERS.items():
        document, places = manual(arguments.handbook / folder, asked["files"])
        step = LEAF.get(language, LEAF_OTHERWISE)
        pairs = [(p.number, p.text[at : at + step]) for p in document.pages for at in range(0, len(p.text), step)]
        leaves = LeafIndex([text for _, text in pairs], [""] * len(pairs), np.zeros((len(pairs), 1), np.float32))
        ranks = []
        for one in asked["questions"]:
            scores = leaves.search(one[language], np.zeros(1, np.float32)).lexical
            found = list(dict.fromkeys(pairs[at][0] for at in np.argsort(-scores, kind="stable")))
            ranks.append(found.index(places[one["file"], one["paragraph"]]) + 1)
        at = {k: sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5)}
        print(f"{language}: {len(document.pages)} pages, page@1 {at[1]:.2f}, page@5 {at[5]:.2f}", flush=True)


if __name__ == "__main__":
    main()
