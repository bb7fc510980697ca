"""`countersign config explain`: every setting in force, and where it comes from."""

from pathlib import Path

import pytest

from proxy.cli.config import explained, validated
from proxy.oci.faults import ConfigError, Invalid
from tests.unit.config.test_settings import SIGNING


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "countersign.yaml"
    path.write_text(SIGNING + '  - repositories: ["**"]\n')
    return path


def test_every_setting_with_its_line_or_as_default(file: Path) -> None:
    lines = {line.split()[0]: line for line in explained(file, None)[1].splitlines()}
    assert lines["server.public_urls"].endswith('["https://registry.example.com"]  (line 3)')
    assert lines["server.listen"].endswith('"127.0.0.1:5000"  (default)')
    assert lines["tokens.hsm.label"].endswith('"prod"  (line 7)')
    assert lines["limits.index_depth"].endswith("3  (default)")


def test_the_policy_of_a_repository_and_why_that_one(file: Path) -> None:
    printed = explained(file, "prod/app")[1]
    assert printed.startswith(
        "prod/app: policies[0] in line 12, by pattern prod/**, the most specific of 2 patterns that match\n"
    )
    assert '  push.sign_with: ["release"]  (line 13)\n' in printed
    assert explained(file, "other")[1].startswith("other: policies[1] in line 15, by pattern **\n")


def test_a_repository_that_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "countersign.yaml"
    path.write_text(SIGNING)
    assert "no policy matches other: it is closed" in explained(path, "other")[1]


def test_what_is_no_repository(file: Path) -> None:
    with pytest.raises(Invalid, match="write the name of one repository"):
        explained(file, "Prod/\x1b")


def test_policies_by_the_api_are_not_those_of_the_file(file: Path) -> None:
    file.write_text(f"policies_from: api\n{file.read_text()}")
    assert "the newest revision is in force (countersign policy show), not these" in validated(file)[1]
    with pytest.raises(ConfigError, match="the policy of prod/app is in: countersign policy show"):
        explained(file, "prod/app")
