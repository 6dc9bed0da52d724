"""What is measured: the rows of the table. Lower is better in all of them.

The aims are those of gatepost's budget, as ratios to nginx; they hold for the install with the compiled binding.
"""

from dataclasses import dataclass

MORE_WORKERS = (2, 8)  # with which starting is measured besides one


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    title: str
    unit: str
    aim: float | None = None  # the highest ratio to the reference that is good enough
    door: str | None = None  # a server without it has no such row


def _logins(protocol: str, name: str, aims: tuple[float | None, ...]) -> tuple[Row, ...]:
    kinds = (
        ("ecdsa", f"{name}S, TLS 1.3, ECDSA P-256", "ecdsa"),
        ("rsa", f"{name}S, TLS 1.3, RSA-2048", "rsa"),
        ("resumed", f"{name}S, TLS 1.3, resumed", "ecdsa"),
        ("clear", f"{name} in the clear", "clear"),
    )
    return tuple(
        Row(f"{protocol}-{key}", f"CPU per login session, {title}", "µs", aim, f"{protocol}-{door}")
        for (key, title, door), aim in zip(kinds, aims, strict=True)
    )


ROWS = (
    *_logins("imap", "IMAP", (0.95, 0.95, 0.95, 2.0)),
    *_logins("pop3", "POP3", (None,) * 4),
    *_logins("smtp", "SMTP", (None,) * 4),
    Row("two-workers", "the first row, with two workers", "µs", None, "imap-ecdsa"),
    Row("download", "CPU per GiB downloaded, IMAPS", "s", 0.50, "imap-ecdsa"),
    Row("upload", "CPU per GiB uploaded, IMAPS", "s", 0.60, "imap-ecdsa"),
    Row("latency", "time of an IMAPS login alone, TLS 1.3: median", "ms", 0.05, "imap-ecdsa"),
    Row("latency-p99", "time of an IMAPS login alone, 99th percentile", "ms", None, "imap-ecdsa"),
    Row("memory-idle", "memory per idle IMAPS connection after login", "KiB", 0.50, "imap-ecdsa"),
    Row("memory-greeted", "memory per idle IMAPS connection before login", "KiB", None, "imap-ecdsa"),
    Row("memory-start", "memory after the start, one worker, all processes", "MiB"),
    *(
        Row(f"memory-start-{workers}", f"memory after the start, {workers} workers, all processes", "MiB")
        for workers in MORE_WORKERS
    ),
    Row("start", "start: from the command to the first greeting, one worker", "ms"),
    *(
        Row(f"start-{workers}", f"start: from the command to the first greeting, {workers} workers", "ms")
        for workers in MORE_WORKERS
    ),
    Row("check", "checking the configuration", "ms"),
    Row("reload", "reload: from the signal until new workers greet", "ms"),
)
