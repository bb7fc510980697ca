"""What is selected to be signed, as people write it; the list, as it is kept."""

from __future__ import annotations

import pytest

from proxy.backlog.model import Images, Listed, Status, images_in, list_in, names_in, text_of
from proxy.journal.port import Callers
from proxy.oci.faults import Fault

HOSTS = ("proxy.example:5000",)


@pytest.mark.parametrize(
    ("text", "repositories", "tags"),
    [
        ("team/**", "team/**", "*"),
        ("proxy.example:5000/team/*", "team/*", "*"),
        ("team/app:*", "team/app", "*"),
        ("proxy.example:5000/**:v1.*", "**", "v1.*"),
    ],
)
def test_a_pattern_is_one_of_repositories_and_one_of_tags(text: str, repositories: str, tags: str) -> None:
    assert images_in(text, HOSTS) == Images(repositories, tags)


@pytest.mark.parametrize("text", ["Team/**", "other.example:5000/team/**", "a//b*", ""])
def test_what_is_no_pattern_is_said(text: str) -> None:
    with pytest.raises(Fault, match="is no pattern of repositories"):
        images_in(text, HOSTS)


def test_a_pattern_has_what_it_matches() -> None:
    images = images_in("team/*:v1*", ())
    assert [images.has(name) for name in ("team/app", "team/app/deep", "other")] == [True, False, False]
    assert [images.has_tag(tag) for tag in ("v1", "v1.2", "v2")] == [True, True, False]
    assert (images.only, images_in("team/app:*", ()).only) == (None, "team/app")


def test_names_are_one_a_line() -> None:
    text = "# last week's\n\nteam/app:1\n proxy.example:5000/team/app:2 \nteam/app:1\n"
    assert [name.reference for name in names_in(text, HOSTS)] == ["1", "2"]
    with pytest.raises(Fault, match="line 2: repository name not valid"):
        names_in("team/app:1\nTeam/app", HOSTS)
    with pytest.raises(Fault, match="no image is named"):
        names_in("# nothing\n", HOSTS)


def test_the_list_is_kept_whole() -> None:
    images = [
        Listed("team/app", "1", "sha256:ab", callers=Callers(7, ("ann", "b\nob")), last="2026", pushed="ann"),
        Listed("team/app", "sha256:cd", "sha256:cd", Status.DENIED, "why\u2028"),
    ]
    assert list_in(text_of(images)) == images
    assert [each.name for each in images] == ["team/app:1", "team/app@sha256:cd"]
