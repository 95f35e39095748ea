"""What machine a figure was measured on."""

import os
import platform
from pathlib import Path


def describe() -> dict[str, str]:
    """Processor, cores, memory and versions, as a reader needs them to judge a figure."""
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": _first("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "python": platform.python_version(),
    }


def _first(path: str, key: str, separator: str = ":") -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(separator)
        if name.strip() == key:
            return value.strip()
    return "unknown"


def _memory() -> str:
    kibibytes = int(_first("/proc/meminfo", "MemTotal").split()[0])
    return f"{kibibytes / 2**20:.0f} GiB"


def peak_mib(process: int | str) -> float:
    """The most memory that a process (or `self`) has held so far, in MiB."""
    return int(_first(f"/proc/{process}/status", "VmHWM").split()[0]) / 1024
