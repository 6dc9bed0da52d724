"""A real Postfix: private configuration, queue and log, loopback only, Dovecot's users through Dovecot's SASL.

Its master process serves under several user ids and so refuses to run as anybody but root. As a plain user the
stories meet ``SmtpSink`` instead; ``make_backend`` chooses.
"""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from .dovecot import Dovecot
from .letters import MAILBOXES, RECIPIENT, Backend, Delivery
from .line_client import LineClient
from .ports import claim_port
from .process import Process, program
from .smtp_sink import SmtpSink
from .waiting import LIMIT_SECONDS, wait_until

_DAEMONS = "/usr/lib/postfix/sbin"
_DELIVER = "/usr/lib/dovecot/dovecot-lda"

_MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {directory}/mail.log
maillog_file_prefixes = {directory}
myhostname = backend.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_relay_restrictions = reject_unauth_destination
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
message_size_limit = 20971520
virtual_mailbox_domains = {domain} {mailboxes}
transport_maps = inline:{{ {mailboxes}=mailbox: }}
mailbox_destination_recipient_limit = 1
virtual_mailbox_base = {directory}/mail
virtual_mailbox_maps = static:in/
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
virtual unix - n n - - virtual
mailbox unix - n n - - pipe
  flags=R user=mail argv={deliver} -c {dovecot} -o log_path=/dev/stderr -f $sender -d $user
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One running server; see ``Backend``."""

    def __init__(self, directory: Path, dovecot: Dovecot) -> None:
        self.port = claim_port()
        self._directory = directory
        owner = pwd.getpwnam("mail")
        for name, user in (("etc", "root"), ("queue", "root"), ("data", "postfix"), ("mail", "mail")):
            (directory / name).mkdir()
            shutil.chown(directory / name, user)
        fields = {
            "directory": directory,
            "daemons": _DAEMONS,
            "sasl": dovecot.sasl,
            "domain": RECIPIENT.partition("@")[2],
            "mailboxes": MAILBOXES,
            "uid": owner.pw_uid,
            "gid": owner.pw_gid,
        }
        (directory / "etc" / "main.cf").write_text(_MAIN.format(**fields))
        services = _MASTER.format(port=self.port, deliver=_DELIVER, dovecot=dovecot.configuration)
        (directory / "etc" / "master.cf").write_text(services)
        # Makes what the queue needs.
        command = [program("postfix"), "-c", str(directory / "etc"), "check"]
        subprocess.run(command, check=True, timeout=LIMIT_SECONDS)
        master = [f"{_DAEMONS}/master", "-s", "-c", str(directory / "etc")]
        self._process = Process(master, directory / "output")
        try:
            wait_until(self._greets, "Postfix to greet")
        except BaseException:
            self.stop()
            raise

    def _greets(self) -> bool:
        if self._process.status is not None:
            raise RuntimeError(f"Postfix ended: {self._process.text()} {self.log()}")
        try:
            client = LineClient.plain(self.port)
        except ConnectionRefusedError:
            return False
        with client:
            return client.line().startswith(b"220 ")

    def log(self) -> str:
        path = self._directory / "mail.log"
        return path.read_text() if path.exists() else ""

    def delivery(self, subject: str) -> Delivery:
        found: list[bytes] = []

        def arrived() -> bool:
            for path in (self._directory / "mail").glob("in/new/*"):
                text = path.read_bytes()
                if f"\nSubject: {subject}\n".encode() in text:
                    found.append(text)
            return bool(found)

        wait_until(arrived, f"Postfix to deliver {subject}; it says {self.log()}")
        queue_id = re.search(rb"\n\t?.* id ([0-9A-F]+)", found[0])
        assert queue_id, found[0][:500]
        line = rf"{queue_id[1].decode()}: client=\S*\[(.*?)\](?:, sasl_method=(\S+), sasl_username=(.*))?\n"
        told = re.search(line, self.log())
        assert told, self.log()
        return Delivery(told[1], told[2] or "", told[3] or "", found[0])

    def stop(self) -> None:
        if self._process.status is None:
            self._process.stop()


def make_backend(directory: Path, dovecot: Dovecot) -> Backend:
    """Postfix for root, a stand-in for others."""
    return Postfix(directory, dovecot) if os.geteuid() == 0 else SmtpSink(dovecot)
