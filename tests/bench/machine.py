"""What the figures were measured on."""
import datetime
import os
import pathlib
import platform
import shutil

BUSY = 0.5  # programs waiting for each core, from which figures are doubtful
BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def processor():
    """The processor's name and the set of its features, as far as Linux or macOS tells."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    found = {key.strip(): value.strip() for key, value in pairs}
    features = set((found.get("flags") or found.get("Features") or "").split())
    return found.get("model name") or platform.processor() or platform.machine(), features


def cores():
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def has_bf16():
    return bool(BF16 & processor()[1])


def has_compiler():
    return shutil.which(os.environ.get("CXX", "g++")) is not None or shutil.which("clang++") is not None


def warnings():
    """Reasons to doubt the results."""
    load, count = os.getloadavg()[0], cores()
    if load > BUSY * count:
        return [f"the machine was busy when this began (load average {load:.1f} on {count} cores)"]
    return []


def describe(versions, signet):
    """As a table of values."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor()[0],
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "signet": signet,
        **versions,
    }


def sentence(machine):
    return (
        f"{machine['date']}, {machine['cores']} cores of {machine['processor']} ({machine['instructions']}), "
        f"{machine['signet']}, PyTorch {machine['PyTorch']}, Python {machine['Python']}, Pillow {machine['Pillow']}."
    )
