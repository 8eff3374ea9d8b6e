"""The service as the fault run starts it: ``python bench/faults/launched.py [command of main.py]``.

Before it starts, waits are shortened (``BENCH_WAITS``, see ``sizes.py``) and, in a control, one safety is taken out
(``BENCH_SABOTAGE``, see ``sabotage.py``). The product itself holds no switch for either.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

_LOOK_SECONDS = 1.0


def shorten(waits: dict[str, float]) -> None:
    """Sets each name before others import it. Raises ``AttributeError`` when the service has no such name any more."""
    for place, seconds in waits.items():
        module_name, _, name = place.partition(":")
        module = importlib.import_module(module_name)
        getattr(module, name)
        setattr(module, name, seconds)


def end_with(parent: int) -> None:
    """The run may be killed; its services must not outlive it."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    shorten(json.loads(os.environ.get("BENCH_WAITS", "{}")))
    if sabotage := os.environ.get("BENCH_SABOTAGE"):
        from bench.faults.sabotage import VARIANTS

        VARIANTS[sabotage].patch()
    import main

    sys.exit(main.main(sys.argv[1:]))
