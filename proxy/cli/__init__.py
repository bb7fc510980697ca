"""The `countersign` command: wiring and printing only."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    from proxy.cli.app import run

    run()
