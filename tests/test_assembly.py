"""The language that all packages make together."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost.assembly import groups, load
from gatepost.config.build import Installation
from gatepost.config.directive import MAIL, SERVER, rows
from gatepost.config.reference import sections
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError
from gatepost.master.settings import MasterSettings
from gatepost.protocol import protocols
from gatepost.session.settings import SessionSettings

# As Debian ships it, comments left out.
DEBIAN = """
user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include modules-enabled/*.conf;
events { worker_connections 768; }
http {
    sendfile on;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
    include /etc/nginx/conf.d/*.conf;
}
#mail {
#	server { listen localhost:110; }
#}
"""


def _load(directory: Path, text: str, directives: str = "") -> "tuple[str, ...] | str":
    """The warnings, or the error, of a configuration in ``directory``, without its path."""
    path = directory / "gatepost.conf"
    path.write_bytes(os.fsencode(text))
    try:
        found = load(Installation(str(path)), directives=directives)
    except ConfigError as error:
        return str(error).replace(str(path), "")
    return tuple(warning.replace(str(path), "") for warning in found.warnings)


def test_the_order_of_checks_is_that_of_nginx() -> None:
    packages = [cls.__module__.removeprefix("gatepost.").removesuffix(".settings") for cls in groups()]
    inner = [f"protocol.{name}" for name in sorted(protocols())]
    expected = ["master", "worker", "config", "protocol", "tls", *inner, "auth", "session", "net"]
    assert list(dict.fromkeys(packages)) == expected


def test_every_settings_file_is_part_of_the_language() -> None:
    listed = {cls.__module__ for cls in groups()}
    root = Path(__file__).parent.parent / "src"
    found = {".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("settings.py")}
    assert listed == found


def test_no_directive_has_two_meanings_in_one_context() -> None:
    seen: dict[str, list[str]] = {}
    for cls in groups():
        for row in rows(cls).values():
            for context in row.contexts:
                seen.setdefault(f"{row.name} in {context.name}", []).append(cls.__name__)
    assert {name: classes for name, classes in seen.items() if len(classes) > 1} == {}


def test_a_group_is_of_the_main_level_or_of_servers() -> None:
    for cls in groups():
        kinds = {bool(row.contexts & (MAIL | SERVER)) for row in rows(cls).values()}
        assert len(kinds) == 1, cls


def test_every_directive_is_documented() -> None:
    entries = [entry for section in sections(groups()) for entry in section.entries]
    assert [entry.name for entry in entries if not (entry.doc or entry.kind.ignored)] == []


def test_debians_configuration_with_a_mail_block(tmp_path: Path) -> None:
    (tmp_path / "modules-enabled").mkdir()
    (tmp_path / "modules-enabled" / "50-mod-mail.conf").write_text("load_module modules/ngx_mail_module.so;\n")
    user = "root root" if os.geteuid() == 0 else "root"
    mail = "mail { auth_http 127.0.0.1:80/auth; server { listen 127.0.0.1:143; } }"
    found = _load(tmp_path, DEBIAN.replace("www-data", user) + mail)
    assert isinstance(found, tuple)
    texts = [text for text in found if "super-user" not in text]
    assert [text.split(" in ")[0] for text in texts] == [
        'the "load_module" directive is ignored: gatepost has no loadable modules',
        'the "http" block is skipped: gatepost serves mail only',
    ]


PROXY = "mail {\n auth_http 127.0.0.1/a;\n%s }"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen 143;", '"listen" directive is not allowed here in :1'),
        ("mail { listen 143; }", '"listen" directive is not allowed here in :1'),
        ("mail { pid x; }", '"pid" directive is not allowed here in :1'),
        ("mail { protocol imap; }", '"protocol" directive is not allowed here in :1'),
        ("events { use epoll; use x; } worker_processes 0;", '"worker_processes" directive invalid value in :1'),
        ("mail { resolver; }", 'invalid number of arguments in "resolver" directive in :1'),
        (PROXY % "server { listen 1430; }", "unknown mail protocol for server in :3"),
        (
            PROXY % "server { listen 143; } server { listen 143; }",
            'duplicate "0.0.0.0:143" address and port pair in :3',
        ),
        ("mail {\nserver\n{ listen 143;\n} }", 'no "auth_http" is defined for server in :3'),
        # Group by group: the protocol of the last server comes before the certificate of the first.
        (
            PROXY % "server { listen 993 ssl; }\nserver { listen 1; }",
            "unknown mail protocol for server in :4",
        ),
        (
            "mail {\nserver { listen 143; }\nserver { listen 993 ssl; } }",
            'no "ssl_certificate" is defined for the "listen ... ssl" directive in :3',
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert _load(tmp_path, text) == message


def test_directives_of_the_command_line(tmp_path: Path) -> None:
    assert _load(tmp_path, "pid a;", "pid b;") == '"pid" directive is duplicate in :1'
    assert _load(tmp_path, "", "worker_processes 2; daemon off;") == ()


def test_a_log_on_every_level(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.conf"
    mail = "mail { proxy_pass 127.0.0.1; %s server { listen 143; %s } }"
    path.write_text(
        "error_log main info;" + mail % ("error_log outer;", "error_log inner; error_log stderr debug;")
    )
    found = load(Installation(str(path), "/prefix/"))
    assert [sink.target for sink in found[MasterSettings].error_log] == ["/prefix/main"]
    inner = found.servers[0][SessionSettings].error_log
    assert inner is not None
    assert [sink.target for sink in inner] == ["/prefix/inner", None]
    path.write_text(mail % ("", ""))
    found = load(Installation(str(path), "/prefix/", "/first/log"))
    assert [sink.target for sink in found[MasterSettings].error_log] == ["/first/log"]
    assert found.servers[0][SessionSettings].error_log is None
    assert [str(listen.addresses[0]) for listen in found.servers[0][ListenSettings].listen] == ["0.0.0.0:143"]


NAMES = sorted({row.name for cls in groups() for row in rows(cls).values()} - {"ssl_password_file"})
# No host names: looking them up would ask the network.
VALUES = [
    "on",
    "5",
    "127.0.0.1:143",
    "143",
    "imap",
    "ssl",
    "plain",
    "data:x",
    "shared:a:1m",
    '""',
    "unix:/a",
    "/a",
    "#",
    "\\",
]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=3)),
            st.tuples(st.sampled_from(["}", "mail {", "server {", "events {", "http {", ";", "{"]), st.none()),
        ),
        max_size=20,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_any_text_is_a_configuration_or_a_mistake(
    tmp_path: Path, pieces: "list[tuple[str, list[str] | None]]"
) -> None:
    lines = [name if words is None else f"{name} {' '.join(words)};" for name, words in pieces]
    assert isinstance(_load(tmp_path, "mail {\nserver {\nlisten 143;\n" + "\n".join(lines)), str)
    _load(tmp_path, "\n".join(lines))
