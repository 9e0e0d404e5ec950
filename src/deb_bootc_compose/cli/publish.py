"""deb-bootc-compose publish"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.cli.progress import Progress
from deb_bootc_compose.directory import find_compose
from deb_bootc_compose.oci.sigstore import open_key
from deb_bootc_compose.publish.attach import Attached, publish_image
from deb_bootc_compose.publish.outputs import CommitOutput, ImageOutput, load_attachments, load_outputs
from deb_bootc_compose.publish.registry import Pushed, Registry, default_authfile, find_pusher, parse_name
from deb_bootc_compose.publish.repository import Published, describe, finish, opened, publish_commit
from deb_bootc_compose.signing import open_signer
from debcore.cli import print_json
from debcore.errors import Failure
from debroot.store import Store


@click.command()
@click.argument("compose")
@click.option("--repo", type=click.Path(path_type=Path), help="The OSTree repository that machines update from; made "
              "if it is missing. Any web server can serve it.")  # fmt: skip
@click.option("--registry", metavar="HOST/NAME", help="Push container images there, under the manifest's tags.")
@click.option("--tag", "tags", multiple=True, help="With --registry: these tags and not the manifest's.")
@click.option("--authfile", type=click.Path(path_type=Path, exists=True), help="Who may push, as `skopeo login` writes "
              "it (default: where that does).")  # fmt: skip
@click.option("--insecure", is_flag=True, help="A registry without TLS, or with a certificate nobody vouches for.")
@click.option("--sign/--no-sign", default=True, show_default=True, help="With --registry: sign the image as bootc, "
              "skopeo and cosign verify it.")  # fmt: skip
@click.option("--sign-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The secret key, PEM of "
              "P-256 (default: DEBOOTC_IMAGE_KEY, else one that is made at the first time).")  # fmt: skip
@click.option("--attach/--no-attach", default=True, show_default=True, help="With --registry: attach the bills of "
              "material and the provenance.")  # fmt: skip
@click.option("--variant", "variants", multiple=True, metavar="NAME.ARCH", help="Only this one (default: all; "
              "NAME: the image of all its architectures).")  # fmt: skip
@click.option("--keep", type=click.IntRange(1), default=5, show_default=True, help="Versions of each ref that stay.")
@click.option("--delta/--no-delta", default=True, show_default=True, help="Make a static delta from what was "
              "published before: one download instead of one for each file.")  # fmt: skip
@click.option("--incomplete", is_flag=True, help="Also a compose that left out a gate.")
@click.option("--allow-older", is_flag=True, help="Also one that is older than what is published.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    compose: str, repo: Path | None, registry: str | None, tags: tuple[str, ...], authfile: Path | None, insecure: bool,
    sign: bool, sign_key: Path | None, attach: bool, variants: tuple[str, ...], keep: int, delta: bool,
    incomplete: bool, allow_older: bool, as_json: bool,
) -> None:  # fmt: skip
    """Put COMPOSE where machines update from: its commits into a repository that lasts, its images into a registry.

    A compose whose gate failed cannot be published. Clients see the old state or the new one; a publication that was
    killed is ended by running it again.

    \b
    deb-bootc-compose publish composes/latest-server-13 --repo /srv/www/ostree
    deb-bootc-compose publish composes/latest-server-13 --registry registry.example.org/server --tag latest
    """
    if repo is None and registry is None:
        raise click.UsageError("say where: --repo DIR, --registry HOST/NAME, or both")
    target = Registry(parse_name(registry), authfile or default_authfile(), insecure) if registry else None
    found_compose = find_compose(compose, [default_target(Path())])
    outputs = load_outputs(found_compose, incomplete=incomplete)
    store, say = Store.open(), Progress().line
    refs: list[Published] = []
    images: list[tuple[Pushed, Attached]] = []
    if repo is not None:
        commits = choose(outputs.commits, variants, f"{outputs.compose} has no commit")
        with opened(store, repo.absolute(), suite=outputs.suite) as repository:
            for one in commits:
                refs.append(publish_commit(repository, one, keep=keep, delta=delta, allow_older=allow_older, say=say))
            finish(repository, open_signer() if any(one.key for one in commits) else None)
    if target is not None:
        found = choose(outputs.images, variants, f"{outputs.compose} has no container image")
        found = found if variants else whole_images(found)
        if len(found) > 1:
            raise Failure(f"{outputs.compose} has {len(found)} images", hint="push one at a time, with --variant")
        signer = open_key(store, sign_key, suite=outputs.suite) if sign else None
        documents = load_attachments(found_compose, outputs) if attach else {}
        for image in found:
            pusher = find_pusher(store, outputs.suite)
            images.append(publish_image(
                store, pusher, target, image, tags=tags or image.tags, signer=signer, attachments=documents, say=say
            ))  # fmt: skip
    if as_json:
        print_json({
            "compose": outputs.compose, "repo": str(repo.absolute()) if repo else None,
            "refs": [asdict(one) for one in refs],
            "images": [{**asdict(pushed), **asdict(attached)} for pushed, attached in images],
        })  # fmt: skip
        return
    for line in describe(refs):
        click.echo(line)
    for pushed, attached in images:
        signed = ", signed" if attached.signed else ""
        click.echo(f"{pushed.name}: {', '.join(pushed.tags)} → {pushed.digest}{signed}")


Output = TypeVar("Output", CommitOutput, ImageOutput)


def whole_images(found: Sequence[ImageOutput]) -> list[ImageOutput]:
    """Of a variant with several architectures the index alone: it brings the others along."""
    indexes = {image.variant for image in found if image.is_index}
    return [image for image in found if image.is_index or image.variant.rpartition(".")[0] not in indexes]


def choose(found: Sequence[Output], variants: Sequence[str], nothing: str) -> list[Output]:
    """Those of *variants*, or all. Errors: Failure saying *nothing*."""
    chosen = [one for one in found if not variants or one.variant in variants]
    if not chosen:
        raise Failure(nothing + (f" of {', '.join(variants)}" if variants else ""))
    return chosen
