"""One session, from accept to the start of its relay: feeds events to the machines and performs their effects.

Theory of operation. One coroutine runs a session. The client machine says what to do; the driver does it in
order and tells the machine what came of it. The driver knows no protocol: what differs is in the machines
and in the protocol's last words. Two deadlines are kept as nginx keeps them: ``timeout`` counts from the
greeting and is not extended by commands, it stands still while we authenticate; a second ``timeout`` covers
the whole login upstream.

When the upstream has accepted the login, the coroutine hands both sockets to a ``Relay`` and ends. Whatever goes
wrong before ends this session only: the client hears its protocol's words for it, the log gets one line.
"""

import asyncio
import contextlib
import errno
import os
import socket
import traceback
from collections import deque
from typing import Final

from gatepost.address import Address
from gatepost.auth.message import Accepted, Refused, Request
from gatepost.errors import EVERYDAY, EXHAUSTED, AuthError, SessionError, TlsError
from gatepost.log import Level, quoted
from gatepost.net.deadlines import Deadline
from gatepost.net.host_names import UNAVAILABLE
from gatepost.net.proxy_protocol import HeaderError, Proxied
from gatepost.net.real_ip import client_address
from gatepost.net.relay import Relay
from gatepost.net.stream import Stream, StreamError
from gatepost.net.waiting import Run
from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    BackendRefused,
    ClientNamed,
    Close,
    Declined,
    Effect,
    Note,
    ResolveClient,
    Send,
    StartTls,
    TlsReady,
    Wake,
    Woke,
)
from gatepost.protocol.machine import ClientMachine
from gatepost.session_log import SessionLog

from .arrival import read_proxy_header
from .endpoint import Endpoint, Host
from .login import (
    READING,
    BackendDeclinedError,
    LoginFailedError,
    LoginTimedOutError,
    UpstreamLogin,
    without_password,
)

READ_BYTES: Final = 16384  # one TLS record; commands are far shorter
# Between two looks after a client that has to wait; how much longer it is kept than it stays.
LOOK_SECONDS: Final = 1.0
GREETING: Final = "sending client greeting line"  # what we do until the client may speak

_DONE: Final = Close()  # in the place of an effect that nobody is to hold any longer
_TIMED_OUT: Final = f"timed out ({errno.ETIMEDOUT}: {os.strerror(errno.ETIMEDOUT)})"


class DeadlinePassedError(Exception):
    """Raised in a session's wait when its deadline has passed."""


class ClientGoneError(Exception):
    """Raised in a wait of the clock's when the client has left meanwhile."""


class WokenError(Exception):
    """Raised in a session's wait for the client when the machine has to be woken."""


