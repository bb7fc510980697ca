"""`policy lint`: what a file would be refused for, what it would be warned of, and what policies cannot mean."""

from __future__ import annotations

from proxy.policies import routes as shapes
from proxy.policies.in_force import Policies
from proxy.policies.lint import LintContext, looks
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.provable import names_proven


async def linted(text: str | None, name: str, policies: Policies, ports: Ports) -> shapes.Linted:
    """Return everything found in this text, or in the policies in force. Raises Fault for one that takes too long."""
    settings = policies.settings
    images = [key for key in settings.keys if settings.purpose(key) == "image"]
    proven = await names_proven(ports.registry)
    around = LintContext(looks(images, ports.keybook.ring()), tuple(settings.file.trust), ports.clock.now(), proven)
    if text is None:
        found = await policies.texts.lint_kept(policies.file, settings, around)
    else:
        found = await policies.texts.lint(text, name, settings, around)
    return shapes.Linted(findings=tuple(shapes.LintFindingShown.model_validate(each) for each in found))
