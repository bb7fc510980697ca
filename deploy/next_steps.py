"""The commands `make run` shows, with the addresses and files of this very run in them."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.interop import builds

ROOT = Path(__file__).parents[1]
BOLD, PLAIN = "\033[1m", "\033[0m"


def shown(path: Path) -> str:
    """The path as one would type it from here: relative if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def cosign(key: str, reference: str, run: Path) -> str | None:
    """The command that verifies with the cosign of this machine, installed or built for the tests; None without one."""
    built = builds.place("cosign")
    installed = shutil.which("cosign")
    if installed is None and not built.exists():
        return None
    command = f"{'cosign' if installed else built} verify --key {key} --insecure-ignore-tlog"
    if (
        installed
        and "v2." in subprocess.run([installed, "version"], capture_output=True, text=True, check=False).stdout
    ):
        # Version 2 wants a trusted root before it reads a bundle, even one signed by a plain key; an empty one will do.
        root = run / "trusted_root.json"
        root.write_text('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
        command += f" --trusted-root {shown(root)}"
    return f"{command} {reference}"


def text(ports: dict[str, int], run: Path, seconds: float) -> str:
    """What is running where, and what to type next."""
    proxy, registry = (f"127.0.0.1:{ports[name]}" for name in ("proxy", "registry"))
    key, config, images = (shown(run / name) for name in ("keys/release.pub", "countersign.yaml", "images"))
    pulled = shown(run / "pulled")
    own = shown(ROOT / ".venv" / "bin" / "countersign")
    verify = cosign(key, f"{proxy}/demo/hello:1", run)
    steps: list[tuple[str, list[str]]] = [
        (
            "push through the proxy: it comes out signed",
            [f"skopeo copy --dest-tls-verify=false oci:{images}/hello:latest docker://{proxy}/demo/hello:1"],
        ),
        (
            "pull it back: the signature satisfies the policy",
            [f"skopeo copy --src-tls-verify=false docker://{proxy}/demo/hello:1 dir:{pulled}/hello"],
        ),
        (
            "see what was decided, and why",
            [
                f"{own} verify --config {config} demo/hello:1",
                f"{own} why --config {config} demo/hello:1",
            ],
        ),
    ]
    if verify:
        steps.append(("verify it with cosign, which knows nothing of the proxy", [verify]))
    steps += [
        (
            "put an unsigned image behind the proxy's back, and see it blocked",
            [
                f"skopeo copy --dest-tls-verify=false oci:{images}/stranger:latest docker://{registry}/demo/stranger:1",
                f"skopeo copy --src-tls-verify=false docker://{proxy}/demo/stranger:1 dir:{pulled}/stranger",
            ],
        ),
        (
            "if it deserves it, sign it where it lies; the same pull then works",
            [f'{own} sign --config {config} demo/stranger:1 --reason "looked at it"'],
        ),
    ]
    steps += [
        (
            "rotate the key: nothing stops, and what the old one signed still passes",
            [
                f'{own} keys rotate release --config {config} --reason "it is Tuesday" --yes',
                f"skopeo copy --src-tls-verify=false docker://{proxy}/demo/hello:1 dir:{pulled}/still",
            ],
        ),
        ("what others need to verify for themselves", [f"curl http://{proxy}/-/trust/"]),
    ]
    if shutil.which("docker"):
        steps.append(
            (
                "the same with docker, for an image you have (127.0.0.1 needs no TLS)",
                [f"docker tag IMAGE {proxy}/demo/mine:1 && docker push {proxy}/demo/mine:1"],
            )
        )
    bold, plain = (BOLD, PLAIN) if sys.stdout.isatty() else ("", "")
    lines = [
        "",
        f"{bold}Countersign is ready{plain} ({seconds:.1f} s)",
        "",
        f"  proxy     http://{proxy}   what clients use",
        f"  registry  http://{registry}   behind it; where it counts, only the proxy may reach it",
        f"  admin     http://127.0.0.1:{ports['admin']}   /livez /readyz /metrics",
        f"  key       {key}   the private half never leaves the token",
        f"  config    {config}   logs: {shown(run / 'proxy.log')}, {shown(run / 'registry.log')}",
        "",
    ]
    for what, commands in steps:
        lines += [f"{bold}# {what}{plain}", *commands, ""]
    lines.append("Ctrl-C stops everything; keys and images stay for the next `make run`.")
    return "\n".join(lines)
