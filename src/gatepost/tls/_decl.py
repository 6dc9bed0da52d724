"""The C that gatepost uses of OpenSSL: exported functions, a few constants, and the fused calls.

One list of declarations serves two back ends. ABI mode looks the functions up in the shared library at run time
and needs no compiler; ``_abi.py`` is generated from here, so that nothing is parsed at start. API mode compiles the
same declarations, which checks each of them against the headers, and adds ``FUSED_SOURCE``: one call from Python
where ABI mode needs three. ``python -m gatepost.tls.build`` makes both.

Only functions that the library exports are declared: what the headers offer as macros over ``*_ctrl`` is called
with the command number, which is part of the library's ABI.
"""

import zlib

from ._decl_sessions import SESSION_FUNCTIONS, SESSION_FUSED, SESSION_FUSED_SOURCE, SESSION_HOOKS
from ._decl_verification import (
    VERIFICATION_FUNCTIONS,
    VERIFICATION_FUSED,
    VERIFICATION_FUSED_SOURCE,
    VERIFICATION_OPTIONAL,
)
from ._decl_wire import WIRE_FUSED, WIRE_FUSED_SOURCE

FUNCTIONS = (
    """
typedef ... SSL;
typedef ... SSL_CTX;
typedef ... SSL_METHOD;
typedef ... SSL_CIPHER;
typedef ... SSL_CONF_CTX;
typedef ... X509;
typedef ... X509_NAME;
typedef ... X509_NAME_ENTRY;
typedef ... ASN1_STRING;
typedef ... EVP_PKEY;
typedef ... EVP_MD;
typedef ... BIO;
typedef ... OPENSSL_STACK;
typedef ... OPENSSL_INIT_SETTINGS;
typedef ... OSSL_STORE_CTX;
typedef ... OSSL_STORE_INFO;
typedef ... UI_METHOD;

typedef int (*pem_password_cb)(char *, int, int, void *);

#define OPENSSL_INIT_LOAD_CONFIG 64

#define SSL_CTRL_MODE 33
#define SSL_CTRL_SET_READ_AHEAD 41
#define SSL_CTRL_SET_SESS_CACHE_SIZE 42
#define SSL_CTRL_SET_SESS_CACHE_MODE 44
#define SSL_CTRL_CHAIN 88
#define SSL_CTRL_SET_GROUPS_LIST 92
#define SSL_CTRL_SET_MIN_PROTO_VERSION 123
#define SSL_CTRL_SET_MAX_PROTO_VERSION 124

#define SSL_OP_IGNORE_UNEXPECTED_EOF 128
#define SSL_OP_NO_TICKET 16384
#define SSL_OP_NO_COMPRESSION 131072
#define SSL_OP_CIPHER_SERVER_PREFERENCE 4194304
#define SSL_OP_NO_ANTI_REPLAY 16777216
#define SSL_OP_NO_SSLv3 33554432
#define SSL_OP_NO_TLSv1 67108864
#define SSL_OP_NO_TLSv1_2 134217728
#define SSL_OP_NO_TLSv1_1 268435456
#define SSL_OP_NO_TLSv1_3 536870912
#define SSL_OP_NO_RENEGOTIATION 1073741824

#define SSL_MODE_ENABLE_PARTIAL_WRITE 1
#define SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER 2
#define SSL_MODE_NO_AUTO_CHAIN 8
#define SSL_MODE_RELEASE_BUFFERS 16

#define SSL_SESS_CACHE_OFF 0
#define SSL_SESS_CACHE_SERVER 2
#define SSL_SESS_CACHE_NO_AUTO_CLEAR 128
#define SSL_SESS_CACHE_NO_INTERNAL_STORE 512

#define SSL_CONF_FLAG_CLIENT 4
#define SSL_CONF_FLAG_SERVER 8
#define SSL_CONF_FLAG_SHOW_ERRORS 16
#define SSL_CONF_FLAG_FILE 2
#define SSL_CONF_FLAG_CERTIFICATE 32
#define SSL_CONF_TYPE_FILE 2
#define SSL_CONF_TYPE_DIR 3

#define OSSL_STORE_INFO_PKEY 4

#define ERR_TXT_STRING 2

unsigned long OpenSSL_version_num(void);
const char *OpenSSL_version(int);
OPENSSL_INIT_SETTINGS *OPENSSL_INIT_new(void);
int OPENSSL_INIT_set_config_appname(OPENSSL_INIT_SETTINGS *, const char *);
void OPENSSL_INIT_free(OPENSSL_INIT_SETTINGS *);
int OPENSSL_init_ssl(uint64_t, const OPENSSL_INIT_SETTINGS *);
void OPENSSL_cleanse(void *, size_t);

unsigned long ERR_peek_error(void);
unsigned long ERR_peek_last_error(void);
unsigned long ERR_get_error_all(const char **, int *, const char **, const char **, int *);
void ERR_clear_error(void);
void ERR_error_string_n(unsigned long, char *, size_t);
const char *ERR_reason_error_string(unsigned long);

BIO *BIO_new_file(const char *, const char *);
BIO *BIO_new_mem_buf(const void *, int);
int BIO_free(BIO *);

X509 *PEM_read_bio_X509_AUX(BIO *, X509 **, pem_password_cb, void *);
X509 *PEM_read_bio_X509(BIO *, X509 **, pem_password_cb, void *);
EVP_PKEY *PEM_read_bio_PrivateKey(BIO *, EVP_PKEY **, pem_password_cb, void *);
EVP_PKEY *PEM_read_bio_Parameters(BIO *, EVP_PKEY **);
void X509_free(X509 *);
int X509_digest(const X509 *, const EVP_MD *, unsigned char *, unsigned int *);
int X509_get_signature_nid(const X509 *);
const char *OBJ_nid2sn(int);
EVP_PKEY *X509_get0_pubkey(const X509 *);
int EVP_PKEY_get_base_id(const EVP_PKEY *);
int EVP_PKEY_get_bits(const EVP_PKEY *);
int EVP_PKEY_is_a(const EVP_PKEY *, const char *);
void EVP_PKEY_free(EVP_PKEY *);
X509_NAME *X509_get_subject_name(const X509 *);
int X509_NAME_get_index_by_NID(const X509_NAME *, int, int);
X509_NAME_ENTRY *X509_NAME_get_entry(const X509_NAME *, int);
ASN1_STRING *X509_NAME_ENTRY_get_data(const X509_NAME_ENTRY *);
int ASN1_STRING_to_UTF8(unsigned char **, const ASN1_STRING *);
void CRYPTO_free(void *, const char *, int);
const EVP_MD *EVP_sha1(void);
int EVP_Digest(const void *, size_t, unsigned char *, unsigned int *, const EVP_MD *, void *);

OPENSSL_STACK *OPENSSL_sk_new_null(void);
int OPENSSL_sk_push(OPENSSL_STACK *, const void *);
void OPENSSL_sk_free(OPENSSL_STACK *);

UI_METHOD *UI_UTIL_wrap_read_pem_callback(pem_password_cb, int);
void UI_destroy_method(UI_METHOD *);
OSSL_STORE_CTX *OSSL_STORE_open(const char *, const UI_METHOD *, void *, void *, void *);
OSSL_STORE_INFO *OSSL_STORE_load(OSSL_STORE_CTX *);
int OSSL_STORE_eof(OSSL_STORE_CTX *);
int OSSL_STORE_close(OSSL_STORE_CTX *);
int OSSL_STORE_INFO_get_type(const OSSL_STORE_INFO *);
EVP_PKEY *OSSL_STORE_INFO_get1_PKEY(const OSSL_STORE_INFO *);
void OSSL_STORE_INFO_free(OSSL_STORE_INFO *);

const SSL_METHOD *TLS_method(void);
SSL_CTX *SSL_CTX_new(const SSL_METHOD *);
void SSL_CTX_free(SSL_CTX *);
long SSL_CTX_ctrl(SSL_CTX *, int, long, void *);
uint64_t SSL_CTX_set_options(SSL_CTX *, uint64_t);
uint64_t SSL_CTX_clear_options(SSL_CTX *, uint64_t);
int SSL_CTX_set_cipher_list(SSL_CTX *, const char *);
int SSL_CTX_use_certificate(SSL_CTX *, X509 *);
int SSL_CTX_use_PrivateKey(SSL_CTX *, EVP_PKEY *);
int SSL_CTX_set0_tmp_dh_pkey(SSL_CTX *, EVP_PKEY *);
long SSL_CTX_set_timeout(SSL_CTX *, long);
int SSL_CTX_set_session_id_context(SSL_CTX *, const unsigned char *, unsigned int);
int SSL_CTX_set_num_tickets(SSL_CTX *, size_t);
void SSL_CTX_set_alpn_select_cb(SSL_CTX *, int (*)(SSL *, const unsigned char **, unsigned char *,
                                                   const unsigned char *, unsigned int, void *), void *);
int SSL_select_next_proto(unsigned char **, unsigned char *, const unsigned char *, unsigned int,
                          const unsigned char *, unsigned int);

SSL_CONF_CTX *SSL_CONF_CTX_new(void);
void SSL_CONF_CTX_free(SSL_CONF_CTX *);
unsigned int SSL_CONF_CTX_set_flags(SSL_CONF_CTX *, unsigned int);
void SSL_CONF_CTX_set_ssl_ctx(SSL_CONF_CTX *, SSL_CTX *);
int SSL_CONF_cmd_value_type(SSL_CONF_CTX *, const char *);
int SSL_CONF_cmd(SSL_CONF_CTX *, const char *, const char *);
int SSL_CONF_CTX_finish(SSL_CONF_CTX *);

SSL *SSL_new(SSL_CTX *);
void SSL_free(SSL *);
int SSL_set_fd(SSL *, int);
void SSL_set_accept_state(SSL *);
void SSL_set_connect_state(SSL *);
int SSL_do_handshake(SSL *);
int SSL_read_ex(SSL *, void *, size_t, size_t *);
int SSL_write_ex(SSL *, const void *, size_t, size_t *);
int SSL_get_error(const SSL *, int);
int SSL_has_pending(const SSL *);
int SSL_shutdown(SSL *);
void SSL_set_shutdown(SSL *, int);
int SSL_session_reused(const SSL *);
X509 *SSL_get_certificate(const SSL *);
X509 *SSL_get0_peer_certificate(const SSL *);
long SSL_get_verify_result(const SSL *);
const char *SSL_get_version(const SSL *);
const SSL_CIPHER *SSL_get_current_cipher(const SSL *);
const char *SSL_CIPHER_get_name(const SSL_CIPHER *);
const char *SSL_get_servername(const SSL *, int);
void SSL_get0_alpn_selected(const SSL *, const unsigned char **, unsigned int *);
"""
    + SESSION_FUNCTIONS
    + VERIFICATION_FUNCTIONS
)

