"""Starting the processes of a training on this host with torch's launcher, as torchrun does.

Fabric's launcher is not used: it kills the first process as soon as another ends with a status, for example after a
stop that was saved.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence

GRACE = 600  # seconds that processes get to finish a step and save after a signal


def launch(count: int, module: str, arguments: Sequence[str]) -> int:
    """Run ``python -m MODULE ARGUMENTS`` in ``count`` processes that find each other, and wait for their end.

    Signals to stop are passed on. Unless ``OMP_NUM_THREADS`` is set, the processes share the cores evenly.

    Returns:
        The exit status: that of the first process that failed, or 128 plus the number of a signal.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    logging.disable()  # the processes report their errors themselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        logs_specs=DefaultLogsSpecs(),
        signals_to_handle=",".join(_heeded()),
        shutdown_timeout=GRACE,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except ChildFailedError as error:
        return _status(error.get_first_failure()[1].exitcode)
    except SignalException as stop:
        return 128 + int(stop.sigval)
    finally:
        logging.disable(logging.NOTSET)
    return 0


def _heeded() -> list[str]:
    """Return the signals to pass on, without those that this process ignores, as under ``nohup``."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [name for name in names if signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN]


def _status(code: int) -> int:
    """Return a process's exit code as a shell shows it."""
    return code if code >= 0 else 128 - code
