/* A server that answers every unary gRPC call with the same bytes, so that a benchmark judges the client alone.
 *
 *     fixed_server CERTIFICATE.pem ANSWER_IN_HEX [PORT]
 *
 * It listens on loopback only, over TLS, prints its port, and serves until its standard input closes. It does what
 * http2.py does: frames are split, SETTINGS and PING acknowledged, and a stream is answered once the client has ended
 * its side. No header is decoded. Section numbers are those of RFC 9113 (HTTP/2) where no other RFC is named.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATA = 0x0, HEADERS = 0x1, SETTINGS = 0x4, PING = 0x6, WINDOW_UPDATE = 0x8 };         /* 6 */
enum { END_STREAM = 0x1, ACK = 0x1, END_HEADERS = 0x4 };                                      /* 6.1, 6.2, 6.5, 6.7 */
enum { FRAME_HEADER = 9, PREFACE = 24, LARGEST_FRAME = 16384 };                               /* 4.1, 3.4, 4.2 */
enum { MAX_CONNECTIONS = 512, MAX_WAITING = 4096, IN_SIZE = 1 << 17 };
static const int64_t LARGEST_WINDOW = 2147483647, FIRST_WINDOW = 65535;                       /* 6.9.1, 6.9.2 */

struct bytes {
    unsigned char *data;
    size_t size, room;
};

struct connection {
    int socket;
    SSL *tls;
    unsigned char in[IN_SIZE];
    size_t in_size;
    struct bytes out;
    size_t sent;
    int greeted;
    /* Flow control (5.2) counts the bytes of DATA: those that we may still send, and those that came. */
    int64_t may_send, came;
    /* Streams that wait until the client opens its window, a ring. */
    uint32_t waiting[MAX_WAITING];
    unsigned first, last;
};

static struct bytes answer, greeting;
static size_t body_size;
static size_t stream_at[3]; /* where the number of the stream belongs in `answer` */
static int frames;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void append(struct bytes *to, const void *data, size_t size) {
    if (to->size + size > to->room) {
        to->room = 2 * (to->size + size);
        if (!(to->data = realloc(to->data, to->room))) fail("realloc");
    }
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void append_number(struct bytes *to, uint32_t number) {
    uint32_t big_endian = htonl(number);
    append(to, &big_endian, 4);
}

static void append_frame(struct bytes *to, int kind, int flags, uint32_t stream, const void *payload, size_t size) {
    unsigned char head[5] = {size >> 16, size >> 8, size, kind, flags};
    append(to, head, 5);
    append_number(to, stream);
    append(to, payload, size);
}

static void append_window_update(struct bytes *to, uint32_t size) {
    uint32_t big_endian = htonl(size);
    append_frame(to, WINDOW_UPDATE, 0, 0, &big_endian, 4);
}

/* RFC 7541, 6.2.2: a field with a new name that is not kept in the dynamic table; 5.2: strings without Huffman code. */
static void append_literal(struct bytes *to, const char *name, const char *value) {
    unsigned char sizes[3] = {0, strlen(name), strlen(value)};
    append(to, sizes, 2);
    append(to, name, sizes[1]);
    append(to, sizes + 2, 1);
    append(to, value, sizes[2]);
}

static void append_answer_frame(int kind, int flags, const void *payload, size_t size) {
    stream_at[frames++] = answer.size + 5;
    append_frame(&answer, kind, flags, 0, payload, size);
}

static void prepare_answer(const char *hex) {
    struct bytes head = {0}, body = {0}, trailers = {0};
    append(&head, "\x88", 1); /* RFC 7541, appendix A: entry 8 is ":status: 200" */
    append_literal(&head, "content-type", "application/grpc");
    append_answer_frame(HEADERS, END_HEADERS, head.data, head.size);
    /* gRPC over HTTP/2, Length-Prefixed-Message: a flag that says "not compressed", then the length. */
    append(&body, "\0", 1);
    append_number(&body, strlen(hex) / 2);
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2) append(&body, &(unsigned char){byte}, 1);
    if ((body_size = body.size) > LARGEST_FRAME) fail("the answer is too large");
    append_answer_frame(DATA, 0, body.data, body.size);
    append_literal(&trailers, "grpc-status", "0");
    append_answer_frame(HEADERS, END_HEADERS | END_STREAM, trailers.data, trailers.size);
}

static void prepare_greeting(void) {
    struct bytes limits = {0};
    append(&limits, "\0\x3\x7f\xff\xff\xff\0\x4\x7f\xff\xff\xff", 12); /* 6.5.2: MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE */
    append_frame(&greeting, SETTINGS, 0, 0, limits.data, limits.size);
    append_window_update(&greeting, LARGEST_WINDOW - FIRST_WINDOW);
}

static void answer_streams(struct connection *client) {
    /* A stream's own window has room for its one answer; the connection's may be full. */
    while (client->first != client->last && client->may_send >= (int64_t)body_size) {
        uint32_t stream = htonl(client->waiting[client->first++ % MAX_WAITING]);
        size_t start = client->out.size;
        append(&client->out, answer.data, answer.size);
        for (int frame = 0; frame < frames; frame++) memcpy(client->out.data + start + stream_at[frame], &stream, 4);
        client->may_send -= body_size;
    }
}

