"""A batch that questions join and leave between steps: the same logits as each question alone."""

from __future__ import annotations

import pytest
import torch

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import Profile
from sharedllm_docs.injection import running
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.injection.decode_step import for_steps
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.prompt_prefix import front_state
from sharedllm_docs.injection.running import RunningBatch
from tests.tiny import FAMILIES, random_ids, tiny_model

FRONT = (5, 6, 7)
ROWS = (7, 40, 1, 12)
STEPS = 9


def injection(arch, profile, count, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(profile.injection_layers), arch.kv_heads, count, arch.head_dim)
    keys, values = (torch.randn(shape, generator=generator).to(arch.dtype) for _ in range(2))
    joint = profile.fusion == "joint"
    start = len(FRONT) if joint else 0
    positions = torch.arange(count) + start if joint else torch.zeros(count, dtype=torch.long)
    return Injection(keys, values, positions, start + count if joint else 1)


class Case:
    """A model with questions over random rows; ``alone`` and ``open`` give the decoder of one."""

    def __init__(self, family, profile, *, attention="sdpa", grouped=False):
        self.arch = architecture_for(tiny_model(family, attention=attention))
        self.profile = profile.resolve(self.arch.num_layers)
        self.joint = self.profile.fusion == "joint"
        self.front = front_state(self.arch, FRONT) if self.joint else None
        torch.manual_seed(1)
        self.blocks = (
            {}
            if self.joint
            else {layer: CrossAttention(self.arch).to(self.arch.dtype) for layer in self.profile.injection_layers}
        )
        self.steps = for_steps(self.arch) if grouped else self.arch
        self.questions = [random_ids(4 + 3 * n, seed=n) for n in range(len(ROWS))]
        self.injections = [injection(self.arch, self.profile, rows, n) for n, rows in enumerate(ROWS)]

    def open(self, number, capacity=0):
        return InjectedDecoder(
            self.arch,
            self.profile,
            [self.injections[number]],
            front=self.front,
            blocks=self.blocks,
            capacity=len(self.questions[number]) + capacity,
            steps=lambda: self.steps,
        )

    def alone(self, number):
        """Logits of the question and of each step, feeding the likeliest token."""
        with self.open(number, STEPS) as decoder:
            logits = [decoder.feed([self.questions[number]])]
            for _ in range(STEPS):
                logits.append(decoder.feed([[int(logits[-1].argmax())]]))
        return logits

    def batch(self):
        return RunningBatch(self.steps, self.profile, blocks=self.blocks)


def together(case, schedule):
    """Logits of each question when they join before the steps that ``schedule`` names for them."""
    batch, members, logits = case.batch(), [], {}
    for turn in range(max(schedule.values()) + STEPS + 1):
        for number, when in schedule.items():
            if when == turn:
                with case.open(number) as decoder:
                    logits[number] = [decoder.feed([case.questions[number]])]
                    batch.join(decoder)
                members.append(number)
        for place in reversed(range(len(members))):
            if len(logits[members[place]]) > STEPS:
                batch.leave(place)
                last = members.pop()
                if place < len(members):
                    members[place] = last
        assert len(batch) == len(members)
        if members:
            found = batch.feed([int(logits[number][-1].argmax()) for number in members])
            for place, number in enumerate(members):
                logits[number].append(found[place : place + 1])
    return logits


SCHEDULES = [{0: 0, 1: 0, 2: 0, 3: 0}, {0: 0, 1: 2, 2: 3, 3: 7}, {1: 0, 0: 1, 3: 5, 2: 12}, {2: 0, 3: 20}]
PROFILES = {
    "prefix": Profile.prefix(chunk_tokens=64),
    "some layers": Profile.prefix(chunk_tokens=64, layers=(2, 3)),
    "separate": Profile.sharedllm(chunk_tokens=64, grains=(4, 2, 1), layers=(1, 2)),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("profile", PROFILES)
def test_each_question_gets_the_logits_it_gets_alone(profile, schedule):
    case = Case("llama", PROFILES[profile], grouped=True)
    for number, logits in together(case, schedule).items():
        for ours, theirs in zip(logits, case.alone(number), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_in_every_family(family, attention):
    """Sliding windows among them: padding takes no position in the window. Eager attention's softmax is float32."""
    nearly = 1e-5 if attention == "eager" else 1e-10
    case = Case(family, PROFILES["some layers"], attention=attention)
    for number, logits in together(case, SCHEDULES[1]).items():
        for ours, theirs in zip(logits, case.alone(number), strict=True):
            assert torch.allclose(ours, theirs, atol=nearly)


@pytest.mark.parametrize("slack", [1, 2, 5])
def test_buffers_laid_out_anew_hold_the_same(monkeypatch, slack):
    monkeypatch.setattr(running, "SLACK", slack)
    case = Case("qwen2", PROFILES["prefix"], grouped=True)
    for number, logits in together(case, SCHEDULES[2]).items():
        for ours, theirs in zip(logits, case.alone(number), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-10)


def test_alone_in_the_batch_the_bits_are_the_same():
    case = Case("llama", PROFILES["prefix"], grouped=True)
    for ours, theirs in zip(together(case, {1: 0})[1], case.alone(1), strict=True):
        assert torch.equal(ours, theirs)


def test_an_empty_batch_holds_no_memory():
    case = Case("llama", PROFILES["prefix"])
    batch = case.batch()
    with case.open(1) as decoder:
        decoder.feed([case.questions[1]])
        batch.join(decoder)
    batch.leave(0)
    assert len(batch) == 0
    assert not batch._cache._keys
