"""What each server is told. The same job for all, as near as they come; only the default amount of logging."""

import grp
import os
import pwd
from pathlib import Path

from .site import DOORS, Site

# nginx's language: the same text for gatepost and nginx, for gatepost is a drop-in.
_NGINX = """
{load}
{user}
daemon off;
worker_processes {workers};
worker_rlimit_nofile {descriptors};
pid {directory}/pid;
error_log {directory}/error.log error;
events {{
    worker_connections {connections};
}}
mail {{
    auth_http 127.0.0.1:{auth}/auth;
    ssl_protocols TLSv1.2 TLSv1.3;
    {servers}
}}
"""

_HAPROXY = """
global
    nbthread {workers}
    maxconn {connections}
    {user}
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode tcp
    timeout connect 30s
    timeout client 1h
    timeout server 1h
{sections}
"""

_DOVECOT = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/error.log
# What it tells at level info goes nowhere: one line per login would be measured too.
info_log_path = /dev/null
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
protocols = imap pop3
listen = 127.0.0.1, 127.0.0.2
ssl = yes
ssl_cert = <{ecdsa}
ssl_key = <{ecdsa_key}
ssl_dh =
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 0
first_valid_uid = 1
mail_max_userip_connections = 0
local 127.0.0.2 {{
  ssl_cert = <{rsa}
  ssl_key = <{rsa_key}
}}
passdb {{
  driver = static
  args = nopassword=y proxy=y host=127.0.0.1 port=%{{if;%s;eq;imap;{imap};{pop3}}}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service imap-login {{
  chroot =
  # Its "high-performance mode": few processes, each for many clients, kept for ever.
  service_count = 0
  process_min_avail = {workers}
  process_limit = {workers}
  client_limit = {connections}
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap_clear}
  }}
  inet_listener imaps {{
    port = {imap_tls}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  process_min_avail = {workers}
  process_limit = {workers}
  client_limit = {connections}
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3_clear}
  }}
  inet_listener pop3s {{
    port = {pop3_tls}
    ssl = yes
  }}
}}
service anvil {{
  client_limit = {connections}
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = {connections}
}}
service stats {{
  client_limit = {connections}
}}
"""


def write_nginx(site: Site, load: str = "", later: bool = False) -> Path:
    """``later``: a listener that was not there at the start, to see when a reload has come into force."""
    doors = [*DOORS, *(["later"] if later else [])]
    servers = "".join(_nginx_server(site, door) for door in doors)
    path = site.directory / "nginx.conf"
    path.write_text(
        _NGINX.format(
            load=load,
            # Other users than root could not measure the memory of a gatepost that may not be dumped.
            user="user nobody nogroup;" if site.is_root else "worker_rlimit_core 1;",
            directory=site.directory,
            workers=site.workers,
            connections=site.connections,
            descriptors=site.connections + 100,
            auth=site.behind["auth"],
            servers=servers,
        )
    )
    return path


def _nginx_server(site: Site, door: str) -> str:
    protocol, _, kind = door.partition("-")
    tls = kind in ("ecdsa", "rsa")
    return f"""
    server {{
        listen 127.0.0.1:{site.ports[door]}{" ssl" if tls else ""};
        protocol {"imap" if door == "later" else protocol};
        {site.certificates.directives(kind) if tls else ""}
    }}
    """


def write_haproxy(site: Site, later: bool = False) -> Path:
    doors = [door for door in DOORS if door.startswith("imap")] + (["later"] if later else [])
    sections = ""
    for door in doors:
        tls = ""
        kind = door.partition("-")[2]
        if kind in ("ecdsa", "rsa"):
            chain: Path = getattr(site.certificates, kind)
            both = site.directory / f"{kind}-both.pem"
            both.touch(0o600)
            both.write_text(chain.read_text() + chain.with_suffix(".key").read_text())
            tls = f" ssl crt {both}"
        sections += f"listen {door}\n    bind 127.0.0.1:{site.ports[door]}{tls}\n"
        sections += f"    server behind 127.0.0.1:{site.behind['imap']}\n"
    path = site.directory / "haproxy.cfg"
    path.write_text(
        _HAPROXY.format(
            workers=site.workers,
            connections=site.connections // 2,  # it counts clients, not descriptors
            user="user nobody\n    group nogroup" if site.is_root else "",
            sections=sections,
        )
    )
    return path


def write_dovecot(site: Site) -> Path:
    """The RSA doors are those of ECDSA at 127.0.0.2: Dovecot chooses certificates by address, not by port."""
    if site.is_root:
        names = ("dovecot", "dovecot", "dovenull")
    else:
        me = pwd.getpwuid(os.geteuid())
        names = (me.pw_name, grp.getgrgid(me.pw_gid).gr_name, me.pw_name)
    certificates = site.certificates
    path = site.directory / "dovecot.conf"
    path.write_text(
        _DOVECOT.format(
            directory=site.directory,
            internal_user=names[0],
            internal_group=names[1],
            login_user=names[2],
            workers=site.workers,
            connections=site.connections,
            ecdsa=certificates.ecdsa,
            ecdsa_key=certificates.ecdsa.with_suffix(".key"),
            rsa=certificates.rsa,
            rsa_key=certificates.rsa.with_suffix(".key"),
            imap=site.behind["imap"],
            pop3=site.behind["pop3"],
            imap_clear=site.ports["imap-clear"],
            imap_tls=site.ports["imap-ecdsa"],
            pop3_clear=site.ports["pop3-clear"],
            pop3_tls=site.ports["pop3-ecdsa"],
        )
    )
    return path
