"""A replay for Bytewax's own runner: ``python -m bytewax.run "dataflows.replay:get_flow(to='http://..')"``.

The words are those of ``hookline replay``; config and source as for `dataflows.webhooks`. It has a state
directory of its own, beside the job's and named after the words, as there.
"""

from __future__ import annotations

from bytewax.dataflow import Dataflow


def get_flow(
    since: str | None = None,
    until: str | None = None,
    webhooks: tuple[str, ...] = (),
    user: str | None = None,
    to: str | None = None,
) -> Dataflow:
    """Prepare a replay in this process and return its dataflow; times are ISO 8601."""
    from pipeline.job.replay import Replay
    from pipeline.model.times import parse_time
    from pipeline.runtime.bytewax_run import prepare

    return prepare(
        Replay(
            None if since is None else parse_time(since),
            None if until is None else parse_time(until),
            frozenset(webhooks),
            user,
            to,
        )
    )
