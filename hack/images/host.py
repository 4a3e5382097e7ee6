"""What a build has to know of this machine to reach the package index: certificates and the index itself.

It is mounted while a step runs and gets into no image.
"""

import configparser
import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
PIP_FILES: Final = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")


def secrets(folder: Path) -> dict[str, Path]:
    """Return name -> file of what to mount; files that have to be made first are put into `folder`."""
    found = {}
    if bundle := ca_bundle():
        found["ca"] = bundle
    if index := package_index(os.environ, pip_settings()):
        for name, text in (("pip.conf", f"[global]\nindex-url = {index}\n"), ("uv.toml", uv_settings(index))):
            found[name] = folder / name
            found[name].touch(mode=0o600)
            found[name].write_text(text)
    return found


def ca_bundle() -> Path | None:
    """Return the certificates that this machine trusts, which may be more than an image does."""
    candidates = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, CERTIFICATES)
    return next((Path(path) for path in candidates if path and Path(path).is_file()), None)


def package_index(environment: Mapping[str, str], pip: Mapping[str, str]) -> str | None:
    """Return the URL of the package index that this machine is set to, if it is not the public one."""
    chosen = (environment.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
    return next(filter(None, chosen), None) or pip.get("index-url")


def pip_settings() -> dict[str, str]:
    """Return the global section of pip's configuration."""
    parser = configparser.RawConfigParser()
    parser.read([os.environ.get("PIP_CONFIG_FILE", ""), *(Path(path).expanduser() for path in PIP_FILES)])
    return dict(parser["global"]) if parser.has_section("global") else {}


def uv_settings(index: str) -> str:
    """Return the text of uv.toml."""
    return f"[[index]]\nurl = {json.dumps(index)}\ndefault = true\n"
