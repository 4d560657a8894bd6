"""``wambench serve``: a policy for clients of other suites."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from wambench.cli.options import PolicyOption, parsed
from wambench.errors import UserError
from wambench.wire.tokens import read_token

LOOPBACK = ("127.0.0.1", "::1")  # as in wambench.wire.listening, which is not imported for a help


def serve(
    policy: Annotated[str, typer.Argument(help="A policy; see wambench policies.")],
    protocol: Annotated[
        Literal["openpi", "vla-eval", "starvla"], typer.Option(help="What its clients speak.")
    ] = "openpi",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    option: PolicyOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise, beside the question.")] = 0,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds a token that clients must show.")
    ] = None,
    episode_per_connection: Annotated[
        bool, typer.Option(help="A connection is an episode, for policies with a memory.")
    ] = False,
) -> None:
    """Serve a policy over a WebSocket until Ctrl-C.

    Example: wambench serve nano-pi0 --protocol openpi --port 8000
    """
    token = None if token_file is None else read_token(token_file, "--token-file")
    if host not in LOOPBACK and token is None:
        raise UserError(
            f"--host {host}: others could reach the policy; add --token-file with a token, or "
            "listen on 127.0.0.1"
        )
    from wambench.wire import openpi_server, starvla_server, vla_eval_server
    from wambench.wire.host import Host
    from wambench.wire.listening import until_stopped
    from wambench.wire.presets import OPENPI_PANDA, STARVLA_PANDA, VLA_EVAL_PANDA

    presets = {"openpi": OPENPI_PANDA, "starvla": STARVLA_PANDA, "vla-eval": VLA_EVAL_PANDA}
    served = Host(policy, parsed(option or ()), presets[protocol])
    where = (served, host, port, token)

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            if protocol == "vla-eval":  # which tells of its episodes
                server = await vla_eval_server.start(*where, seed=seed)
            else:
                begin = openpi_server.start if protocol == "openpi" else starvla_server.start
                server = await begin(
                    *where, seed=seed, episode_per_connection=episode_per_connection
                )
        except OSError as error:
            raise UserError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another --port"
            ) from None
        await served.load()
        taken = next(iter(server.sockets)).getsockname()[1]
        print(f"serving {policy} on {protocol}://{host}:{taken}; Ctrl-C ends", flush=True)
        await until_stopped(server, stop)

    asyncio.run(run())
    print("stopped")
