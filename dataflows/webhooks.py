"""The main job for Bytewax's own runner: ``python -m bytewax.run dataflows.webhooks:get_flow``.

The config directory comes from HOOKLINE_CONFIG (default ``config``), everything else as for
``hookline run``: config/pipeline.yaml, overridden by HOOKLINE_* variables; HOOKLINE_METRICS names the port of
the HTTP views.
"""

from __future__ import annotations

import os

from bytewax.dataflow import Dataflow


def get_flow() -> Dataflow:
    """Prepare the job of this process and return its dataflow.

    What is wrong with the config or the state ends the process, as it ends `hookline run`.
    """
    from pipeline.runtime.background.accompany import accompany
    from pipeline.runtime.bytewax_run import prepare

    metrics = os.environ.get("HOOKLINE_METRICS")
    return prepare(observe=lambda job, process: accompany(job, process, metrics))
