"""A container registry, as far as a pull needs it (OCI distribution specification 1.1, section "Pull").

- ``GET /v2/`` what clients ask first: is this a registry?
- ``GET /v2/NAME/manifests/REFERENCE`` the manifest, by tag "latest" or by digest
- ``GET /v2/NAME/blobs/DIGEST`` configuration and layers
- ``GET /v2/NAME/tags/list`` "latest"

Every name has the same image (OCI image specification 1.1), for x86-64: a layer with the program /hello,
which says hello, and one with 256 KiB in /data.
"""

import hashlib
import json
from functools import cache
from typing import Final, NamedTuple

from tornado.web import HTTPError

from guestnet.world.servers.archives import gzipped, tar
from guestnet.world.servers.content import content
from guestnet.world.servers.hello import program
from guestnet.world.servers.http import Handler, Routes

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_TAG: Final = "latest"
_CREATED: Final = "2025-06-15T15:06:40Z"


class Image(NamedTuple):
    """The one image: its manifest and all octets, by digest."""

    digest: str
    manifest: bytes
    blobs: dict[str, bytes]


@cache
def image() -> Image:
    """The same everywhere."""
    archives = [tar({"hello": program()}), tar({"data": content(1 << 18)})]
    layers = [gzipped(archive) for archive in archives]
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _CREATED,
            "config": {"Cmd": ["/hello"], "Env": ["PATH=/"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(archive) for archive in archives]},
            "history": [{"created": _CREATED, "created_by": "guestnet"}] * len(archives),
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer) for layer in layers],
        }
    )
    return Image(_digest(manifest), manifest, {_digest(each): each for each in (config, *layers)})


class _Registry(Handler):
    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Docker-Distribution-Api-Version", "registry/2.0")


class _Base(_Registry):
    def get(self) -> None:
        self.finish({})


class _Tags(_Registry):
    def get(self, name: str) -> None:
        self.finish({"name": name, "tags": [_TAG]})


class _Manifest(_Registry):
    def get(self, reference: str) -> None:
        if reference not in (_TAG, image().digest):
            raise HTTPError(404)
        self.set_header("Content-Type", _MANIFEST)
        self.set_header("Docker-Content-Digest", image().digest)
        self.finish(image().manifest)

    head = get


class _Blob(_Registry):
    def get(self, digest: str) -> None:
        blob = image().blobs.get(digest)
        if blob is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("X-Sha256", digest.removeprefix("sha256:"))
        self.set_header("Docker-Content-Digest", digest)
        self.finish(blob)

    head = get


ROUTES: Final[Routes] = [
    (r"/v2/", _Base),
    (r"/v2/([a-z0-9._/-]+)/tags/list", _Tags),
    (r"/v2/[a-z0-9._/-]+/manifests/([A-Za-z0-9._:-]+)", _Manifest),
    (r"/v2/[a-z0-9._/-]+/blobs/(sha256:[0-9a-f]{64})", _Blob),
]


def _descriptor(media_type: str, octets: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(octets), "size": len(octets)}


def _digest(octets: bytes) -> str:
    return "sha256:" + hashlib.sha256(octets).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
