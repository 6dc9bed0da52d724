"""The C of certificates: verifying those of clients, reading what stands in them, keys in engines.

Part of ``_decl``; the same rules hold.
"""

VERIFICATION_FUNCTIONS = """
typedef ... X509_STORE;
typedef ... X509_STORE_CTX;
typedef ... X509_CRL;
typedef ... ASN1_INTEGER;
typedef ... ASN1_TIME;
typedef ... BIO_METHOD;

#define SSL_VERIFY_PEER 1
#define X509_V_OK 0
#define X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT 18
#define X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN 19
#define X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY 20
#define X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE 21
#define X509_V_ERR_CERT_UNTRUSTED 27
#define X509_V_FLAG_CRL_CHECK 4
#define X509_V_FLAG_CRL_CHECK_ALL 8
#define XN_FLAG_RFC2253 17892119

void SSL_CTX_set_verify(SSL_CTX *, int, int (*)(int, X509_STORE_CTX *));
void SSL_CTX_set_verify_depth(SSL_CTX *, int);
X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *);
int SSL_CTX_add_client_CA(SSL_CTX *, X509 *);
int SSL_CTX_remove_session(SSL_CTX *, SSL_SESSION *);

int X509_STORE_add_cert(X509_STORE *, X509 *);
int X509_STORE_add_crl(X509_STORE *, X509_CRL *);
int X509_STORE_set_flags(X509_STORE *, unsigned long);
X509_CRL *PEM_read_bio_X509_CRL(BIO *, X509_CRL **, pem_password_cb, void *);
void X509_CRL_free(X509_CRL *);
const char *X509_verify_cert_error_string(long);

X509_NAME *X509_get_issuer_name(const X509 *);
ASN1_INTEGER *X509_get_serialNumber(X509 *);
const ASN1_TIME *X509_get0_notBefore(const X509 *);
const ASN1_TIME *X509_get0_notAfter(const X509 *);
int ASN1_TIME_diff(int *, int *, const ASN1_TIME *, const ASN1_TIME *);
int X509_NAME_print_ex(BIO *, const X509_NAME *, int, unsigned long);
int i2a_ASN1_INTEGER(BIO *, const ASN1_INTEGER *);
int PEM_write_bio_X509(BIO *, const X509 *);
int X509_up_ref(X509 *);

const BIO_METHOD *BIO_s_mem(void);
BIO *BIO_new(const BIO_METHOD *);
int BIO_read(BIO *, void *, int);
size_t BIO_ctrl_pending(BIO *);
"""

# Engines are gone in OpenSSL 4.0.
VERIFICATION_OPTIONAL = {
    "ENGINE_by_id": ("ENGINE *", "const char *"),
    "ENGINE_init": ("int", "ENGINE *"),
    "ENGINE_free": ("int", "ENGINE *"),
    "ENGINE_set_default": ("int", "ENGINE *, unsigned int"),
    "ENGINE_load_private_key": ("EVP_PKEY *", "ENGINE *, const char *, UI_METHOD *, void *"),
}

VERIFICATION_FUSED = """
int gatepost_accept_certificate(int, X509_STORE_CTX *);
"""

# What _fused.py does in Python, with its explanation.
VERIFICATION_FUSED_SOURCE = r"""
static int
gatepost_accept_certificate(int is_good, X509_STORE_CTX *store)
{
    (void) is_good, (void) store;
    return 1;
}
"""
