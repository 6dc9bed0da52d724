"""The descriptor as the compiled binding drives it: a BIO of our own instead of the library's. C, for ``_decl``.

Theory of operation. The library writes record by record, and a ticket by itself: each would be a system call and a
packet. So what it writes during one call from Python is held, and leaves in one piece at the end of the call. Where
the kernel does not take all of it, the rest is kept with the connection (``unsent``), goes out before anything
else, and the caller is told: nothing more is written until it is gone, so it never exceeds what one call can write.

The library also reads once more after the last byte, to learn that there is nothing: within one call, a read that
got less than it asked for is taken for that. Whoever polls the descriptor is told if there is more.

A TLS 1.3 ticket is not sent by the handshake, but with what is written next (SSL_new_session_ticket): as a rule the
greeting, which the client waits for anyhow. A client that is refused after the handshake never gets one.
"""

WIRE_FUSED = """
long long gatepost_finish(SSL *, const char *, size_t);
void gatepost_withhold_tickets(SSL *);
"""

WIRE_FUSED_SOURCE = r"""
enum { GATEPOST_HELD_BYTES = 69632 };  /* four full records with their framing: what one write of ours can make */

struct gatepost_wire {
    int fd;
    int drained;  /* in this call the kernel has already given less than was asked for */
    int ended;
    int shaken;  /* the handshake is done */
    size_t tickets;  /* still to be sent */
    int closing;  /* close_notify is the last thing that is unsent */
    unsigned char *unsent;  /* what the kernel has not taken, from `unsent_start` on; NULL: nothing */
    size_t unsent_start, unsent_end;
};

/* What has been written in the present call. One for each thread that calls: none leaves a call with any held. */
static __thread unsigned char *gatepost_held;
static __thread size_t gatepost_held_size;

static struct gatepost_wire *
gatepost_wire_of(SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

/* How many bytes the kernel took, 0 when it takes none, -1 for an error in errno. */
static long long
gatepost_send(int fd, const unsigned char *data, size_t size)
{
    ssize_t sent;

    do sent = send(fd, data, size, MSG_NOSIGNAL); while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    return sent;
}

/* 1: nothing is unsent; 0: something is; -1: an error in errno. */
static int
gatepost_send_unsent(struct gatepost_wire *wire)
{
    long long sent;

    if (wire->unsent == NULL) return 1;
    sent = gatepost_send(wire->fd, wire->unsent + wire->unsent_start, wire->unsent_end - wire->unsent_start);
    if (sent < 0) return -1;
    wire->unsent_start += (size_t) sent;
    if (wire->unsent_start < wire->unsent_end) return 0;
    OPENSSL_free(wire->unsent);
    wire->unsent = NULL;
    return 1;
}

/* Lets go of what is held. As gatepost_send_unsent. */
static int
gatepost_release(struct gatepost_wire *wire)
{
    size_t size = gatepost_held_size;
    long long sent;

    gatepost_held_size = 0;
    if (size == 0) return wire->unsent == NULL;
    sent = gatepost_send(wire->fd, gatepost_held, size);
    if (sent < 0) return -1;
    if ((size_t) sent == size) return 1;
    wire->unsent = OPENSSL_memdup(gatepost_held + sent, size - (size_t) sent);
    if (wire->unsent == NULL) {
        errno = ENOMEM;
        return -1;
    }
    wire->unsent_start = 0;
    wire->unsent_end = size - (size_t) sent;
    return 0;
}

/* The same at the end of a call that came to `outcome`: of an error it leaves errno as it is. */
static int
gatepost_leave(struct gatepost_wire *wire, long long outcome)
{
    int saved = errno;
    int all = gatepost_release(wire);

    if (outcome <= GATEPOST_FAILED) errno = saved;
    return all;
}

/* Every call from Python begins here. As gatepost_send_unsent. */
static int
gatepost_enter(struct gatepost_wire *wire)
{
    errno = 0;
    wire->drained = 0;
    gatepost_held_size = 0;
    return gatepost_send_unsent(wire);
}

static int
gatepost_bio_write(BIO *bio, const char *data, int size)
{
    struct gatepost_wire *wire = BIO_get_data(bio);
    int all;

    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (gatepost_held_size + (size_t) size > GATEPOST_HELD_BYTES) {
        all = gatepost_release(wire);
        if (all < 0) return -1;
    }
    else all = wire->unsent == NULL;
    if (!all || size > GATEPOST_HELD_BYTES) {
        BIO_set_retry_write(bio);
        return -1;
    }
    if (gatepost_held == NULL && (gatepost_held = OPENSSL_malloc(GATEPOST_HELD_BYTES)) == NULL) return -1;
    memcpy(gatepost_held + gatepost_held_size, data, (size_t) size);
    gatepost_held_size += (size_t) size;
    return size;
}

static int
gatepost_bio_read(BIO *bio, char *data, int size)
{
    struct gatepost_wire *wire = BIO_get_data(bio);
    ssize_t got;

    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (wire->drained) {
        BIO_set_retry_read(bio);
        return -1;
    }
    do got = recv(wire->fd, data, (size_t) size, 0); while (got < 0 && errno == EINTR);
    if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_read(bio);
        return -1;
    }
    if (got == 0) wire->ended = 1;
    else if (got < size) wire->drained = 1;
    return (int) got;
}

static long
gatepost_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    struct gatepost_wire *wire = BIO_get_data(bio);

    (void) number;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;  /* it leaves at the end of the call */
    case BIO_CTRL_EOF: return wire->ended;
    case BIO_C_GET_FD:
        if (pointer != NULL) *(int *) pointer = wire->fd;
        return wire->fd;
    default: return 0;
    }
}

static int
gatepost_bio_destroy(BIO *bio)
{
    struct gatepost_wire *wire = BIO_get_data(bio);

    if (wire != NULL) {
        OPENSSL_free(wire->unsent);
        OPENSSL_free(wire);
    }
    return 1;
}

static BIO *
gatepost_bio_new(int fd)
{
    static BIO_METHOD *method;
    BIO_METHOD *made;
    struct gatepost_wire *wire;
    BIO *bio;

    if (method == NULL) {
        made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "gatepost wire");
        if (made == NULL) return NULL;
        BIO_meth_set_write(made, gatepost_bio_write);
        BIO_meth_set_read(made, gatepost_bio_read);
        BIO_meth_set_ctrl(made, gatepost_bio_ctrl);
        BIO_meth_set_destroy(made, gatepost_bio_destroy);
        method = made;
    }
    bio = BIO_new(method);
    if (bio == NULL) return NULL;
    wire = OPENSSL_zalloc(sizeof(*wire));
    if (wire == NULL) {
        BIO_free(bio);
        return NULL;
    }
    wire->fd = fd;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}

static void
gatepost_withhold_tickets(SSL *ssl)
{
    gatepost_wire_of(ssl)->tickets = 0;
}
"""
