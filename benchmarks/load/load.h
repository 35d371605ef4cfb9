/* A load generator for room servers: many WebSocket clients in one thread, whose frames were made beforehand.
 *
 * It knows WebSocket framing and which texts begin with which prefix, and nothing of Socket.IO: a plan
 * (plan.c) says what each client sends and what it waits for. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t size;
    char *bytes;
} Blob;

/* A text in a request that is overwritten with another number each time the request is sent (plan.py: STAMP). */
#define STAMP '~'
enum { STAMP_SIZE = 10 };

/* A frame that phases send again and again. */
typedef struct {
    Blob frame;
    uint32_t payload; /* where the masked payload begins, after the mask */
    uint32_t stamp;   /* where the stamp is, 0 without one */
} Request;

/* Send, then wait for a text that begins with `expect`. */
typedef struct {
    Blob send, expect;
} Step;

typedef enum { CLOSED, OPENING, READY } State;

typedef struct {
    uint16_t port;
    uint16_t step_count, request_count;
    Step *steps;    /* the first one is the HTTP request that opens the WebSocket */
    Request *requests;

    State state;
    int fd;
    uint16_t step;
    char *rest; /* input that is not a whole frame yet */
    uint32_t rest_size;
    uint64_t since;      /* when the open or the last request began, ns */
    bool busy;           /* a request is in flight */
    bool slow;           /* little fits into the buffers of the kernel */
    uint32_t deliveries; /* in this phase */
} Client;

typedef struct {
    Blob ack;        /* texts that begin so confirm a request */
    Blob delivery;   /* texts that begin so are room messages */
    Blob ping;       /* the text of a ping of the server */
    Blob pong;       /* frame that answers it */
    uint32_t count;
    Client *clients;
} Plan;

/* What a phase does when something happens to a client. */
typedef struct {
    void (*ready)(Client *);
    void (*ack)(Client *);
    void (*delivery)(Client *);
    bool (*done)(void);
    /* Do what is due; returns after how many ms it wants to be called again. NULL: never. */
    int (*tick)(void);
} Phase;

extern Plan plan;

void plan_read(const char *file);

void clients_start(void);
void client_open(Client *client);
void client_request(Client *client, uint32_t number);
void client_close(Client *client);
/* Read nothing more from it, and keep it open. */
void client_stop(Client *client);
/* Handle what comes until the phase is done. */
void clients_run(const Phase *phase);

/* Run one line of standard input, and print what came of it as one line of JSON. */
void phase_run(const char *line);

uint64_t now_ns(void);
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
