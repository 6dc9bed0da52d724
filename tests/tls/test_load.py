import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatepost.errors import ConfigError
from gatepost.tls import _load
from gatepost.tls._decl import DIGEST
from gatepost.tls._load import Library, check_version, load_abi, load_api

REALLY_FRESH = _load.library.__wrapped__  # without the memory of an earlier call


def files() -> tuple[Path, Path]:
    """libssl and libcrypto as this process has them."""
    load_abi()
    pair = _load._pair_of_maps(Path("/proc/self/maps").read_text())
    assert pair is not None
    return Path(pair[0]), Path(pair[1])


def test_the_library_is_openssl(library: Library) -> None:
    assert library.version.startswith("OpenSSL ")
    assert 0x30000000 <= library.number < 0x50000000


def test_the_same_library_as_python_has() -> None:
    script = (
        "import ssl; from gatepost.tls._load import load_abi; load_abi();"
        "print(len({line.split()[-1] for line in open('/proc/self/maps') if 'libssl' in line}))"
    )
    assert python(script) == "1"


@pytest.mark.parametrize(
    ("number", "version"), [(0x30000160, "OpenSSL 3.0.22 25 Aug 2026"), (0x40000030, "OpenSSL 4.0.3")]
)
def test_versions_that_will_do(number: int, version: str) -> None:
    check_version(number, version)


@pytest.mark.parametrize(
    ("number", "version"),
    [
        (0x1010117F, "OpenSSL 1.1.1w  11 Sep 2023"),
        (0x50000000, "OpenSSL 5.0.0"),
        (0x20000000, "LibreSSL 4.1.0"),
        (0x30000000, "OpenSSL 1.1.1 (compatible; BoringSSL)"),
        (0x30000000, "OpenSSL 1.1.1 (compatible; AWS-LC 1.50)"),
    ],
)
def test_versions_that_will_not(number: int, version: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be used.*libssl3") as refused:
        check_version(number, version)
    assert str(refused.value).startswith(version)


def test_the_pair_in_the_maps() -> None:
    libssl, libcrypto = files()
    lines = [f"7f00-7f01 r--p 00000000 fe:00 55 {' ' * 20}{path}" for path in (libssl, libcrypto, libssl)]
    assert _load._pair_of_maps("\n".join(lines)) == (str(libssl), str(libcrypto))
    assert _load._pair_of_maps(lines[0]) is None
    assert _load._pair_of_maps("\n".join([*lines, lines[0].replace("libssl", "libssl-other")])) is None
    assert _load._pair_of_maps("\n".join(line + " (deleted)" for line in lines)) is None


def test_a_directory_can_be_demanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in files():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv("GATEPOST_OPENSSL", str(tmp_path))
    monkeypatch.delenv("GATEPOST_TLS", raising=False)
    assert REALLY_FRESH().mode == "abi"


def test_a_directory_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEPOST_OPENSSL", str(tmp_path))
    monkeypatch.delenv("GATEPOST_TLS", raising=False)
    with pytest.raises(ConfigError) as refused:
        REALLY_FRESH()
    assert str(refused.value) == f'no libssl and libcrypto of OpenSSL 3 or 4 in "{tmp_path}" (GATEPOST_OPENSSL)'


def test_a_directory_whose_libraries_do_not_belong_together(tmp_path: Path) -> None:
    libssl, libcrypto = files()
    source = tmp_path / "other.c"
    source.write_text(
        "unsigned long OpenSSL_version_num(void) { return 0x30f00000; }\n"
        'const char *OpenSSL_version(int type) { (void) type; return "OpenSSL 3.15.0"; }\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / libcrypto.name, source], check=True, timeout=60)
    (tmp_path / libssl.name).symlink_to(libssl)
    with pytest.raises(ConfigError, match=r'" would use OpenSSL 3\..* instead of OpenSSL 3\.15\.0 in "'):
        load_abi(str(tmp_path))


def test_an_unknown_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEPOST_TLS", "fast")
    with pytest.raises(ConfigError, match='invalid value "fast" of the environment variable GATEPOST_TLS'):
        REALLY_FRESH()


def test_the_compiled_module_has_its_own_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEPOST_TLS", "api")
    monkeypatch.setenv("GATEPOST_OPENSSL", "/opt/openssl/lib")
    with pytest.raises(ConfigError, match="GATEPOST_TLS=api and GATEPOST_OPENSSL exclude each other"):
        REALLY_FRESH()


def test_the_compiled_module_is_taken_when_it_is_there(
    api_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEPOST_OPENSSL", raising=False)
    monkeypatch.delenv("GATEPOST_TLS", raising=False)
    assert REALLY_FRESH().mode == api_library.mode == "api"
    monkeypatch.setenv("GATEPOST_TLS", "abi")
    assert REALLY_FRESH().mode == "abi"


def stale_module() -> SimpleNamespace:
    return SimpleNamespace(ffi=None, lib=SimpleNamespace(gatepost_declarations=lambda: DIGEST + 1))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (None, "the compiled TLS module cannot be used: "),
        (stale_module(), "the compiled TLS module is of another version"),
    ],
)
def test_without_a_usable_compiled_module(monkeypatch: pytest.MonkeyPatch, module: object, text: str) -> None:
    monkeypatch.setitem(sys.modules, "gatepost.tls._api", module)
    monkeypatch.delenv("GATEPOST_OPENSSL", raising=False)
    monkeypatch.delenv("GATEPOST_TLS", raising=False)
    assert REALLY_FRESH().mode == "abi"
    monkeypatch.setenv("GATEPOST_TLS", "api")
    with pytest.raises(ConfigError, match=text) as refused:
        REALLY_FRESH()
    assert "python -m gatepost.tls.build" in str(refused.value)
    with pytest.raises(ConfigError, match=text):
        load_api()


def test_no_library_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_load, "_used_by_python", lambda: None)
    monkeypatch.setattr(_load, "_SONAMES", (("libssl.so.none", "libcrypto.so.none"),))
    with pytest.raises(ConfigError, match=r"no libssl\.so\.3 or libssl\.so\.4 was found: install .*libssl3"):
        load_abi()


