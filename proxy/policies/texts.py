"""Read, compare and lint policy texts through a reader that does the slow part."""

from __future__ import annotations

from dataclasses import asdict

from proxy.config import Settings
from proxy.config.policy_file import PolicyFile, policies_of
from proxy.oci.faults import Fault
from proxy.policies.lint import LintContext
from proxy.policies.process import Reader
from proxy.policies.revision import TEXT_BYTES
from proxy.policies.worker import Json

SEGMENTS = 3000  # of all patterns of one text together


class PolicyTexts:
    """Operations on policy texts. An `urgent` text, to be put in force, does not wait for texts that are only tried.

    All methods raise Fault, for a refused text and for one that takes too long, and Unavailable.
    """

    def __init__(self, reader: Reader) -> None:
        """`reader` answers the requests."""
        self._reader = reader

    async def read(self, text: str, name: str, settings: Settings, *, urgent: bool = False) -> PolicyFile:
        """Return the policies in a submitted text. Raises Fault for the reasons that refuse a configuration."""
        _bounded(text)
        return await self._read(_request("read", text, name, settings), urgent=urgent)

    async def read_kept(self, text: str, name: str, settings: Settings) -> PolicyFile:
        """Return the policies in a text that was accepted earlier: size limits added since then do not apply."""
        return await self._read({**_request("read", text, name, settings), "segments": None}, urgent=True)

    async def _read(self, request: Json, *, urgent: bool) -> PolicyFile:
        reply = await self._reader.ask(request, urgent=urgent)
        if "refused" in reply:
            raise Fault("UNSUPPORTED", "; ".join(reply["refused"]), status=400)
        policies = policies_of(reply["canonical"])
        return PolicyFile(request["text"], policies, reply["canonical"], reply["written"], request["name"])

    async def compare(self, old: PolicyFile, new: PolicyFile, *, urgent: bool = False) -> Json:
        """Return the differences: `changes` as values, and `lines` for people."""
        return await self._reader.ask({"do": "compare", "old": old.written, "new": new.written}, urgent=urgent)

    async def lint(self, text: str, name: str, settings: Settings, around: LintContext) -> tuple[Json, ...]:
        """Return the findings in a submitted text, including refusals.

        Each finding has `level`, `code`, `where`, `text`, and a `line` if it is in the text.
        """
        _bounded(text)
        return await self._linted(_request("lint", text, name, settings), around)

    async def lint_kept(self, file: PolicyFile, settings: Settings, around: LintContext) -> tuple[Json, ...]:
        """Return the findings in the policies in force."""
        text = "\n" * (file.line - 1) + file.text
        return await self._linted({**_request("lint", text, file.name, settings), "segments": None}, around)

    async def _linted(self, request: Json, around: LintContext) -> tuple[Json, ...]:
        about = {**asdict(around), "now": around.now.isoformat()}
        return tuple((await self._reader.ask({**request, "around": about}, urgent=False))["findings"])


def _bounded(text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES:
        raise Fault("SIZE_INVALID", f"policies have at most {TEXT_BYTES // 1024} KiB of text", status=413)


def _request(what: str, text: str, name: str, settings: Settings) -> Json:
    return {"do": what, "text": text, "name": name, "signers": asdict(settings.signers), "segments": SEGMENTS}
