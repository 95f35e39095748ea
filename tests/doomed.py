"""For `dask worker --preload`: a worker that is killed at work, as by a system without memory.

It dies by SIGKILL as soon as it has begun an item of the step DOOMED_STEP; the item's name is left in the
file DOOMED_TRACE.
"""

import os
import signal
from pathlib import Path
from typing import Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin


class Doom(WorkerPlugin):
    """Hears of every item that the worker begins."""

    def transition(self, key: Any, start: str, finish: str, **more: Any) -> None:
        if finish == "executing" and str(key).startswith(f"{os.environ['DOOMED_STEP']}-"):
            Path(os.environ["DOOMED_TRACE"]).write_text(str(key))
            os.kill(os.getpid(), signal.SIGKILL)


async def dask_setup(worker: Worker) -> None:
    await worker.plugin_add(Doom())
