"""Push image layouts to a registry with skopeo: blobs first, what belongs to them next, the tag last. So a tag never
names half an image, or one whose signature is still to come.

Source: skopeo-copy(1), containers-auth.json(5).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.publish.outputs import ImageOutput
from debcore.errors import CommandFailed, ConfigError, Failure, HostFailed
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store

#: HOST[:PORT]/NAME. Source: the distribution project's reference grammar.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SKOPEO = 'umask 077; cat > /run/auth.json; umask 022; REGISTRY_AUTH_FILE=/run/auth.json exec skopeo "$@"'
RETRIES = 3  #: of one request, by skopeo, with growing pauses


@dataclass(frozen=True)
class Pushed:
    variant: str
    name: str  #: HOST/NAME
    digest: str  #: as the registry gives it: that of the layout
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Registry:
    """Where to push, and how. *authfile*: as skopeo, podman and docker login write it."""

    name: str
    authfile: Path | None = None
    insecure: bool = False  #: plain HTTP, or a certificate that nobody vouches for


def find_pusher(store: Store, suite: str) -> Layer:
    """The tools root that pushes."""
    return tools_root(store, suite=suite, packages=("skopeo", "ca-certificates"))


def parse_name(text: str) -> str:
    """HOST/NAME, with or without docker://. Errors: ConfigError."""
    name = text.removeprefix("docker://")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "--registry", f"{text!r} is not HOST[:PORT]/NAME", hint="without a tag: tags are the manifest's"
        )
    return name


def default_authfile() -> Path | None:
    """REGISTRY_AUTH_FILE, else skopeo's own places. Source: containers-auth.json(5)."""
    given = os.environ.get("REGISTRY_AUTH_FILE")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [Path(given)] if given else [
        *([Path(runtime, "containers/auth.json")] if runtime else []),
        Path.home() / ".config/containers/auth.json",
        Path.home() / ".docker/config.json",
    ]  # fmt: skip
    return next((place for place in places if place.is_file()), None)


def check_tags(tags: Sequence[str]) -> None:
    """Errors: ConfigError for a tag that a registry would refuse."""
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise ConfigError("tags", f"{tag!r} is no tag of a registry", hint="letters, digits, '_', '.', '-'")


def push_image(
    store: Store,
    tools: Layer,
    registry: Registry,
    image: ImageOutput,
    *,
    tags: Sequence[str],
    say: Callable[[str], None],
    before_tags: Callable[[], None] = lambda: None,
) -> Pushed:
    """Push *image* under its digest, call *before_tags* (what belongs to it goes there), then let *tags* name it.

    What the registry has is not sent again. Errors: ConfigError for a tag that a registry would refuse; HostFailed if
    it cannot be reached, is interrupted or refuses; then tags name what they named before. Failure if what it has then
    is not what was pushed.
    """
    check_tags(tags)
    source = f"oci:/layout:{image.tags[0]}" if image.tags else "oci:/layout"
    whole = ["--all"] if image.is_index else []
    copy = ["copy", *whole, "--preserve-digests", f"--retry-times={RETRIES}", *tls("dest-", registry), source]
    say(f"{registry.name}: {image.digest[:19]}")
    call_skopeo(store, tools, registry, [*copy, f"docker://{registry.name}@{image.digest}"], image.layout)
    before_tags()
    for tag in tags:
        say(f"{registry.name}:{tag}: {image.digest[:19]}")
        call_skopeo(store, tools, registry, [*copy, f"docker://{registry.name}:{tag}"], image.layout)
        found = inspect(store, tools, registry, tag)
        if found != image.digest:
            raise Failure(f"{registry.name}:{tag} is {found}, not {image.digest}", hint="does another push there?")
    return Pushed(image.variant, registry.name, image.digest, tuple(tags))


def pull_image(
    store: Store, tools: Layer, registry: Registry, digest: str | None, out: Path, *, arch: str
) -> None:  # fmt: skip
    """Write the image for OCI's *arch* that *digest* (None: the tag in the name) names, byte for byte, as the layout
    *out*: a directory of root inside. Errors: HostFailed."""
    source = f"docker://{registry.name}{f'@{digest}' if digest else ''}"
    copy = ["--override-arch", arch, "copy", "--preserve-digests", f"--retry-times={RETRIES}", *tls("src-", registry)]
    call_skopeo(store, tools, registry, [*copy, source, "oci:/layout"], out, writable=True)


def inspect(store: Store, tools: Layer, registry: Registry, tag: str) -> str:
    """The digest that *tag* names, of an image or of an index. Errors: HostFailed."""
    words = ["inspect", "--raw", *tls("", registry), f"docker://{registry.name}:{tag}"]
    return f"sha256:{hashlib.sha256(call_skopeo(store, tools, registry, words, None)).hexdigest()}"


def tls(prefix: str, registry: Registry) -> list[str]:
    """skopeo's word for a registry that is not trusted by its certificate."""
    return [f"--{prefix}tls-verify=false"] if registry.insecure else []


def call_skopeo(
    store: Store, tools: Layer, registry: Registry, words: Sequence[str], layout: Path | None, *, writable: bool = False
) -> bytes:
    """skopeo with what may log in; *layout* is /layout. Errors: HostFailed with the last that it said."""
    binds = [Bind(source=layout, target="/layout", readonly=not writable)] if layout else []
    if HOST_CERTIFICATES.is_file():
        binds.append(Bind(source=HOST_CERTIFICATES, target=str(HOST_CERTIFICATES)))
    # Root inside is another user than ours and may not read the file where it lies; nor is it for every user's eyes.
    secret = registry.authfile.read_bytes() if registry.authfile else b"{}"
    box = Sandbox(lowers=tools.lowers(), binds=tuple(binds), network="host")
    try:
        done = run_in(
            box, ["sh", "-c", SKOPEO, "sh", *words], idmap=store.idmap, stdin=secret, capture=True
        )  # fmt: skip
    except CommandFailed as error:
        said = error.output.strip().splitlines()
        raise HostFailed(
            f"{registry.name}: {said[-1][-300:] if said else 'skopeo failed'}",
            hint="log in with `skopeo login`, or name the file with --authfile; then run this again",
        ) from error
    return done.stdout
