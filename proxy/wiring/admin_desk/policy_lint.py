"""`policy lint`: what a file would be refused for, what it would be warned of, and what policies cannot mean."""

from __future__ import annotations

import asyncio

from proxy.config.policy_file import PolicyFile
from proxy.config.yaml import Mark, Where, render_where
from proxy.flows.house import House
from proxy.flows.provable import names_proven
from proxy.oci.faults import Fault
from proxy.trust.policy_lint import Around, lint
from proxy.web.admin_api import policies as shapes
from proxy.wiring.policies import Policies

ELSEWHERE = ("trust", "keys")


async def linted(text: str | None, name: str, policies: Policies, house: House) -> shapes.Linted:
    """Return everything found in this text, or in the policies in force. Raises nothing for what it says."""
    settings, file = policies.settings, policies.file
    if text is not None:
        try:
            file = await policies.checked(text, name)
        except Fault as wrong:
            return shapes.Linted(findings=tuple(_error(line, name) for line in wrong.message.split(f"; {name}:")))
    images = tuple(key for key in settings.keys if settings.purpose(key) == "image")
    ring, now = house.keybook.ring(), house.clock.now()
    proven = await names_proven(house.registry)
    around = Around(images, tuple(settings.file.trust), ring, now, proven)
    found = await asyncio.to_thread(lint, file.policies.policies, around)
    doubts = [_finding("warning", "doubt", problem.where, problem.text, file) for problem in file.warnings]
    return shapes.Linted(
        findings=(*doubts, *(_finding(each.level, each.code, each.where, each.text, file) for each in found))
    )


def _finding(level: str, code: str, where: Where, text: str, file: PolicyFile) -> shapes.Finding:
    mark: Mark | None = None if where[0] in ELSEWHERE else file.document.mark(where)
    told = {"level": level, "code": code, "where": render_where(where), "text": text}
    return shapes.Finding.model_validate({**told, "line": None if mark is None else mark.line})


def _error(line: str, name: str) -> shapes.Finding:
    """Take a `name:line:column: path: text` line apart."""
    number, _, rest = line.removeprefix(f"{name}:").partition(":")
    _, _, said = rest.partition(": ")
    where, colon, text = said.partition(": ")
    if not colon or " " in where:
        where, text = "", said
    return shapes.Finding(
        level="error", code="refused", where=where, line=int(number) if number.isdigit() else None, text=text
    )