# Functions that not every supported version has: name -> parameters. In API mode they are weak symbols, so that
# one build runs on older and on newer libraries.
OPTIONAL = {
    "SSL_CTX_compress_certs": ("int", "SSL_CTX *, int"),  # 3.2
    **VERIFICATION_OPTIONAL,
}

OPTIONAL_FUNCTIONS = "\n".join(f"{result} {name}({args});" for name, (result, args) in OPTIONAL.items())

# What the fused calls answer, besides a count of bytes. _fused.py keeps the same contract in Python.
FUSED = (
    """
SSL *gatepost_new(SSL_CTX *, int, int);
void gatepost_free(SSL *);
long long gatepost_handshake(SSL *);
long long gatepost_read(SSL *, char *, size_t);
long long gatepost_write(SSL *, const char *, size_t);
long long gatepost_shutdown(SSL *);
int gatepost_select_alpn(SSL *, const unsigned char **, unsigned char *,
                         const unsigned char *, unsigned int, void *);
void *gatepost_optional(const char *);
unsigned long gatepost_declarations(void);
"""
    + SESSION_FUSED
    + VERIFICATION_FUSED
    + WIRE_FUSED
)

_WEAK = "\n".join(
    f"extern {result} {name}({args}) __attribute__((weak));" for name, (result, args) in OPTIONAL.items()
)
_LOOKUP = "\n".join(f'    if (strcmp(name, "{name}") == 0) return (void *) {name};' for name in OPTIONAL)

