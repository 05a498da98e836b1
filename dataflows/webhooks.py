"""The main job for Bytewax's own runner: ``python -m bytewax.run dataflows.webhooks:get_flow``.

The config directory comes from HOOKLINE_CONFIG (default ``config``), everything else as for
``hookline run``: config/pipeline.yaml, overridden by HOOKLINE_* variables.
"""

from __future__ import annotations

from bytewax.dataflow import Dataflow


def get_flow() -> Dataflow:
    """Prepare the job of this process and return its dataflow.

    Raises ConfigError or StateError; nothing has been read or sent by then.
    """
    from pipeline.runtime.bytewax_run import prepare

    return prepare()
