"""An engine of our own, made by the compiler, that reads keys from files and asks for their password."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ConfigError
from gatepost.tls._load import Library
from gatepost.tls.certificates import load_key
from gatepost.tls.engines import use_engine
from gatepost.tls.passwords import Passwords

from .clients import client_context, connected, make_context
from .pki import PASSWORD, Pki

SOURCE = r"""
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/engine.h>
#include <openssl/pem.h>
#include <openssl/ui.h>
#include <string.h>

static struct { UI_METHOD *method; void *data; } asked;

static int ask(char *buffer, int size, int rw, void *arg)
{
    UI *ui = UI_new_method(asked.method);
    UI_add_user_data(ui, asked.data);
    UI_add_input_string(ui, "PIN:", 0, buffer, 1, size - 1);
    int failed = UI_process(ui);
    UI_free(ui);
    return failed ? -1 : (int) strlen(buffer);
}

static EVP_PKEY *load(ENGINE *engine, const char *path, UI_METHOD *method, void *data)
{
    BIO *bio = BIO_new_file(path, "r");
    if (bio == NULL) return NULL;
    asked.method = method;
    asked.data = data;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, ask, NULL);
    BIO_free(bio);
    return key;
}

static int start(ENGINE *engine) { return STARTS; }

static int bind(ENGINE *engine, const char *id)
{
    return ENGINE_set_id(engine, NAME) && ENGINE_set_name(engine, NAME) && ENGINE_set_init_function(engine, start)
        && ENGINE_set_load_privkey_function(engine, load);
}

IMPLEMENT_DYNAMIC_BIND_FN(bind)
IMPLEMENT_DYNAMIC_CHECK_FN()
"""

WRONG, RIGHT = bytearray(b"wrong\0"), bytearray(PASSWORD + b"\0")
GOOD, BROKEN = "gatepost_files", "gatepost_broken"


class WithoutEngines(Library):
    """The library as it is from 4.0 on."""

    def optional(self, name: str) -> Any:
        return None if name.startswith("ENGINE_") else super().optional(name)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two engines; one of them cannot be started."""
    directory = tmp_path_factory.mktemp("engines")
    source = directory / "engine.c"
    source.write_text(SOURCE)
    for name, starts in ((GOOD, 1), (BROKEN, 0)):
        macros = [f'-DNAME="{name}"', f"-DSTARTS={starts}"]
        command = ["cc", "-shared", "-fPIC", *macros, "-o", str(directory / f"{name}.so"), str(source), "-lcrypto"]
        subprocess.run(command, check=True, timeout=60)
    return directory


@pytest.fixture
def engine_library(library: Library, engines: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library that still has engines, and looks for them there."""
    assert library.optional("ENGINE_by_id") is not None
    monkeypatch.setenv("OPENSSL_ENGINES", str(engines))
    yield library
    assert library.lib.ERR_peek_error() == 0


def without_engines(library: Library) -> Library:
    values = (library.mode, library.ffi, library.lib, library.fused, library.number, library.version)
    return WithoutEngines(*values)


def unexpected(message: str) -> None:
    raise AssertionError(message)


def refusal(load: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        load()
    return str(caught.value)


def test_a_key_of_an_engine(engine_library: Library, pki: Pki) -> None:
    key = f"engine:{GOOD}:{pki.rsa_key}"
    context = make_context(engine_library, pki, ssl_certificate_key=(key,))
    with connected(context, client_context(pki)) as (connection, _):
        assert connection.facts.protocol == b"TLSv1.3"


def test_an_engine_is_given_the_passwords(engine_library: Library, pki: Pki) -> None:
    name = f"engine:{GOOD}:{pki.ecdsa_key_encrypted}"
    assert load_key(engine_library, name, Passwords([WRONG, RIGHT]), "c.pem", unexpected)
    text = refusal(lambda: load_key(engine_library, name, Passwords([WRONG]), "c.pem", unexpected))
    assert text.startswith(f'cannot load certificate key "{name}": ENGINE_load_private_key() failed (SSL: error:')


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("engine:", "invalid syntax"),
        (f"engine:{GOOD}", "invalid syntax"),
        ("engine:gatepost_nowhere:1", "ENGINE_by_id() failed (SSL: error:"),
        (f"engine:{BROKEN}:1", "ENGINE_init() failed for"),
        (f"engine:{GOOD}:/nonexistent", "ENGINE_load_private_key() failed (SSL: error:"),
    ],
)
def test_keys_that_cannot_be_had(engine_library: Library, name: str, reason: str) -> None:
    for _ in range(2):  # a failure is not remembered
        text = refusal(lambda: load_key(engine_library, name, None, "cert.pem", unexpected))
        assert text.startswith(f'cannot load certificate key "{name}": {reason}')
        assert text.endswith(' for certificate "cert.pem"')


def test_a_library_without_engines(library: Library) -> None:
    later = without_engines(library)
    text = refusal(lambda: load_key(later, "engine:pkcs11:key", None, "engine:pkcs11:key", unexpected))
    assert text == (
        'cannot load certificate key "engine:pkcs11:key": loading "engine:..." certificate keys is not supported'
    )
    assert refusal(lambda: use_engine("pkcs11", using=later)) == '"ssl_engine" directive is not supported'


def test_an_engine_for_everything(engine_library: Library) -> None:
    # It does nothing but load keys, so nothing changes for the tests that come after.
    use_engine(GOOD, using=engine_library)
    text = refusal(lambda: use_engine("gatepost_nowhere", using=engine_library))
    assert text.startswith('ENGINE_by_id("gatepost_nowhere") failed (SSL: error:')


def test_an_engine_that_does_not_start(engine_library: Library, engines: Path) -> None:
    assert os.path.exists(engines / f"{BROKEN}.so")
    use_engine(BROKEN, using=engine_library)  # it has no method that would have to be started