static void take_frame(struct connection *client, const unsigned char *head, size_t size) {
    uint32_t number;
    const unsigned char *payload = head + FRAME_HEADER;
    int kind = head[3], flags = head[4];
    memcpy(&number, head + 5, 4);
    uint32_t stream = ntohl(number);
    if (kind == WINDOW_UPDATE && stream == 0) {
        memcpy(&number, payload, 4);
        client->may_send += ntohl(number);
    } else if (kind <= HEADERS) {
        if (kind == DATA) client->came += size;
        if (flags & END_STREAM && client->last - client->first < MAX_WAITING)
            client->waiting[client->last++ % MAX_WAITING] = stream;
    } else if ((kind == SETTINGS || kind == PING) && !(flags & ACK)) {
        append_frame(&client->out, kind, ACK, 0, payload, kind == PING ? size : 0);
    }
}

/* Take all frames that are complete; what is left of the next one moves to the front. */
static void take_frames(struct connection *client) {
    size_t at = 0;
    if (!client->greeted) {
        if (client->in_size < PREFACE) return;
        append(&client->out, greeting.data, greeting.size);
        client->greeted = 1;
        at = PREFACE;
    }
    while (client->in_size - at >= FRAME_HEADER) {
        const unsigned char *head = client->in + at;
        size_t size = (size_t)head[0] << 16 | head[1] << 8 | head[2];
        if (client->in_size - at < FRAME_HEADER + size) break;
        take_frame(client, head, size);
        at += FRAME_HEADER + size;
    }
    memmove(client->in, client->in + at, client->in_size -= at);
    answer_streams(client);
    if (client->came > LARGEST_WINDOW / 2) {
        append_window_update(&client->out, client->came);
        client->came = 0;
    }
}

/* Return whether the connection goes on after an operation of OpenSSL gave `result`. */
static int goes_on(struct connection *client, int result) {
    int error = SSL_get_error(client->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int write_out(struct connection *client) {
    while (client->sent < client->out.size) {
        int sent = SSL_write(client->tls, client->out.data + client->sent, client->out.size - client->sent);
        if (sent <= 0) return goes_on(client, sent);
        client->sent += sent;
    }
    client->sent = client->out.size = 0;
    return 1;
}

static int serve(struct connection *client) {
    int size;
    /* A client may send faster than it reads: its frames wait in its socket until it has taken the answers. */
    while ((size = SSL_read(client->tls, client->in + client->in_size, IN_SIZE - client->in_size)) > 0) {
        client->in_size += size;
        take_frames(client);
        if (!SSL_has_pending(client->tls)) break; /* saves the system call that would find nothing */
    }
    return (size > 0 || goes_on(client, size)) && write_out(client);
}

static struct connection *accept_client(int listener, SSL_CTX *context) {
    struct connection *client = calloc(1, sizeof *client);
    if (!client || (client->socket = accept(listener, NULL, NULL)) < 0) fail("accept");
    fcntl(client->socket, F_SETFL, O_NONBLOCK);
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    client->may_send = FIRST_WINDOW;
    client->tls = SSL_new(context);
    SSL_set_fd(client->tls, client->socket);
    SSL_set_accept_state(client->tls);
    return client;
}

static int choose_h2(SSL *tls, const unsigned char **chosen, unsigned char *size, const unsigned char *offered,
                     unsigned offered_size, void *_) {
    (void)tls, (void)_;
    int found = SSL_select_next_proto((unsigned char **)chosen, size, (const unsigned char *)"\2h2", 3, offered, offered_size);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *tls_context(const char *certificate) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM) != 1)
        fail(certificate);
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    SSL_CTX_set_read_ahead(context, 1); /* one system call for a record, in the place of two */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (void *)&address, size) || listen(listener, 128)) fail("listen");
    getsockname(listener, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **arguments) {
    static struct pollfd polled[MAX_CONNECTIONS + 2];
    static struct connection *clients[MAX_CONNECTIONS + 2];
    int used = 2;
    if (count < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *context = tls_context(arguments[1]);
    prepare_answer(arguments[2]);
    prepare_greeting();
    polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = listen_on(count > 3 ? atoi(arguments[3]) : 0), .events = POLLIN};
    while (poll(polled, used, -1) > 0 || errno == EINTR) {
        if (polled[0].revents) return 0;
        for (int at = used - 1; at >= 2; at--) {
            if (polled[at].revents && !serve(clients[at])) {
                SSL_free(clients[at]->tls);
                close(clients[at]->socket);
                free(clients[at]->out.data);
                free(clients[at]);
                clients[at] = clients[--used];
                polled[at] = polled[used];
                continue;
            }
            polled[at].events = POLLIN | (clients[at]->out.size ? POLLOUT : 0);
        }
        if (polled[1].revents) {
            if (used == MAX_CONNECTIONS + 2) return 1;
            clients[used] = accept_client(polled[1].fd, context);
            polled[used] = (struct pollfd){.fd = clients[used]->socket, .events = POLLIN};
            used++;
        }
    }
    return 1;
}
