"""Evidently's drift report on two Parquet files, run by a Python that has Evidently.

    python evidently_report.py REFERENCE CURRENT ROUNDS

Prints JSON: its version and the CPU seconds of each round, with the report as HTML, without imports.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

warnings.simplefilter("ignore")

import evidently  # noqa: E402 - its imports warn
import pandas as pd  # noqa: E402
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402


def main() -> None:
    """Make the report so many times; the first one warms up and is not counted."""
    reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    seconds = []
    for _ in range(int(sys.argv[3]) + 1):
        begun = time.process_time()
        Report([DataDriftPreset()]).run(current, reference).get_html_str(as_iframe=False)
        seconds.append(time.process_time() - begun)
    print(json.dumps({"version": evidently.__version__, "seconds": seconds[1:]}))


if __name__ == "__main__":
    main()
