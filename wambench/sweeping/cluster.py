"""Start, watch and stop Ray: one of our own on this machine, or a cluster somebody else runs."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

# Ray reads these when it is imported: no usage statistics leave the machine, and a dead control
# service is noticed in seconds instead of a minute.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray

from wambench.errors import UserError
from wambench.sweeping.machine import Node, cluster_nodes, memory_pressure, ray_folder
from wambench.sweeping.worker import first_line

OBJECT_STORE_BYTES = 200 * 2**20  # observations are the only large objects: 0.3 MB each
VITAL = ("raylet", "gcs_server")


class RayDied(Exception):
    """Ray itself failed, not a worker: everything in flight is lost."""


class Cluster:
    """A connection to a cluster that somebody else runs; connecting is ``ray.init``."""

    shared = True  # its nodes come and go

    def __init__(self, address: str) -> None:
        _init(f"at {address}", "check the address", address=address)

    @staticmethod
    def nodes() -> list[Node]:
        """The machines that are there."""
        return cluster_nodes(ray.nodes())

    def check(self) -> None:
        """Raise RayDied if Ray is gone."""
        if not ray.is_initialized():
            raise RayDied("the connection to the cluster is lost")

    def stop(self) -> None:
        """Disconnect."""
        ray.shutdown()


class LocalRay(Cluster):
    """A Ray of our own with ``cpus`` worker slots, which dies with this process.

    ``gpus``: how many it lends; None: as many as it finds.
    """

    shared = False

    def __init__(self, cpus: int, gpus: int | None = None) -> None:
        if why := memory_pressure():
            raise UserError(f"cannot start Ray on this machine: {why}")
        folder = ray_folder()
        # A token of this run's own; otherwise Ray keeps one in the home directory.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        others = set(psutil.Process().children())  # of whoever calls this as a library
        _init(
            "on this machine",
            "run wambench doctor",
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            **({"_temp_dir": str(folder)} if folder else {}),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
        )
        self._family: set[psutil.Process] = set()
        # Ray starts its processes as children of this one, or as children of these.
        self._roots = set(psutil.Process().children()) - others
        self._vital = [p for p in self._roots if p.name() in VITAL]

    def check(self) -> None:
        """Raise RayDied if one of Ray's own processes died.

        Ray's client notices a dead raylet only by what fails later, and a call that waits for a
        worker of that raylet may wait for ever.
        """
        for process in self._vital:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise RayDied(f"its process {process.pid} died")
        self._family = set(self._roots)
        for root in self._roots:
            with contextlib.suppress(psutil.NoSuchProcess):  # one that is not vital
                self._family.update(root.children(recursive=True))

    def stop(self) -> None:
        """Stop Ray, and whatever it left behind: orphaned workers hold gigabytes."""
        healthy = all(process.is_running() for process in self._vital)
        if not healthy:
            self._kill_family()
        with contextlib.suppress(ray.exceptions.RayError):  # it cannot take leave of the dead
            ray.shutdown()
        self._kill_family()

    def _kill_family(self) -> None:
        for process in self._family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(self._family, timeout=10)


@contextlib.contextmanager
def kept_off_stdout() -> Iterator[None]:
    """Silence Ray's listener thread, which prints pages of internals where our JSON goes.

    What matters of a dead process reaches us as an exception and the user as one line.
    """
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _init(where: str, remedy: str, **options: object) -> None:
    if ray.is_initialized():  # by whoever calls this as a library
        raise UserError(
            "this process is connected to a Ray already; call ray.shutdown() first, or sweep from "
            "a process of its own"
        )
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)  # type: ignore[arg-type]
    except ray.exceptions.RayError as error:
        # It came up and went down again before we were connected.
        with contextlib.suppress(Exception):
            ray.shutdown()
        raise RayDied(f"while starting: {first_line(error)}") from None
    except Exception as error:  # Ray raises whatever its parts raise
        raise UserError(f"cannot start Ray {where}: {first_line(error)}; {remedy}") from None
    finally:
        # Ray replaces the handler by one that prints a stack and exits on the spot.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_terminate)
