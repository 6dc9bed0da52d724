"""The C of sessions and tickets: declarations, and the fused calls that keep a session from living too long.

Part of ``_decl``; the same rules hold.
"""

SESSION_FUNCTIONS = """
typedef ... SSL_SESSION;
typedef ... EVP_CIPHER;
typedef ... EVP_CIPHER_CTX;
typedef ... EVP_MAC_CTX;
typedef ... ENGINE;
struct stack_st_X509_NAME;

typedef struct ossl_param_st {
    const char *key;
    unsigned int data_type;
    void *data;
    size_t data_size;
    size_t return_size;
} OSSL_PARAM;

#define SSL_SESS_CACHE_NO_INTERNAL 768

#define OSSL_PARAM_UTF8_STRING 4
#define OSSL_PARAM_OCTET_STRING 5

SSL_CTX *SSL_get_SSL_CTX(const SSL *);
uint64_t SSL_get_options(const SSL *);
int SSL_version(const SSL *);
SSL_SESSION *SSL_get_session(const SSL *);

void SSL_CTX_sess_set_new_cb(SSL_CTX *, int (*)(SSL *, SSL_SESSION *));
void SSL_CTX_sess_set_remove_cb(SSL_CTX *, void (*)(SSL_CTX *, SSL_SESSION *));
void SSL_CTX_sess_set_get_cb(SSL_CTX *, SSL_SESSION *(*)(SSL *, const unsigned char *, int, int *));
int SSL_CTX_set_session_ticket_cb(SSL_CTX *, int (*)(SSL *, void *),
                                  int (*)(SSL *, SSL_SESSION *, const unsigned char *, size_t, int, void *),
                                  void *);
int SSL_CTX_set_tlsext_ticket_key_evp_cb(SSL_CTX *, int (*)(SSL *, unsigned char *, unsigned char *,
                                                            EVP_CIPHER_CTX *, EVP_MAC_CTX *, int));

const unsigned char *SSL_SESSION_get_id(const SSL_SESSION *, unsigned int *);
long SSL_SESSION_get_time(const SSL_SESSION *);
long SSL_SESSION_get_timeout(const SSL_SESSION *);
long SSL_SESSION_set_timeout(SSL_SESSION *, long);
int SSL_SESSION_set1_ticket_appdata(SSL_SESSION *, const void *, size_t);
int SSL_SESSION_get0_ticket_appdata(SSL_SESSION *, void **, size_t *);
void SSL_SESSION_free(SSL_SESSION *);
int i2d_SSL_SESSION(const SSL_SESSION *, unsigned char **);
SSL_SESSION *d2i_SSL_SESSION(SSL_SESSION **, const unsigned char **, long);

const EVP_CIPHER *EVP_aes_128_cbc(void);
const EVP_CIPHER *EVP_aes_256_cbc(void);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *,
                       const unsigned char *, const unsigned char *);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *,
                       const unsigned char *, const unsigned char *);
int EVP_MAC_CTX_set_params(EVP_MAC_CTX *, const OSSL_PARAM *);
int RAND_bytes(unsigned char *, int);

int ERR_set_mark(void);
int ERR_pop_to_mark(void);

struct stack_st_X509_NAME *SSL_CTX_get_client_CA_list(const SSL_CTX *);
int OPENSSL_sk_num(const OPENSSL_STACK *);
void *OPENSSL_sk_value(const OPENSSL_STACK *, int);
int X509_NAME_digest(const X509_NAME *, const EVP_MD *, unsigned char *, unsigned int *);
"""

# Functions of Python that the library calls. In API mode these lines make them C functions without memory that is
# both writable and executable, which hardened systems refuse; in ABI mode ``_hooks`` makes closures.
SESSION_HOOKS = """
extern "Python" {
    int gatepost_new_session(SSL *, SSL_SESSION *);
    void gatepost_remove_session(SSL_CTX *, SSL_SESSION *);
    SSL_SESSION *gatepost_get_session(SSL *, const unsigned char *, int, int *);
    int gatepost_ticket_key(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int);
}
"""

SESSION_FUSED = """
int gatepost_admit_session(SSL_SESSION *, long);
int gatepost_ticket_made(SSL *, void *);
int gatepost_ticket_opened(SSL *, SSL_SESSION *, const unsigned char *, size_t, int, void *);
"""

# What _fused.py does in Python, with its explanation.
SESSION_FUSED_SOURCE = r"""
#include <stdint.h>
#include <time.h>
#include <openssl/params.h>
#include <openssl/rand.h>

enum { GATEPOST_END_BYTES = 8 };

static int
gatepost_get_end(SSL_SESSION *session, int64_t *end)
{
    void *data = NULL;
    size_t length = 0, i;
    uint64_t value = 0;

    if (!SSL_SESSION_get0_ticket_appdata(session, &data, &length) || length != GATEPOST_END_BYTES) return 0;
    for (i = 0; i < length; i++) value = value << 8 | ((unsigned char *) data)[i];
    *end = (int64_t) value;
    return 1;
}

static int
gatepost_set_end(SSL_SESSION *session, int64_t end)
{
    unsigned char data[GATEPOST_END_BYTES];
    int i;

    for (i = 0; i < GATEPOST_END_BYTES; i++) data[i] = (unsigned char) ((uint64_t) end >> (56 - 8 * i));
    return SSL_SESSION_set1_ticket_appdata(session, data, sizeof(data));
}

static int
gatepost_admit_session(SSL_SESSION *session, long timeout)
{
    long lifetime = SSL_SESSION_get_timeout(session);
    int64_t end = (int64_t) SSL_SESSION_get_time(session) + (lifetime < timeout ? lifetime : timeout);

    return end > (int64_t) time(NULL) && gatepost_set_end(session, end);
}

static int
gatepost_ticket_made(SSL *ssl, void *arg)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    int64_t end, start = SSL_SESSION_get_time(session);

    (void) arg;
    if (!gatepost_get_end(session, &end))
        return gatepost_set_end(session, start + SSL_SESSION_get_timeout(session));
    SSL_SESSION_set_timeout(session, end > start ? (long) (end - start) : 0);
    return 1;
}

static int
gatepost_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t length, int status,
                       void *arg)
{
    (void) ssl, (void) name, (void) length;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!gatepost_admit_session(session, *(long *) arg)) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}
"""
