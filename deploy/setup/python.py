"""Makes .venv from the pinned requirements: `python.py run` for serving, `python.py dev` for tests as well.

Does nothing when the requirement files have not changed since the last time (a stamp in .venv holds their
hash). Standard library only: it runs before anything is installed.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
FILES = {"run": ("build.txt", "run.txt"), "dev": ("build.txt", "dev.txt")}
OLDEST = (3, 11)


def fingerprint(purpose: str) -> str:
    """The hash of everything that decides what is installed: requirements, the project's metadata, this Python."""
    parts = hashlib.sha256(f"{purpose} {sys.version} {ROOT}".encode())
    for path in [*(ROOT / "requirements" / name for name in FILES[purpose]), ROOT / "pyproject.toml"]:
        parts.update(path.read_bytes())
    return parts.hexdigest()


def is_done(purpose: str) -> bool:
    """Whether the last run installed just this; what suffices for tests suffices for serving."""
    enough = {"run": ("run", "dev"), "dev": ("dev",)}[purpose]
    stamps = [(VENV / f".countersign-{name}", fingerprint(name)) for name in enough]
    return (VENV / "bin" / "countersign").exists() and any(
        stamp.exists() and stamp.read_text() == expected for stamp, expected in stamps
    )


def pip(*arguments: str) -> None:
    """pip has done so in .venv, or CalledProcessError: it has said why."""
    subprocess.run(
        [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=True,
    )


def main(purpose: str) -> int:
    """.venv holds the pinned requirements and .venv/bin/countersign; 1 with a reason if it could not be made."""
    if sys.version_info < OLDEST:
        print(
            f"setup: this is Python {sys.version.split()[0]} and 3.11 or newer is needed: make setup PYTHON=python3.11"
        )
        return 1
    if is_done(purpose):
        print("setup: .venv is up to date")
        return 0
    try:
        if not PYTHON.exists():
            print(f"setup: making .venv with Python {sys.version.split()[0]}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        print(f"setup: installing what {purpose} needs, pinned by hash", flush=True)
        for name in FILES[purpose]:  # whole lists: what pip would look up again it could only get wrong
            pip("install", "--quiet", "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / name))
        # The project itself, in place: no network, no dependencies but those just checked by hash.
        pip("install", "-qq", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    except subprocess.CalledProcessError as error:
        print(f"setup: .venv could not be finished: {error.cmd[0]} exited with {error.returncode}, see above;")
        print("setup: once that is mended, run `make setup` again (it goes on where it stopped)")
        return 1
    for stamp in VENV.glob(".countersign-*"):
        stamp.unlink()
    (VENV / f".countersign-{purpose}").write_text(fingerprint(purpose))
    print("setup: .venv is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