class Session:
    """One client before its relay. Whatever goes wrong ends this session only."""

    __slots__ = (
        "_address",
        "_attempts",
        "_deadline",
        "_endpoint",
        "_host",
        "_is_mute",
        "_leaving",
        "_log",
        "_machine",
        "_proxied",
        "_running",
        "_stream",
        "_upstream",
        "_wake_at",
    )

    def __init__(self, host: Host, endpoint: Endpoint, sock: socket.socket, address: Address, number: int) -> None:
        self._host = host
        self._endpoint = endpoint
        self._address = address
        shown = "unix:" if address.family is socket.AF_UNIX else address.host
        self._log = SessionLog(endpoint.log, number, shown, endpoint.name)
        self._stream = Stream(host.poller, sock)
        self._machine: ClientMachine | None = None
        self._proxied: Proxied | None = None
        self._upstream: UpstreamLogin | None = None
        self._deadline = Deadline(host.wheel, self._expired)
        self._attempts = 0
        self._wake_at: float | None = None  # time of the loop at which the machine wants to be woken
        self._is_mute = True  # nothing can be said to the client now: it expects TLS, or a header is missing
        self._leaving = False

    def start(self) -> None:
        """Run as far as what has arrived allows; the host keeps the session alive from then on."""
        self._host.sessions.add(self)
        self._host.accepted += 1
        self._running = Run(self._host.loop, self._run())
        self._running.step()

    def cancel(self) -> None:
        """End at once, from outside, without a word."""
        self._running.cancel()

    def shut_down(self) -> None:
        """The worker has to go: tell the client so, whatever it is waiting for, and end."""
        self._leaving = True
        self._running.cancel()

    async def _run(self) -> None:
        """Serve the client until it has logged in or the session has ended."""
        host = self._host
        try:
            await self._serve()
        except DeadlinePassedError:
            self._log.write(Level.INFO, f"client {_TIMED_OUT}")
        except ClientGoneError:
            self._stream.say_end()
        except asyncio.CancelledError:
            if not self._leaving:
                raise
            self._log.write(Level.INFO, "shutdown timeout")
            await self._say_goodbye()
        except StreamError as failure:
            self._log.write(Level.INFO if failure.code in EVERYDAY else Level.CRIT, str(failure))
        except (HeaderError, TlsError) as error:
            self._log.write(error.level, str(error))
        except Exception as bug:  # noqa: BLE001 - a bug of ours must cost one session, not the worker
            last = traceback.extract_tb(bug.__traceback__)[-1]
            where = last.filename.rpartition("/gatepost/")[2]  # in every form of install the same
            self._log.write(Level.ALERT, f"{type(bug).__name__} at {where}:{last.lineno}, session ended")
        finally:
            self._deadline.drop()
            if self._stream.fd >= 0:
                self._stream.close()
            host.sessions.discard(self)
            host.on_ended.set()

    async def _say_goodbye(self) -> None:
        """Tell the client that the worker has to go, if it can be told without waiting for it. Never raises."""
        if self._is_mute or self._stream.fd < 0 or self._stream.is_amid_write:
            return
        self._unlimit()
        with contextlib.suppress(StreamError, TlsError):  # it is gone
            self._stream.try_write(self._endpoint.protocol.last_words.shutting_down)
            await self._stream.finish()

    def _limit(self) -> None:
        """The time allowed begins anew. One that has passed, but that nobody has noticed yet, is over as well."""
        self._stream.forgive()
        self._deadline.set(self._endpoint.timeout)

    def _unlimit(self) -> None:
        self._stream.forgive()
        self._deadline.clear()

    def _expired(self) -> None:
        if self._upstream is not None:
            self._upstream.fail(LoginTimedOutError())
        else:
            self._stream.fail(DeadlinePassedError())

    # The client's side

    async def _serve(self) -> None:
        endpoint = self._endpoint
        stream = self._stream
        if endpoint.proxied or endpoint.ssl:
            self._limit()
        if endpoint.proxied:
            self._log.action = "reading PROXY protocol"
            self._proxied = await read_proxy_header(stream)
            self._believe(self._proxied)
        if endpoint.ssl:
            self._log.action = "SSL handshaking"
            if not await self._handshake():
                return
        self._log.action = GREETING
        self._machine = machine = endpoint.service.client(tls=endpoint.ssl, address=self._address)
        self._is_mute = False
        self._limit()
        goes_on = await self._perform(machine.start())
        early: bytes | None
        while goes_on:
            if self._wake_at is None:
                self._log.action = "in auth state"
                data = await stream.read(READ_BYTES)
            else:
                early = await self._read_until(self._wake_at)
                if early is None:
                    goes_on = await self._perform(machine.tell(Woke()))
                    continue
                data = early
            if not data:
                stream.say_end()
                return
            effects = machine.receive(data)
            data = early = b""  # a password may be in it, and the next wait may be long
            goes_on = await self._perform(effects)

    def _believe(self, proxied: Proxied | None) -> None:
        """From now on the client is whom a proxy has named, if the proxy is one that is trusted."""
        if proxied is not None and self._endpoint.trusted.covers(self._address):
            client = client_address(proxied)
            if client is not None:
                self._address = client
                self._log.client = client.host

    async def _read_until(self, time: float) -> bytes | None:
        """As ``read`` of the stream, but None when it is ``time`` (of the loop) and nothing has come."""
        stream = self._stream
        timer = self._host.loop.call_at(time, stream.fail, WokenError())
        try:
            return await stream.read(READ_BYTES)
        except WokenError:
            return None
        finally:
            timer.cancel()
            self._wake_at = None
            self._limit()  # forgives a timer that nobody saw, too

    async def _handshake(self) -> bool:
        """False: the client's certificate was refused, and the session is over."""
        context = self._endpoint.context
        assert context is not None, "a server that may speak TLS has a context"
        stream = self._stream
        await stream.start_tls(context)
        assert stream.tls is not None
        problem = stream.tls.judge()
        if problem is None:
            return True
        self._log.write(Level.INFO, str(problem))
        stream.tls.forget_session()
        words = self._endpoint.protocol.last_words
        await self._finish(words.certificate_missing if problem.missing else words.certificate_error)
        return False

    async def _perform(self, effects: list[Effect]) -> bool:
        """Do all of ``effects``, and those that follow from them. False: the session is over or relays.

        Takes them out of the list: nobody else is to keep what may hold a password.
        """
        stream = self._stream
        todo = deque(effects)
        effects.clear()
        out: list[bytes] = []
        while todo:
            effect = todo.popleft()
            if isinstance(effect, Send):
                out.append(effect.data)
                if effect.action:
                    self._log.action = effect.action
                continue
            if out:
                await stream.write(b"".join(out))
                out.clear()
            if isinstance(effect, Authenticate):
                handed, effect = [effect], _DONE
                answer = await self._authenticate(handed)
                if answer is None:
                    return False
                todo.extend(answer)
            elif isinstance(effect, Note):
                self._log.write(effect.level, effect.text)
            elif isinstance(effect, Close):
                await self._finish()
                return False
            elif isinstance(effect, StartTls):
                self._log.action = "in starttls state"
                self._log.starttls = True
                self._is_mute = True
                if not await self._handshake():
                    return False
                self._is_mute = False
                assert self._machine is not None
                todo.extend(self._machine.tell(TlsReady()))
            elif isinstance(effect, ResolveClient):
                assert self._machine is not None
                todo.extend(self._machine.tell(ClientNamed(await self._client_host())))
            elif isinstance(effect, Wake):
                self._log.action = effect.action
                self._unlimit()
                self._wake_at = self._host.loop.time() + effect.seconds
            else:
                raise AssertionError(f"a client machine cannot ask for {type(effect).__name__}")
        if out:
            await stream.write(b"".join(out))
        return True

    async def _client_host(self) -> bytes:
        """The client's name in DNS. ``timeout`` begins when it is known: looking it up has limits of its own."""
        resolver = self._endpoint.resolver
        if resolver is None:
            return UNAVAILABLE
        self._unlimit()
        host = await resolver.client_host(self._address, self._log)
        self._log.action = GREETING
        self._limit()
        return host

    async def _finish(self, words: bytes = b"") -> None:
        self._limit()
        if words:
            await self._stream.write(words)
        self._unlimit()
        await self._stream.finish()

    # Authentication and login upstream

    async def _authenticate(self, handed: list[Authenticate]) -> list[Effect] | None:
        """What the client machine says to the outcome, or None when the session is over or relays.

        Whatever has credentials in it is let go of as soon as it has served: a wait or a long goodbye may follow.
        So it is handed on in a list, which whoever takes it out leaves empty.
        """
        endpoint = self._endpoint
        self._unlimit()
        self._attempts += 1
        outcome: list[Effect] | bytes | None = None
        verdict: Accepted | Refused | None
        try:
            verdict = await endpoint.authenticator.ask(self._request(handed), self._wait_out)
        except AuthError as error:
            self._failed(error)
            outcome = endpoint.protocol.last_words.internal_error
            verdict = None
        if isinstance(verdict, Refused):
            return await self._refused(verdict)
        if verdict is not None:
            accepted, verdict = [verdict], None
            outcome = await self._log_in(accepted)
        if isinstance(outcome, bytes):
            await self._finish(outcome)
            return None
        return outcome

    def _request(self, handed: list[Authenticate]) -> Request:
        effect = handed.pop()
        log = self._log
        log.action = "in http auth state"
        log.login = effect.credentials.user
        tls = self._stream.tls
        return Request(
            credentials=effect.credentials,
            protocol=self._endpoint.protocol.name,
            attempt=self._attempts,
            client_ip=log.client,
            tls=tls.facts if tls is not None else None,
            client_host=effect.client_host,
            extra=effect.extra,
            proxied=self._proxied,
        )

    async def _refused(self, verdict: Refused) -> list[Effect]:
        log = self._log
        if verdict.user is not None:
            log.login = verdict.user
        log.write(Level.INFO, f'client login failed: "{quoted(verdict.text)}"')
        if verdict.wait_seconds:
            await self._wait_out(verdict.wait_seconds)
        self._limit()
        assert self._machine is not None
        return self._machine.tell(AuthRefused(verdict.text, not verdict.wait_seconds, verdict.code))

    async def _log_in(self, handed: list[Accepted]) -> list[Effect] | bytes | None:
        """As ``_authenticate``; or the last words to a client whose session is over."""
        endpoint = self._endpoint
        log = self._log
        machine = self._machine
        assert machine is not None
        verdict = handed.pop()
        log.login = verdict.account.user
        log.upstream = verdict.shown
        log.action = "connecting to upstream"
        self._upstream = login = UpstreamLogin(
            self._host.poller,
            verdict.address,
            self._proxy_header(),
            machine.upstream(verdict.account),
            log,
            self._host.room,
        )
        self._limit()
        words = endpoint.protocol.last_words.internal_error
        try:
            reply = await login.run()
        except BackendDeclinedError as no:
            declined = no.declined
            if declined.credentials and endpoint.authenticator.backend_decides:
                return self._backend_refused(declined, verdict.account)
            level = Level.INFO if endpoint.pass_error_message else Level.ERROR
            log.action = READING
            said = without_password(quoted(declined.text, len(declined.text)), verdict.account)
            log.write(level, f'upstream sent invalid response: "{said}"')
            if endpoint.pass_error_message and declined.reply:
                words = declined.reply
        except LoginTimedOutError:
            log.write(Level.INFO, f"upstream {_TIMED_OUT}")
        except LoginFailedError as error:
            self._failed(error, verdict.account)
        else:
            self._start_relay(reply, login, machine)
            return None
        finally:
            self._upstream = None
            login.close()
        return words

    def _failed(self, error: SessionError, account: Account | None = None) -> None:
        """Log why a login has failed. What there are no descriptors for, the worker needs to know, too."""
        text = str(error)
        self._log.write(error.level, text if account is None else without_password(text, account))
        if error.code in EXHAUSTED:
            self._host.on_exhausted()

    async def _wait_out(self, seconds: float) -> None:
        """Let ``seconds`` pass that the service makes a client wait, up to a day. Raises ClientGoneError.

        Who left would otherwise keep its place until then. What it says meanwhile stays unread, so its end cannot
        be read either; looking for it costs a call each time, but nobody who logs in comes here. An end of its own
        direction only is taken for leaving, as it is between commands.
        """
        loop = self._host.loop
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))
            if self._stream.ended():
                raise ClientGoneError

    def _proxy_header(self) -> bytes:
        """What tells the backend who the client is; empty where it is not to be told."""
        write = self._endpoint.proxy_header
        return b"" if write is None else write(self._address, self._stream.local_address, self._stream.tls)

    def _backend_refused(self, declined: Declined, account: Account) -> list[Effect]:
        """With ``proxy_pass`` the backend decides, in its own words, and the client may try again."""
        log = self._log
        said = without_password(quoted(declined.text, len(declined.text)), account)
        log.write(Level.INFO, f'client login failed: "{said}"')
        log.upstream = ""
        self._limit()
        assert self._machine is not None
        return self._machine.tell(BackendRefused(declined.reply))

    def _start_relay(self, reply: bytes, login: UpstreamLogin, machine: ClientMachine) -> None:
        host = self._host
        log = self._log
        log.action = ""
        log.write(Level.INFO, "client logged in")
        upstream, _ = login.release()
        client, tls = self._stream.release()
        idle = self._endpoint.proxy_timeout
        words = self._endpoint.protocol.last_words.shutting_down
        relay = Relay(host.shared, log, client, tls, upstream, idle, words, host.relay_ended)
        host.relays.add(relay)
        host.logins += 1
        relay.start(reply + login.rest(), machine.rest())
