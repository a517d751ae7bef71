"""``python -m tests.fuzz``: every target, coverage-guided by Atheris, as many inputs as ``--total`` says.

    python -m tests.fuzz --seed 7                     # all, two at a time
    python -m tests.fuzz --seed 7 --only gateway      # one, with its output
    python -m tests.fuzz --only gateway --replay FILE # what a run has found

Each target is a process of its own, with libFuzzer's seed: the same seed and code give the same inputs. It
fails by an exception other than the expected ones, by an input that takes ten seconds, by a gigabyte of
memory, and when more Python objects live at its end than there did when it had warmed up. What failed lies in
``--artifacts`` as a file.
"""

import argparse
import gc
import importlib
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

WARM = 4
"""After this part of the runs a target has filled its caches: what grows from then on grows for ever."""
GROWTH = 50_000
"""Blocks of memory (about 4 MB) by which it may have changed at the end."""


def fuzz(name: str, runs: int, seed: int, artifacts: Path) -> None:
    """Fuzz one target in this process, which ends with it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["guestnet"]):
        target = importlib.import_module("tests.fuzz.targets").TARGETS[name]
    done, blocks = 0, 0

    def one(data: bytes) -> None:
        nonlocal done, blocks
        try:
            target.run(data)
        except Exception:
            traceback.print_exc()  # Atheris tells it on a stream that its exit may not flush
            raise
        done += 1
        if done == runs // WARM:
            blocks = _blocks()
        elif done == runs - 1 and (growth := _blocks() - blocks) > GROWTH:
            raise MemoryError(f"{growth} blocks of memory more than after {runs // WARM} of {runs} inputs")

    with tempfile.TemporaryDirectory() as folder:
        for number, octets in enumerate(target.corpus()):
            Path(folder, f"{number:04}").write_bytes(octets[: target.longest])
        options = [
            f"-runs={runs}", f"-seed={seed}", f"-max_len={target.longest}", "-timeout=10",
            "-rss_limit_mb=1024", f"-artifact_prefix={artifacts}/{name}-", "-verbosity=0",
        ]  # fmt: skip
        atheris.Setup([name, folder, *options], one)
        atheris.Fuzz()


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def everything(names: list[str], total: int, seed: int, artifacts: Path, jobs: int) -> int:
    """Fuzz targets as processes, ``jobs`` at a time; returns how many failed."""
    targets = importlib.import_module("tests.fuzz.targets").TARGETS
    whole = sum(target.runs for target in targets.values())
    shares = {name: max(targets[name].runs * total // whole, 10) for name in names}

    def run(name: str) -> bool:
        began = time.monotonic()
        arguments = ["--only", name, "--total", str(shares[name]), "--seed", str(seed), "--here"]
        command = [sys.executable, "-m", "tests.fuzz", *arguments, "--artifacts", str(artifacts)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line for line in ended.stderr.splitlines() if not line.startswith("INFO: Instrumenting")]
        verdict = "ok" if ended.returncode == 0 else "\n".join(["FAILED", *lines])
        print(f"{name}: {shares[name]} inputs in {time.monotonic() - began:.0f} s: {verdict}", flush=True)
        return ended.returncode == 0

    # The longest first, so that no processor is idle at the end.
    order = sorted(names, key=lambda name: targets[name].runs, reverse=True)
    order.sort(key=lambda name: name not in ("gateway", "tcp-connection"))
    with ThreadPoolExecutor(jobs) as pool:
        verdicts = list(pool.map(run, order))
    print(f"{sum(shares.values())} inputs, seed {seed}: {verdicts.count(False)} targets failed")
    return verdicts.count(False)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 31))
    parser.add_argument("--total", type=int, default=10_000_000, help="inputs of all targets together")
    parser.add_argument("--only", help="one target")
    parser.add_argument("--replay", type=Path, help="run this input alone")
    parser.add_argument("--artifacts", type=Path, default=Path("reports/fuzz"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.artifacts.mkdir(parents=True, exist_ok=True)
    if chosen.here:
        fuzz(chosen.only, chosen.total, chosen.seed, chosen.artifacts)
        return 0
    targets = importlib.import_module("tests.fuzz.targets").TARGETS
    if chosen.replay is not None:
        targets[chosen.only].run(chosen.replay.read_bytes())
        return 0
    names = [chosen.only] if chosen.only else list(targets)
    return 1 if everything(names, chosen.total, chosen.seed, chosen.artifacts, chosen.jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