FUSED_SOURCE = (
    r"""
#include <errno.h>
#include <string.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#if defined(LIBRESSL_VERSION_NUMBER) || defined(OPENSSL_IS_BORINGSSL) || OPENSSL_VERSION_NUMBER < 0x30000000L
#error "gatepost needs the headers of OpenSSL 3.0 or later"
#endif

enum { GATEPOST_EOF = 0, GATEPOST_WANT_READ = -1, GATEPOST_WANT_WRITE = -2, GATEPOST_STALE = -4,
       GATEPOST_FAILED = -100 };
"""
    + WIRE_FUSED_SOURCE
    + r"""
#define GATEPOST_UNSENT (1LL << 32)
#define GATEPOST_CLOSED (1LL << 33)

/* What ended a call. Leaves the error queue and errno to the caller, who reports them. */
static long long
gatepost_outcome(SSL *ssl, int result)
{
    int saved = errno;
    int error = SSL_get_error(ssl, result);

    errno = saved;
    switch (error) {
    case SSL_ERROR_WANT_READ: return GATEPOST_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return GATEPOST_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return GATEPOST_EOF;
    default: return GATEPOST_FAILED - error;
    }
}

static SSL *
gatepost_new(SSL_CTX *context, int fd, int server)
{
    SSL *ssl = SSL_new(context);
    BIO *wire;

    if (ssl == NULL) return NULL;
    wire = gatepost_bio_new(fd);
    if (wire == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, wire, wire);
    if (server) {
        SSL_set_accept_state(ssl);
        SSL_set_num_tickets(ssl, 0);
    }
    else SSL_set_connect_state(ssl);
    return ssl;
}

/* Marked shut down first: otherwise the library takes the session for broken and drops it from the caches. */
static void
gatepost_free(SSL *ssl)
{
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
}

static long long
gatepost_handshake(SSL *ssl)
{
    struct gatepost_wire *wire = gatepost_wire_of(ssl);
    long long outcome = 1;
    int all, result;

    if (ERR_peek_error()) return GATEPOST_STALE;
    all = gatepost_enter(wire);
    if (all == 1 && !wire->shaken) {
        result = SSL_do_handshake(ssl);
        if (result != 1) outcome = gatepost_outcome(ssl, result);
        all = gatepost_leave(wire, outcome);
        if (result == 1) {
            wire->shaken = 1;
            if (SSL_is_server(ssl) && SSL_version(ssl) == TLS1_3_VERSION)
                wire->tickets = SSL_CTX_get_num_tickets(SSL_get_SSL_CTX(ssl));
        }
    }
    if (outcome <= GATEPOST_FAILED) return outcome;
    if (all < 0) return GATEPOST_FAILED - SSL_ERROR_SYSCALL;
    return all ? outcome : GATEPOST_WANT_WRITE;
}

/* Takes record after record until the buffer is full or the library holds nothing more. What ends the stream
   behind bytes already taken is put above bit 32. */
static long long
gatepost_read(SSL *ssl, char *buffer, size_t room)
{
    struct gatepost_wire *wire = gatepost_wire_of(ssl);
    long long outcome = 0;
    size_t total = 0, taken;

    if (ERR_peek_error()) return GATEPOST_STALE;
    gatepost_enter(wire);  /* whatever became of what we had to say: they may have said something before */
    errno = 0;
    do {
        if (!SSL_read_ex(ssl, buffer + total, room - total, &taken)) {
            outcome = gatepost_outcome(ssl, 0);
            if (total == 0) break;
            if (outcome == GATEPOST_WANT_READ || outcome == GATEPOST_WANT_WRITE) outcome = (long long) total;
            else outcome = (long long) total | (1 - outcome) << 32;
            break;
        }
        total += taken;
        outcome = (long long) total;
    } while (total < room && SSL_has_pending(ssl));
    gatepost_leave(wire, GATEPOST_FAILED);
    return outcome;
}

static size_t
gatepost_encrypt(SSL *ssl, const char *data, size_t count, long long *end)
{
    size_t total = 0, taken;

    while (total < count) {
        if (!SSL_write_ex(ssl, data + total, count - total, &taken)) {
            *end = gatepost_outcome(ssl, 0);
            break;
        }
        total += taken;
    }
    return total;
}

static long long
gatepost_say(SSL *ssl, const char *data, size_t count, int finish)
{
    struct gatepost_wire *wire = gatepost_wire_of(ssl);
    long long outcome = 0, flags = 0;
    size_t total;
    int all;

    if (ERR_peek_error()) return GATEPOST_STALE;
    all = gatepost_enter(wire);
    if (all <= 0) return all < 0 ? GATEPOST_FAILED - SSL_ERROR_SYSCALL : GATEPOST_WANT_WRITE;
    for (; count > 0 && wire->tickets > 0; wire->tickets--) SSL_new_session_ticket(ssl);
    total = gatepost_encrypt(ssl, data, count, &outcome);
    if (finish && total == count && SSL_shutdown(ssl) >= 0) flags |= GATEPOST_CLOSED;
    all = gatepost_leave(wire, outcome);
    if (all < 0 && outcome > GATEPOST_FAILED) return GATEPOST_FAILED - SSL_ERROR_SYSCALL;
    if (outcome <= GATEPOST_FAILED || (total == 0 && count > 0)) return outcome;
    return (long long) total | flags | (all ? 0 : GATEPOST_UNSENT);
}

static long long
gatepost_write(SSL *ssl, const char *data, size_t count)
{
    return gatepost_say(ssl, data, count, 0);
}

/* All of `data` and close_notify behind it, in one piece. */
static long long
gatepost_finish(SSL *ssl, const char *data, size_t count)
{
    return gatepost_say(ssl, data, count, 1);
}

/* 1: both sides have closed; 0: only ours is sent. */
static long long
gatepost_shutdown(SSL *ssl)
{
    struct gatepost_wire *wire = gatepost_wire_of(ssl);
    long long outcome;
    int all, result;

    if (ERR_peek_error()) return GATEPOST_STALE;
    all = gatepost_enter(wire);
    if (all < 0) return GATEPOST_FAILED - SSL_ERROR_SYSCALL;
    if (all == 0) return GATEPOST_WANT_WRITE;
    if (wire->closing) {  /* only room was missing */
        wire->closing = 0;
        return SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN ? 1 : 0;
    }
    result = SSL_shutdown(ssl);
    outcome = result >= 0 ? result : gatepost_outcome(ssl, result);
    all = gatepost_leave(wire, outcome);
    if (outcome <= GATEPOST_FAILED) return outcome;
    if (all < 0) return GATEPOST_FAILED - SSL_ERROR_SYSCALL;
    wire->closing = !all;
    return all ? outcome : GATEPOST_WANT_WRITE;
}

/* `arg` is the one protocol of the listener, its length in front. A client that offers only others is refused. */
static int
gatepost_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                     unsigned int inlen, void *arg)
{
    const unsigned char *ours = arg;

    (void) ssl;
    if (SSL_select_next_proto((unsigned char **) out, outlen, ours, 1u + ours[0], in, inlen)
        != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}
"""
    + SESSION_FUSED_SOURCE
    + VERIFICATION_FUSED_SOURCE
    + _WEAK
    + r"""
static void *
gatepost_optional(const char *name)
{
"""
    + _LOOKUP
    + r"""
    return NULL;
}
"""
)

# Ties a compiled module to the declarations it was made from: after an update an old one is not used.
DIGEST = zlib.crc32("".join((FUNCTIONS, FUSED, SESSION_HOOKS, FUSED_SOURCE)).encode())

FUSED_SOURCE += f"""
static unsigned long
gatepost_declarations(void)
{{
    return {DIGEST}UL;
}}
"""
