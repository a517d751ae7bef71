"""A container registry, as far as a pull needs it (OCI distribution specification 1.1, section "Pull").

- ``GET /v2/`` what clients ask first: is this a registry?
- ``GET /v2/NAME/manifests/REFERENCE`` the manifest, by tag "latest" or by digest
- ``GET /v2/NAME/blobs/DIGEST`` configuration and layers

Every name has the same image: one layer of 256 KiB.
"""

import hashlib
import json
from functools import cache
from typing import Final, NamedTuple

from tornado.web import HTTPError

from guestnet.world.servers.content import content
from guestnet.world.servers.http import Handler, Routes

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_TAG: Final = "latest"


class Image(NamedTuple):
    """The one image: its manifest and all octets, by digest."""

    digest: str
    manifest: bytes
    blobs: dict[str, bytes]


@cache
def image() -> Image:
    """The same everywhere."""
    layer = content(1 << 18)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer)],
        }
    )
    return Image(_digest(manifest), manifest, {_digest(each): each for each in (config, layer)})


class _Registry(Handler):
    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Docker-Distribution-Api-Version", "registry/2.0")


class _Base(_Registry):
    def get(self) -> None:
        self.finish({})


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
    (r"/v2/[a-z0-9._/-]+/manifests/([A-Za-z0-9._:-]+)", _Manifest),
    (r"/v2/[a-z0-9._/-]+/blobs/(sha256:[0-9a-f]{64})", _Blob),
]


def _descriptor(media_type: str, octets: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(octets), "size": len(octets)}


def _digest(octets: bytes) -> str:
    return "sha256:" + hashlib.sha256(octets).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
