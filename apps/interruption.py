"""Converts Ctrl-C and SIGTERM to a request to stop, which the training loop checks after every step."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignal:
    """Context manager that turns Ctrl-C and SIGTERM into a stop request.

    The training loop calls the ``StopSignal`` object after every step. After the first signal, this call
    returns True, and the training loop stops. A second signal raises KeyboardInterrupt at once. Python
    handles signals only in the main thread, so a ``StopSignal`` in another thread has no effect.
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
