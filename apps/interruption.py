"""Ctrl-C and SIGTERM as a stop request, which the training checks after every step."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignal:
    """Ends the training after the current step on Ctrl-C or SIGTERM; a second signal ends it at once.

    Python handles signals in the main thread only. In any other thread, a stop is never requested.
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
