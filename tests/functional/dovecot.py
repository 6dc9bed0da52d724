"""A real Dovecot: private configuration, own passwd file, loopback only; as root or as a plain user."""

import grp
import os
import pwd
import shutil
from pathlib import Path

from .line_client import LineClient
from .ports import claim_port
from .process import Process, program
from .waiting import wait_until

PASSWORD = "secret word"  # with a space: it has to survive escaping and literals
_USERS = 400

_CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
haproxy_trusted_networks = 127.0.0.1
auth_failure_delay = 0
auth_mechanisms = plain login
first_valid_uid = 1
mail_location = sdbox:{directory}/mail/%u
mail_max_userip_connections = 0
# Nothing here is worth keeping: waiting for the disk would only slow the tests.
mail_fsync = never
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/users
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={directory}/mail/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  client_limit = 1000
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
  inet_listener imap_proxied {{
    port = {proxied_port}
    haproxy = yes
  }}
}}
service imap {{
  process_limit = 100
  client_limit = 10
  service_count = 1000
}}
service pop3-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  client_limit = 1000
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service pop3 {{
  process_limit = 100
  service_count = 1000
}}
service anvil {{
  client_limit = 2000
  chroot =
  # Every test comes from 127.0.0.1: one wrong password must not slow the others.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 3000
  # For an SMTP server that lets Dovecot check its passwords.
  unix_listener {directory}/sasl {{
    mode = 0666
  }}
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  client_limit = 2000
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    """One running server. ``port`` speaks IMAP in the clear, ``pop3_port`` POP3; all users share ``PASSWORD``.

    ``proxied_port`` speaks IMAP behind a PROXY header.
    """

    def __init__(self, directory: Path) -> None:
        self.port = claim_port()
        self.pop3_port = claim_port()
        self.proxied_port = claim_port()
        self._directory = directory
        self.sasl = directory / "sasl"
        self._handed_out = 0
        (directory / "mail").mkdir()
        users = "".join(f"user{number}:{{PLAIN}}{PASSWORD}\n" for number in range(_USERS))
        (directory / "users").write_text(users)
        if os.geteuid() == 0:
            mail = pwd.getpwnam("mail")
            names = ("dovecot", "dovecot", "dovenull", mail.pw_uid, mail.pw_gid)
            shutil.chown(directory / "mail", mail.pw_uid, mail.pw_gid)
            os.chmod(directory, 0o755)
        else:
            me = pwd.getpwuid(os.geteuid())
            names = (me.pw_name, grp.getgrgid(me.pw_gid).gr_name, me.pw_name, me.pw_uid, me.pw_gid)
        fields = ("internal_user", "internal_group", "login_user", "mail_uid", "mail_gid")
        self.configuration = configuration = directory / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                port=self.port,
                pop3_port=self.pop3_port,
                proxied_port=self.proxied_port,
                **dict(zip(fields, names, strict=True)),
            )
        )
        self._process = Process([program("dovecot"), "-F", "-c", str(configuration)], directory / "output")
        wait_until(self._greets, f"Dovecot to greet; it says {self._process.text()}")

    def _greets(self) -> bool:
        if self._process.status is not None:
            raise RuntimeError(f"Dovecot ended: {self._process.text()} {self.log()}")
        for port, greeting in ((self.port, b"* OK"), (self.pop3_port, b"+OK")):
            try:
                client = LineClient.plain(port)
            except ConnectionRefusedError:
                return False
            with client:
                if not client.line().startswith(greeting):
                    return False
        return True

    def log(self) -> str:
        path = self._directory / "dovecot.log"
        return path.read_text() if path.exists() else ""

    def fresh_user(self) -> str:
        """The name of a user whom nobody has used yet, with an empty INBOX."""
        if self._handed_out == _USERS:
            raise RuntimeError(f"more than {_USERS} users asked for")
        self._handed_out += 1
        return f"user{self._handed_out - 1}"

    def stop(self) -> None:
        self._process.stop()
