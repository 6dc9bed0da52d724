"""Both back ends, and certificates. What uses ``library`` runs once on each."""

import fcntl
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.tls._decl import DIGEST
from gatepost.tls._load import LIBRARY_VARIABLE, MODES, Library, load_abi, load_api
from gatepost.tls.build import compile_api

from . import client_pki as client_pki_module
from . import pki as pki_module
from .client_pki import ClientPki
from .pki import Pki


def _compiled_in(directory: Path) -> Library:
    """The compiled back end of the present declarations, built into ``directory`` by the first who needs it."""
    directory.mkdir(exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = sorted(directory.glob("_api*.so"))
        path = str(built[0]) if built else compile_api(str(directory))
    spec = importlib.util.spec_from_file_location("gatepost.tls._api", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["gatepost.tls._api"] = module
    return load_api()


@pytest.fixture(scope="session")
def api_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    try:
        return load_api()
    except ConfigError:
        # Not built beside the source, or from other declarations: workers of one run share a build.
        return _compiled_in(tmp_path_factory.getbasetemp().parent / f"gatepost-api-{sys.version_info[1]}-{DIGEST}")


@pytest.fixture(scope="session", params=MODES)
def library(request: pytest.FixtureRequest) -> Library:
    if request.param == "abi":
        # Another library can be put to the test: GATEPOST_OPENSSL=/opt/openssl-3.6/lib
        return load_abi(os.environ.get(LIBRARY_VARIABLE, ""))
    compiled: Library = request.getfixturevalue("api_library")
    return compiled


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return pki_module.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def client_pki(tmp_path_factory: pytest.TempPathFactory) -> ClientPki:
    return client_pki_module.make(tmp_path_factory.mktemp("client-pki"))
