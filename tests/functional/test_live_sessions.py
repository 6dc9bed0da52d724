"""100 clients stay logged in across everything that can happen to a daemon; nobody else is refused meanwhile.

Each client stops in the middle of what it says, the event happens, and it says the rest: every byte has to come
back, in order, from the same backend connection.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from .certificates import Certificates
from .gateway import Gateway
from .process import alive, children
from .scripted_backend import ScriptedBackend
from .talkers import Talker, a_few_more, knocking, open_session, repeat
from .upgrading import old_pid_file, pid_file, pid_in, upgraded
from .waiting import LIMIT_SECONDS, wait_until

SESSIONS = 100

CONFIGURATION = """
    proxy_pass 127.0.0.1:{backend};
    {certificates}
    ssl_session_cache shared:SSL:1m;
    server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; }}}}
"""


@pytest.fixture
def gateway(open_path: Path, certificates: Certificates) -> Iterator[Gateway]:
    with ScriptedBackend(repeat) as backend:
        mail = CONFIGURATION.format(backend=backend.port, certificates=certificates.directives("ecdsa"))
        with Gateway(open_path, mail, workers=2) as running:
            yield running


def test_sessions_survive_a_reload_a_log_reopen_and_a_binary_upgrade(
    gateway: Gateway, certificates: Certificates
) -> None:
    context = certificates.client_context()
    with ExitStack() as stack, ThreadPoolExecutor(16) as pool:

        def everybody(deed: Callable[[Talker], None]) -> None:
            list(pool.map(deed, talkers, timeout=LIMIT_SECONDS))

        opened = pool.map(lambda _: open_session(gateway.port, context), range(SESSIONS))
        talkers = [Talker(stack.enter_context(client), seed) for seed, client in enumerate(opened)]
        first = gateway.workers
        old = gateway.process.pid
        with knocking(gateway.port, context) as served:
            everybody(Talker.begin)
            gateway.process.signal(signal.SIGHUP)
            wait_until(lambda: len(set(gateway.workers) - set(first)) == 2, "new workers beside those that drain")
            a_few_more(served)
            everybody(Talker.finish)

            everybody(Talker.begin)
            log = gateway.directory / "error.log"
            log.rename(gateway.directory / "error.log.1")
            gateway.process.signal(signal.SIGUSR1)
            wait_until(lambda: log.exists() and "client logged in" in gateway.log(), "logins in the new log")
            everybody(Talker.finish)

            everybody(Talker.begin)
            new = stack.enter_context(upgraded(gateway))  # outlives those who knock
            a_few_more(served)
            everybody(Talker.finish)
            everybody(Talker.begin)
            gateway.process.signal(signal.SIGQUIT)
            wait_until(lambda: set(gateway.workers) <= set(first), "only those with sessions to be left")
            a_few_more(served)
            everybody(Talker.finish)
            assert pid_in(old_pid_file(gateway)) == old
            assert pid_in(pid_file(gateway)) == new
            assert alive(old)
            assert gateway.workers
            for talker in talkers:
                talker.client.close()
            assert gateway.process.wait() == 0
            a_few_more(served)
            assert len(children(new)) == 2
            total = served()
        assert total > 0
        assert all(talker.exchanged for talker in talkers)
    assert not any(map(os.path.exists, (f"/proc/{pid}" for pid in first)))
