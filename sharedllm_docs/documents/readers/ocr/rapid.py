"""RapidOCR: finds lines, sees which way up the page is, and recognises them. Models come with its wheel."""

from __future__ import annotations

import math
import os
import statistics
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from sharedllm_docs.documents.readers.ocr.recognised import Line, Recognised, Word, unskewed

_MAX_SIDE = 3000  # pixels; a picture is made smaller to fit
_SAMPLE = 8  # longest lines, by which up and down are distinguished
_UPRIGHT = 1.5  # width to height from which a box is a line that lies
_WELL = 0.93  # confidence of the longest lines, from which the page is surely upright


class RapidEngine:
    """RapidOCR with its small models.

    Args:
        name: with its version.
    """

    def __init__(self, name: str) -> None:
        from rapidocr import RapidOCR  # it brings a client for downloads along, which is never used

        self.name = name
        threads = int(os.environ.get("OMP_NUM_THREADS") or -1)
        self._ocr = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.max_side_len": _MAX_SIDE,
                "Global.use_cls": False,  # it turns single lines wrongly; whole pages are turned here
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            }
        )
        self._lock = threading.Lock()

    def recognise(self, picture: Any) -> Recognised:
        """See ``Engine``. Most pictures are upright; others are turned by how their lines lie, and how they read."""
        with self._lock:
            turned, found = 0, self._read(picture)
            if found.boxes is not None and not _reads_well(found):
                turned = self._quarter_turns(picture, found.boxes)
                found = self._read(np.ascontiguousarray(np.rot90(picture, turned))) if turned else found
        if found.boxes is None or not found.txts:
            return Recognised(turned=90 * turned)
        angle = _skew(found.boxes)
        size = picture.shape[1], picture.shape[0]
        lines = []
        for box, text, score, words in zip(found.boxes, found.txts, found.scores, found.word_results, strict=True):
            points = [(float(x), float(y)) for x, y in box]
            known = tuple(Word(word[0], _back(word[2], turned, *size), float(word[1])) for word in words)
            if not known:  # the engine gives no words: the line counts as one
                known = (Word(str(text), _back(points, turned, *size), float(score)),)
            lines.append(Line(known, unskewed(points, angle), str(text), float(score)))
        return Recognised.of(lines, 90 * turned)

    def _read(self, picture: Any) -> Any:
        # every switch is named, since the library keeps those of the last call
        return self._ocr(picture, use_det=True, use_rec=True, return_word_box=True)

    def _quarter_turns(self, picture: Any, boxes: Any) -> int:
        """How many quarter turns, counter-clockwise, put the page upright."""
        quarter = int(_stands(boxes))
        crops = self._crops(picture, boxes, quarter)
        down = self._score([np.ascontiguousarray(np.rot90(crop, 2)) for crop in crops])
        return quarter + 2 if down > self._score(crops) else quarter

    @staticmethod
    def _crops(picture: Any, boxes: Any, quarter: int) -> list[Any]:
        """The longest lines that lie, or stand, cut out and turned by the quarter."""
        from rapidocr.utils.process_img import get_rotate_crop_image

        crops: list[Any] = []
        for box in sorted(boxes, key=_length, reverse=True)[: 2 * _SAMPLE]:
            if (_height(box) > _width(box)) == bool(quarter) and len(crops) < _SAMPLE:
                crop = get_rotate_crop_image(picture, np.asarray(box, dtype=np.float32))  # turns tall ones itself
                crops.append(np.ascontiguousarray(np.rot90(crop) if crop.shape[0] > crop.shape[1] else crop))
        return crops

    def _score(self, crops: Sequence[Any]) -> float:
        """How well the lines read: their confidence, the mean over lines."""
        scores = []
        for crop in crops:
            found: Any = self._ocr(crop, use_det=False, use_rec=True, return_word_box=False)
            scores += [float(score) for score in found.scores or (0.0,)]
        return statistics.fmean(scores) if scores else 0.0


def _stands(boxes: Any) -> bool:
    """Whether most text runs up or down."""
    lying = sum(_length(box) for box in boxes if _width(box) >= _UPRIGHT * _height(box))
    return sum(_length(box) for box in boxes if _height(box) >= _UPRIGHT * _width(box)) > lying


def _reads_well(found: Any) -> bool:
    """Whether what was read is that of an upright page."""
    if not found.txts or _stands(found.boxes):
        return False
    longest = sorted(zip(found.txts, found.scores, strict=True), key=lambda pair: -len(pair[0]))[:_SAMPLE]
    return statistics.fmean(float(score) for _, score in longest) >= _WELL


def _width(box: Any) -> float:
    return math.dist(box[0], box[1])


def _height(box: Any) -> float:
    return math.dist(box[1], box[2])


def _length(box: Any) -> float:
    return max(_width(box), _height(box))


def _skew(boxes: Any) -> float:
    """Median angle of the lines' upper edges, in radians; long lines only, which measure best."""
    longest = sorted(boxes, key=_width, reverse=True)[: max(3, len(boxes) // 3)]
    return statistics.median(math.atan2(box[1][1] - box[0][1], box[1][0] - box[0][0]) for box in longest)


def _back(
    points: Sequence[Sequence[float]], turned: int, width: float, height: float
) -> tuple[float, float, float, float]:
    """The box of a word in the picture as it was given: ``turned`` quarter turns counter-clockwise undone.

    Args:
        points: corners in the upright picture.
        turned: quarter turns.
        width: of the picture as it was given.
        height: the same.
    """
    given = []
    for x, y in points:
        if turned == 1:
            x, y = width - y, x
        elif turned == 2:
            x, y = width - x, height - y
        elif turned == 3:
            x, y = y, height - x
        given.append((float(x), float(y)))
    xs, ys = [x for x, _ in given], [y for _, y in given]
    return min(xs), min(ys), max(xs), max(ys)
