"""The questions of all users, decoded together: each joins the running batch when it arrives, and leaves it when
answered.

Two threads select nodes and load rows in advance; a third one runs the model's steps. Between two steps, at most one
question is started, so that answers in progress continue.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sharedllm_docs.errors import QuestionCancelledError, ServingError, TookTooLongError
from sharedllm_docs.injection.running import RunningBatch
from sharedllm_docs.retrieval.answer import Citation
from sharedllm_docs.serving.waiting import FairLine
from sharedllm_docs.serving.writings import Writing

PREPARERS = 2
AHEAD = 2
"""Number of questions whose rows are loaded before there is room in the batch; more would only take memory."""
_SWEEP = 0.5
"""Seconds between two checks of the waiting questions for expired deadlines."""


class Reader(Protocol):
    """The receiver of an answer. Called from other threads."""

    def begin(self, sources: tuple[Citation, ...]) -> None: ...
    def piece(self, text: str) -> None: ...
    def finish(self, result: Any) -> None: ...
    def fail(self, error: BaseException) -> None: ...


@dataclass(eq=False)
class Job:
    """A question that waits or is being answered.

    Attributes:
        make: selects nodes and loads rows; regularly calls its argument, which raises if the question is to be dropped.
        reader: gets the answer.
        caller: whose question it is.
        deadline: time of the monotonic clock after which it is dropped.
        cancelled: whether nobody waits for it any more.
        writing: the answer in progress, once ``make`` has returned it.
        asked: time of the monotonic clock at which it arrived.
    """

    make: Callable[[Callable[[], None]], Writing[Any]]
    reader: Reader
    caller: str
    deadline: float = math.inf
    cancelled: bool = False
    writing: Writing[Any] | None = None
    asked: float = field(default_factory=time.monotonic)

    @property
    def verdict(self) -> ServingError | None:
        """Why it is to be dropped, or None."""
        if self.cancelled:
            return QuestionCancelledError("It was cancelled.")
        if time.monotonic() > self.deadline:
            seconds = self.deadline - self.asked
            return TookTooLongError(f"The answer was not complete after {seconds:g} seconds.")
        return None

    def check(self) -> None:
        """Raise the reason if it is to be dropped."""
        if (verdict := self.verdict) is not None:
            raise verdict


@dataclass
class _Lane:
    """Questions that the same model answers, in the order of the batch."""

    batch: RunningBatch
    jobs: list[Job] = field(default_factory=list)


@dataclass
class Tally:
    """Counts since the start.

    Attributes:
        asked: questions taken.
        answered: questions answered.
        failed: questions that ended in an error.
        cancelled: questions that were dropped: cancelled, or after their deadline.
        refused: questions for which there was no room in the queue.
        steps: steps of the model.
        stepped: tokens generated in these steps.
    """

    asked: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    steps: int = 0
    stepped: int = 0


class Batches:
    """Accepts questions and answers them in its own threads.

    Args:
        max_waiting: number of questions that may wait.
        max_waiting_each: number of them that may be of one caller.
        max_running: number of questions decoded together.

    Attributes:
        tally: counts.
    """

    def __init__(self, *, max_waiting: int = 256, max_waiting_each: int = 128, max_running: int = 8) -> None:
        self.tally = Tally()
        self._max_running = max_running
        self._line: FairLine[Job] = FairLine(max_waiting, max_waiting_each)
        self._state = threading.Condition()
        self._preparing = 0
        self._ready: deque[Job] = deque()
        self._lanes: dict[tuple[object, ...], _Lane] = {}
        self._running = 0
        self._seconds_each = 1.0
        self._closed = False
        self._threads: list[threading.Thread] = []

    # -- asking -------------------------------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Let a question wait for its turn.

        Raises:
            BusyError: too many wait.
            QuestionCancelledError: it is closed.
        """
        with self._state:
            if self._closed:
                raise QuestionCancelledError("The server is being stopped.")
            try:
                self._line.append(job.caller, job, retry_after=self._wait_seconds())
            except ServingError:
                self.tally.refused += 1
                raise
            self.tally.asked += 1
            self._start_threads()
            self._state.notify_all()

    def cancel(self, job: Job) -> None:
        """Drop a question: it leaves the queue at once, or the batch before the next step."""
        with self._state:
            job.cancelled = True
            waited = self._line.remove(job)
            self._state.notify_all()
        if waited:
            self._give_up(job, QuestionCancelledError("It was cancelled."))

    @property
    def waiting(self) -> int:
        """Number of questions that wait."""
        with self._state:
            return len(self._line) + self._preparing + len(self._ready)

    @property
    def running(self) -> int:
        """Number of questions in the batch."""
        return self._running

    def close(self) -> None:
        """End all questions after the current step, and the threads."""
        with self._state:
            self._closed = True
            left = [*self._line.things(), *self._ready]
            for job in self._line.things():
                self._line.remove(job)
            self._ready.clear()
            self._state.notify_all()
        for job in left:
            self._give_up(job, QuestionCancelledError("The server is being stopped."))
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _wait_seconds(self) -> int:
        """Estimated seconds until there is room in the queue."""
        return min(60, max(1, math.ceil(self._seconds_each * len(self._line) / self._max_running)))

    def _start_threads(self) -> None:
        if not self._threads:
            targets = [self._prepare] * PREPARERS + [self._step]
            self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
            for thread in self._threads:
                thread.start()

    # -- the threads that load rows -----------------------------------------------------------------------------------

    def _prepare(self) -> None:
        while (job := self._next()) is not None:
            try:
                if (verdict := job.verdict) is None:
                    job.writing = job.make(job.check)
                    job.reader.begin(job.writing.sources)
            except (QuestionCancelledError, TookTooLongError) as error:
                verdict = error
            except BaseException as error:
                verdict = None
                self._fail(job, error)
            with self._state:
                self._preparing -= 1
                if job.writing is not None and not self._closed:
                    self._ready.append(job)
                self._state.notify_all()
            if verdict is not None or (job.writing is not None and self._closed):
                self._give_up(job, verdict or QuestionCancelledError("The server is being stopped."))

    def _next(self) -> Job | None:
        """The next question in the queue, as soon as its rows are needed; None at the end."""
        with self._state:
            while not self._closed:
                ahead = self._preparing + len(self._ready) + self._running
                if len(self._line) and ahead < self._max_running + AHEAD:
                    self._preparing += 1
                    return self._line.pop()
                self._state.wait()
        return None

    # -- the thread that runs the model -------------------------------------------------------------------------------

    def _step(self) -> None:
        while (new := self._turn()) is not False:
            if new is not None:
                self._begin(new)
            for key in list(self._lanes):
                self._step_lane(self._lanes[key])
                if not self._lanes[key].jobs:
                    del self._lanes[key]
        for lane in self._lanes.values():
            for job in lane.jobs:
                self._give_up(job, QuestionCancelledError("The server is being stopped."))
        self._lanes.clear()

    def _turn(self) -> Job | Literal[False] | None:
        """A question to start, or None for a step of those in progress; False at the end."""
        expired: list[Job] = []
        try:
            with self._state:
                while not self._closed:
                    expired += [job for job in self._line.things() if job.verdict and self._line.remove(job)]
                    if self._ready and self._running < self._max_running:
                        self._running += 1
                        job = self._ready.popleft()
                        self._state.notify_all()
                        return job
                    if self._running or expired:
                        return None
                    self._state.wait(_SWEEP if len(self._line) else None)
            return False
        finally:
            for job in expired:
                self._give_up(job, job.verdict)

    def _begin(self, job: Job) -> None:
        """Process the prompt of a question, and add it to the batch unless one token was enough."""
        writing = job.writing
        assert writing is not None
        if not self._is_still_wanted(job):
            return
        try:
            self._send(job, writing.begin())
            if writing.done or writing.decoder is None:
                self._end(job)
                return
            lane = self._lanes.get(writing.batch_key)
            if lane is None:
                lane = self._lanes[writing.batch_key] = _Lane(writing.new_batch())
            lane.batch.join(writing.decoder)
            lane.jobs.append(job)
        except BaseException as error:
            self._leave(job)
            self._fail(job, error)

    def _step_lane(self, lane: _Lane) -> None:
        """One token of each question of a lane."""
        for number in reversed(range(len(lane.jobs))):
            if not self._is_still_wanted(lane.jobs[number]):
                self._drop(lane, number)
        if not lane.jobs:
            return
        try:
            logits = lane.batch.feed([job.writing.last_token for job in lane.jobs if job.writing])
        except BaseException as error:  # the batch's memory is in an unknown state, so all of it is dropped
            for job in lane.jobs:
                self._leave(job)
                self._fail(job, error)
            lane.jobs.clear()
            return
        self.tally.steps += 1
        self.tally.stepped += len(lane.jobs)
        for number in reversed(range(len(lane.jobs))):
            self._take(lane, number, logits[number : number + 1])

    def _take(self, lane: _Lane, number: int, logits: Any) -> None:
        job = lane.jobs[number]
        assert job.writing is not None
        try:
            self._send(job, job.writing.take(logits))
            if job.writing.done:
                self._drop(lane, number)
                self._end(job)
        except BaseException as error:
            if job in lane.jobs:
                self._drop(lane, number)
            self._leave(job)
            self._fail(job, error)

    @staticmethod
    def _drop(lane: _Lane, number: int) -> None:
        """Remove a question from a batch; the last question takes its number."""
        lane.batch.leave(number)
        last = lane.jobs.pop()
        if number < len(lane.jobs):
            lane.jobs[number] = last

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _is_still_wanted(self, job: Job) -> bool:
        """Whether somebody still waits for a question in the batch; otherwise it leaves."""
        verdict = job.verdict
        if verdict is None:
            return True
        self._leave(job)
        self._give_up(job, verdict)
        return False

    def _send(self, job: Job, piece: str) -> None:
        if piece:
            job.reader.piece(piece)

    def _end(self, job: Job) -> None:
        assert job.writing is not None
        rest, result = job.writing.end()
        self._leave(job)
        self._send(job, rest)
        self.tally.answered += 1
        self._seconds_each += 0.1 * (time.monotonic() - job.asked - self._seconds_each)
        job.reader.finish(result)

    def _leave(self, job: Job) -> None:
        """Free what a question in the batch contains."""
        if job.writing is None:
            return
        job.writing.close()
        job.writing = None
        with self._state:
            self._running -= 1
            self._state.notify_all()

    def _give_up(self, job: Job, error: BaseException | None) -> None:
        self.tally.cancelled += 1
        if job.writing is not None:
            job.writing.close()
            job.writing = None
        job.reader.fail(error or QuestionCancelledError("It was cancelled."))

    def _fail(self, job: Job, error: BaseException) -> None:
        self.tally.failed += 1
        job.reader.fail(error)
