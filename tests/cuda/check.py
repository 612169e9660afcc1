"""The front of scripts/check-cuda: what there is to check on, the checks one after the other, the table and the JSON."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

WANTED = "2.11."  # the libtorch that signet is built for
NOTHING_TO_CHECK_ON = 5


def stop(reason, code=NOTHING_TO_CHECK_ON):
    print(f"check-cuda: {reason}", file=sys.stderr)
    sys.exit(code)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/check-cuda", description="Check signet on a GPU against PyTorch.")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every result and figure to FILE")
    parser.add_argument("--only", metavar="CHECKS", help="comma-separated names of checks, as the table has them")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu tries the checks themselves, in small")
    parsed = parser.parse_args()
    if parsed.json and not parsed.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder {parsed.json.parent}")
    program = pathlib.Path(os.environ["SIGNET"])
    if not program.is_file():
        parser.error(f"there is no program {program}; name it by SIGNET")
    return parsed, program


def torch_for(device):
    """PyTorch, once it is known to be the right one and to have a GPU."""
    try:
        import torch
    except ImportError:
        stop(f"{sys.executable} has no PyTorch; name a Python with PyTorch {WANTED}0 by PYTHON")
    if not torch.__version__.startswith(WANTED):
        stop(f"{sys.executable} has PyTorch {torch.__version__}, but signet needs {WANTED}0; name another by PYTHON")
    if device == "cuda" and not torch.cuda.is_available():
        stop("there is no GPU that PyTorch can use; --device cpu tries the checks themselves")
    return torch


def run(checks, context, only):
    """Every check with its outcome, detail, figures and seconds."""
    from program import Failed, LeftOut

    rows = []
    for name, check in checks.items():
        if only and name not in only:
            continue
        print(f"check-cuda: {name}", file=sys.stderr, flush=True)
        start, figures = time.perf_counter(), {}
        try:
            outcome, detail = "passed", check(context, figures)
        except Failed as failed:
            outcome, detail = "FAILED", str(failed)
        except LeftOut as reason:
            outcome, detail = "left out", str(reason)
        seconds = round(time.perf_counter() - start, 1)
        rows.append({"check": name, "outcome": outcome, "detail": detail, "figures": figures, "seconds": seconds})
    return rows


def main():
    options, program = arguments()
    torch = torch_for(options.device)
    import checks  # they need PyTorch

    only = options.only.split(",") if options.only else []
    for name in only:
        if name not in checks.CHECKS:
            stop(f"--only: {name} is not one of {', '.join(checks.CHECKS)}", 2)
    with tempfile.TemporaryDirectory(prefix="check-cuda-") as folder:
        rows = run(checks.CHECKS, checks.Context(program, folder, options.device), only)
    width = max(len(row["check"]) for row in rows)
    for row in rows:
        print(f"{row['check']:<{width}}  {row['outcome']:<8}  {row['detail']}")
    if options.json:
        gpu = torch.cuda.get_device_name() if options.device == "cuda" else None
        found = {"device": options.device, "gpu": gpu, "PyTorch": torch.__version__, "checks": rows}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(1 if any(row["outcome"] == "FAILED" for row in rows) else 0)


if __name__ == "__main__":
    main()
