"""Builds the handlers of the listeners from the running parts: operations, pages, token endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from proxy.exports.pages import TrustPages
from proxy.exports.publish import Publisher
from proxy.oci.faults import Fault
from proxy.oci.operation import Operation, PullManifest
from proxy.oci.reference import Reference, Repository
from proxy.registry.handle import handle
from proxy.registry.judging.inspect import inspect
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request, Response
from proxy.trust.keys import VERIFYING
from proxy.upstream.realm import Realm
from proxy.web.call import Call
from proxy.web.now import Inspection, path_of
from proxy.web.outermost import Inner
from proxy.web.pages import pages
from proxy.web.rendering import Rendering
from proxy.web.token import token_page


def public_pages(in_force: Callable[[], Ports], realm: Realm, attesting: Mapping[str, bool]) -> Mapping[str, Inner]:
    """Return the pages of the public listener; each request reads the name and URL in force."""

    publisher = Publisher(in_force, attesting)

    def current() -> Mapping[str, Inner]:
        ports = in_force()
        token = token_page(realm.token)
        rendering = Rendering(ports.name, ports.url)
        shown = pages(
            rendering,
            ports.journal.decision,
            lambda repository, reference, request: _inspection(in_force(), realm, repository, reference, request),
            TrustPages(rendering, publisher).answer,
        )
        return {**shown, "token": token}

    made: dict[tuple[str, str], Mapping[str, Inner]] = {}

    def page(word: str) -> Inner:
        async def answer(call: Call) -> Response:
            key = (in_force().name, in_force().url)
            if key not in made:
                made[key] = current()
            return await made[key][word](call)

        return answer

    return {word: page(word) for word in current()}


async def _inspection(
    ports: Ports, realm: Realm, repository: Repository, reference: Reference, request: Request
) -> Inspection:
    """Return the image's data for a page, or raise upstream's own refusal with its challenge in our name."""
    found = await inspect(PullManifest(repository, reference), request, ports)
    short = path_of(repository, reference).removeprefix("/-/i/")
    if isinstance(found, Response):
        code = {401: "UNAUTHORIZED", 404: "MANIFEST_UNKNOWN"}.get(found.status, "DENIED")
        headers = realm.relayed(found.headers, ports.url)
        challenge = {"WWW-Authenticate": v for k, v in headers if k == "www-authenticate"}  # noqa: B035  one is enough
        raise Fault(code, _refused(found.status, short, ports), headers=challenge)
    ours = {key.fingerprint: key for key in ports.keybook.ring().ours if key.state in VERIFYING}
    good = [s.fingerprint for s in found.decision.signatures if s.state is None]
    signers = dict.fromkeys(ours[each].profile for each in good if each in ours)
    return Inspection(
        decision=found.decision,
        keys=found.keys,
        pushed_by=found.pushed_by,
        pushed_at=found.pushed_at,
        files={print_: f"/-/trust/{key.profile}/key-{key.short}.pem" for print_, key in ours.items()},
        commands=tuple(f"curl '{ports.url}/-/trust/{each}/commands.txt?image={short}'" for each in signers),
    )


def _refused(status: int, name: str, ports: Ports) -> str:
    """Return what upstream's refusal means to the reader of a page, and what to do."""
    if status == 401:
        return f"the image {name} needs a login: use the name and password of docker login {ports.hosts[0]}"
    if status == 403:
        return f"the registry does not let you read {name}; check the name, or ask for access to its repository"
    if status == 404:
        return f"the image {name} is not in the registry; check the repository and the tag"
    return f"the registry answered {status} for {name}; try again"


async def answer_as_realm(op: Operation, request: Request, ports: Ports, realm: Realm, urls: Sequence[str]) -> Response:
    """Answer one operation with every challenge in our own name: clients always log in at the proxy's realm.

    `urls` are our public URLs: the challenge names the realm at the URL that the caller used.
    """
    try:
        answer = await handle(op, request, ports)
    except Fault as fault:
        challenge = fault.headers.pop("WWW-Authenticate", None)
        if challenge is not None:
            ours = realm.relayed((("www-authenticate", challenge),), _url_for(request, urls))
            fault.headers |= {"WWW-Authenticate": ", ".join(value for _, value in ours)} if ours else {}
        raise
    for name, _ in answer.headers:
        if name == "www-authenticate":  # rewritten for every status and every realm
            return replace(answer, headers=realm.relayed(answer.headers, _url_for(request, urls)))
    return answer


def _url_for(request: Request, urls: Sequence[str]) -> str:
    """Return the public URL the caller used: some clients refuse a realm on a host other than the registry's."""
    host = request.header("host")
    return next((url for url in urls if url.partition("://")[2] == host), urls[0])
