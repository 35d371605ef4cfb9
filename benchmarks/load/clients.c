/* Connections: opening them, sending frames, taking input apart into texts. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    INPUT_SIZE = 1 << 20,
    PATIENCE_MS = 30000, /* without any input */
    MAX_EVENTS = 256,
    PER_ADDRESS = 10000, /* an address has ports for some 28,000 */
};

static int epoll_fd;
static char input[INPUT_SIZE];
static const Phase *phase;
/* The start of the last text that meant nothing, for error messages. */
static char last_ignored[200];

static bool begins(const char *text, size_t size, Blob prefix) {
    return size >= prefix.size && memcmp(text, prefix.bytes, prefix.size) == 0;
}

static void send_blob(Client *client, Blob blob) {
    if (!blob.size) return;
    ssize_t sent = send(client->fd, blob.bytes, blob.size, MSG_NOSIGNAL);
    /* Requests are small and few are in flight: a full buffer means that the server does not read. */
    if (sent != (ssize_t)blob.size) fail("cannot send to port %d: %s", client->port, strerror(errno));
}

static void step_done(Client *client) {
    client->step++;
    if (client->step < client->step_count) {
        send_blob(client, client->steps[client->step].send);
    } else {
        client->state = READY;
        phase->ready(client);
    }
}

static void on_text(Client *client, const char *text, size_t size) {
    if (size == plan.ping.size && begins(text, size, plan.ping)) {
        send_blob(client, plan.pong);
    } else if (client->state == OPENING && begins(text, size, client->steps[client->step].expect)) {
        step_done(client);
    } else if (client->state == READY && begins(text, size, plan.delivery)) {
        client->deliveries++;
        phase->delivery(client);
    } else if (client->state == READY && begins(text, size, plan.ack)) {
        phase->ack(client);
    } else {
        size_t kept = size < sizeof last_ignored - 1 ? size : sizeof last_ignored - 1;
        memcpy(last_ignored, text, kept);
        last_ignored[kept] = 0;
    }
}

/* A frame may have several texts, each on a line of its own: JSON has no line breaks. */
static void on_texts(Client *client, const char *text, size_t size) {
    const char *end;
    while ((end = memchr(text, '\n', size))) {
        on_text(client, text, (size_t)(end - text));
        size -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    if (size) on_text(client, text, size);
}

/* The answer to the HTTP request. Returns how much was used: all of it, or nothing. */
static size_t take_http(Client *client, const char *bytes, size_t size) {
    const char *headers_end = memmem(bytes, size, "\r\n\r\n", 4);
    if (!headers_end) return 0;
    if (!begins(bytes, size, client->steps[0].expect)) fail("refused: %.200s", bytes);
    step_done(client);
    return (size_t)(headers_end - bytes) + 4;
}

/* One frame. Returns how much was used: all of it, or nothing when more has to come. */
static size_t take_frame(Client *client, const char *bytes, size_t size) {
    if (size < 2) return 0;
    size_t head = 2, length = (unsigned char)bytes[1] & 0x7f;
    unsigned extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (extra) {
        head += extra;
        if (size < head) return 0;
        length = 0;
        for (unsigned i = 0; i < extra; i++) length = length << 8 | (unsigned char)bytes[2 + i];
    }
    if (head + length > INPUT_SIZE) fail("a frame of %zu bytes is too large", length);
    if (size < head + length) return 0;
    int opcode = bytes[0] & 0x0f;
    if (opcode == 8) fail("port %d closed a WebSocket", client->port);
    if (opcode == 1) on_texts(client, bytes + head, length);
    return head + length;
}

static void on_input(Client *client) {
    size_t size = client->rest_size, used = 0;
    if (size) memcpy(input, client->rest, size);
    ssize_t received = recv(client->fd, input + size, INPUT_SIZE - size, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (received <= 0) fail("port %d closed a connection; ignored last: %s", client->port, last_ignored);
    size += (size_t)received;
    while (used < size && client->fd >= 0) {
        bool http = client->state == OPENING && client->step == 0;
        size_t step = (http ? take_http : take_frame)(client, input + used, size - used);
        if (!step) break;
        used += step;
    }
    client->rest_size = (uint32_t)(size - used);
    free(client->rest);
    client->rest = NULL;
    if (client->rest_size) {
        client->rest = malloc(client->rest_size);
        if (!client->rest) fail("no memory");
        memcpy(client->rest, input + used, client->rest_size);
    }
}

void clients_start(void) {
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0) fail("no epoll: %s", strerror(errno));
}

void client_open(Client *client) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(client->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    int on = 1, segment = 536, buffer = 4096;
    struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)((client - plan.clients) / PER_ADDRESS)),
    };
    client->since = now_ns();
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    /* The port is chosen when it connects, so only pairs of addresses must differ. */
    if (client->fd >= 0 && client - plan.clients >= PER_ADDRESS &&
        (setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) ||
         bind(client->fd, (struct sockaddr *)&source, sizeof source)))
        fail("no source address: %s", strerror(errno));
    /* Small segments make the send buffer of the other side small, too. */
    if (client->fd >= 0 && client->slow &&
        (setsockopt(client->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment) ||
         setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer)))
        fail("no small buffers: %s", strerror(errno));
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) ||
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        fcntl(client->fd, F_SETFL, O_NONBLOCK) ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event))
        fail("cannot connect to port %d: %s", client->port, strerror(errno));
    client->state = OPENING;
    client->step = 0;
    send_blob(client, client->steps[0].send);
}

static void write_stamp(const Request *request) {
    static uint64_t sent;
    uint64_t rest = ++sent;
    char *bytes = request->frame.bytes;
    const char *mask = bytes + request->payload - 4;
    for (uint32_t at = request->stamp + STAMP_SIZE; at-- > request->stamp; rest /= 10)
        bytes[at] = (char)(('0' + (char)(rest % 10)) ^ mask[(at - request->payload) % 4]);
}

void client_request(Client *client, uint32_t number) {
    if (number >= client->request_count) fail("the plan has no request %u", number);
    const Request *request = &client->requests[number];
    if (request->stamp) write_stamp(request);
    client->since = now_ns();
    send_blob(client, request->frame);
}

void client_close(Client *client) {
    if (client->fd >= 0) close(client->fd);
    free(client->rest);
    client->rest = NULL;
    client->rest_size = 0;
    client->fd = -1;
    client->state = CLOSED;
}

void client_stop(Client *client) {
    if (client->state != READY || epoll_ctl(epoll_fd, EPOLL_CTL_DEL, client->fd, NULL))
        fail("a client that is not open cannot stop reading");
}

void clients_run(const Phase *current) {
    static struct epoll_event events[MAX_EVENTS];
    phase = current;
    while (!phase->done()) {
        int wait = phase->tick ? phase->tick() : PATIENCE_MS;
        int count = epoll_wait(epoll_fd, events, MAX_EVENTS, wait);
        if (count < 0 && errno != EINTR) fail("epoll: %s", strerror(errno));
        if (count == 0 && !phase->tick) fail("nothing came for %d ms; ignored last: %s", PATIENCE_MS, last_ignored);
        for (int i = 0; i < count; i++) {
            Client *client = events[i].data.ptr;
            if (client->fd >= 0) on_input(client);
        }
    }
}