def test_without_a_shared_library_in_python_the_linker_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_load, "_used_by_python", lambda: None)
    assert load_abi().version == load_abi().version


def python(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


HEAVY = (
    "print(sorted({'ssl', 'ctypes', 'cffi', 'pycparser', 'hashlib', 'asyncio', 'subprocess'} & set(sys.modules)))"
)


@pytest.mark.parametrize("mode", ["abi", ""])
def test_opening_the_library_imports_little(mode: str) -> None:
    script = f"import sys, gatepost.tls.connection; from gatepost.tls._load import library; library(); {HEAVY}"
    assert python(script, GATEPOST_TLS=mode) == "[]"


def test_settings_do_not_open_the_library() -> None:
    script = "import sys, gatepost.tls.settings; print({'_cffi_backend', '_ssl'} & set(sys.modules))"
    assert python(script) == "set()"


@pytest.mark.parametrize("mode", ["abi", ""])
def test_a_section_for_nginx_in_the_library_configuration_is_in_force(tmp_path: Path, mode: str) -> None:
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(
        "nginx = nginx_section\n[nginx_section]\nssl_conf = ssl_section\n[ssl_section]\n"
        "system_default = defaults\n[defaults]\nMinProtocol = TLSv1.3\n"
    )
    get_min_proto_version = 130
    script = (
        "from gatepost.tls._load import library; opened = library();"
        "context = opened.lib.SSL_CTX_new(opened.lib.TLS_method());"
        f"print(opened.lib.SSL_CTX_ctrl(context, {get_min_proto_version}, 0, opened.ffi.NULL))"
    )
    assert python(script, GATEPOST_TLS=mode, OPENSSL_CONF=str(configuration)) == str(0x0304)


def test_a_buffer_needs_no_library() -> None:
    script = (
        "from gatepost.tls.connection import recv_buffer; size = recv_buffer(9).size;"
        "print(size, 'libssl' in open('/proc/self/maps').read())"
    )
    assert python(script) == "9 False"
