"""Ctrl-C and SIGTERM, as a question that the training asks after every step."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignal:
    """Ctrl-C or a polite kill ends the training after its step; a second one ends it at once.

    Outside of the main thread, where Python handles no signals, it is never requested.
    """

    def __init__(self) -> None:
        self.requested = False
        self.previous: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.requested

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            self.previous = {
                number: signal.signal(number, self._request) for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
