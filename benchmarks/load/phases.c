/* The phases of a measurement: opening clients, closed loops of requests, fan-out with a window, a steady pace. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of the running phase. */
static struct {
    Client *first;
    uint32_t count;
    uint32_t total;    /* requests to send at most */
    uint32_t request;  /* number of the request in the plan */
    uint32_t window;   /* fan-out: messages that not all have got, at most */
    uint32_t senders;  /* fan-out: how many of the clients send in turn */
    uint32_t per_request; /* loop: deliveries of one request */
    uint64_t send_until;  /* no request is begun after that, ns */
    uint32_t started, acked;
    uint64_t deliveries;
    uint64_t *sent_at; /* fan-out, pace: when each message was sent */
    uint64_t began;    /* pace: ns */
    uint32_t rooms, members; /* pace */
} run;

static uint32_t *latencies; /* ns, 4.29 s at most */
static size_t latency_count, latency_space;

static void note_latency(uint64_t since) {
    uint64_t passed = now_ns() - since;
    if (latency_count == latency_space) {
        latency_space = latency_space ? latency_space * 2 : 1 << 16;
        latencies = realloc(latencies, latency_space * sizeof *latencies);
        if (!latencies) fail("no memory");
    }
    latencies[latency_count++] = passed > UINT32_MAX ? UINT32_MAX : (uint32_t)passed;
}

static void ignore(Client *client) { (void)client; }

static bool may_start(void) { return run.started < run.total && now_ns() < run.send_until; }

/* --- open: connect, log in, join */

static void open_next(Client *ready) {
    if (ready) {
        note_latency(ready->since);
        run.acked++;
    }
    if (run.started < run.count) client_open(&run.first[run.started++]);
}

static bool all_open(void) { return run.acked == run.count; }

static const Phase open_phase = {open_next, ignore, ignore, all_open, NULL};

/* --- loop: clients take turns, each has one request in flight at most */

static void loop_next(Client *acked) {
    Client *next = &run.first[run.started++ % run.count];
    if (next->busy && acked) next = acked;
    next->busy = true;
    client_request(next, run.request);
}

static void loop_ack(Client *client) {
    note_latency(client->since);
    client->busy = false;
    run.acked++;
    if (may_start()) loop_next(client);
}

static void loop_delivery(Client *client) {
    (void)client;
    run.deliveries++;
}

static bool loop_done(void) {
    return run.acked == run.started && run.deliveries >= (uint64_t)run.acked * run.per_request;
}

static const Phase loop_phase = {ignore, loop_ack, loop_delivery, loop_done, NULL};

/* --- fan-out: all clients are in one room; latency is that of each delivery */

static void fanout_fill(void) {
    while (run.started - run.deliveries / run.count < run.window && may_start()) {
        run.sent_at[run.started] = now_ns();
        client_request(&run.first[run.started % run.senders], run.request);
        run.started++;
    }
}

static void fanout_ack(Client *client) {
    (void)client;
    run.acked++;
}

static void fanout_delivery(Client *client) {
    /* Others who are in the room are not waited for. */
    if (client < run.first || client >= run.first + run.count) return;
    run.deliveries++;
    if (client->deliveries > run.started) fail("a message came twice");
    note_latency(run.sent_at[client->deliveries - 1]);
    if (run.deliveries % run.count == 0) fanout_fill();
}

static bool fanout_done(void) {
    return run.acked == run.started && run.deliveries >= (uint64_t)run.started * run.count;
}

static const Phase fanout_phase = {ignore, fanout_ack, fanout_delivery, fanout_done, NULL};

/* --- pace: rooms of so many clients each, to each of which a member sends one message a second; without any
 * message if the total is 0. Latency is that of each delivery. */

static uint64_t due(uint32_t message) { return run.began + (uint64_t)message * 1000000000ull / run.rooms; }

static int pace_tick(void) {
    while (run.started < run.total && due(run.started) <= now_ns()) {
        uint32_t room = run.started % run.rooms, turn = run.started / run.rooms;
        run.sent_at[run.started++] = now_ns();
        client_request(&run.first[room * run.members + turn % run.members], run.request);
    }
    uint64_t next = run.started < run.total ? due(run.started) : run.send_until, now = now_ns();
    return next <= now ? 100 : (int)((next - now) / 1000000) + 1;
}

static void pace_delivery(Client *client) {
    uint32_t room = (uint32_t)(client - run.first) / run.members, turn = client->deliveries - 1;
    if (turn * run.rooms + room >= run.started) fail("a message came twice");
    run.deliveries++;
    note_latency(run.sent_at[turn * run.rooms + room]);
}

static bool pace_done(void) {
    if (run.total) return run.acked == run.total && run.deliveries >= (uint64_t)run.total * run.members;
    return now_ns() >= run.send_until;
}

static const Phase pace_phase = {ignore, fanout_ack, pace_delivery, pace_done, pace_tick};

/* --- running and reporting */

static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Nearest rank, in microseconds. */
static double percentile(double share) {
    if (!latency_count) return 0;
    size_t rank = (size_t)(share * (double)latency_count);
    return latencies[rank < latency_count ? rank : latency_count - 1] / 1e3;
}

static void begin(uint32_t first, uint32_t count) {
    if (!count || first + count > plan.count) fail("the plan has only %u clients", plan.count);
    uint64_t *kept = run.sent_at;
    memset(&run, 0, sizeof run);
    run.sent_at = kept;
    run.first = &plan.clients[first];
    run.count = count;
    latency_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        run.first[i].deliveries = 0;
        run.first[i].busy = false;
    }
}

static void begin_requests(uint32_t total, uint32_t request, double seconds) {
    run.total = total;
    run.request = request;
    run.send_until = now_ns() + (uint64_t)(seconds * 1e9);
}

void phase_run(const char *line) {
    uint32_t first, count, parallel, in_flight, total, request, window, senders, per_request, members;
    double seconds, cpu = cpu_seconds();
    uint64_t since = now_ns();
    if (sscanf(line, "open %u %u %u", &first, &count, &parallel) == 3) {
        begin(first, count);
        for (uint32_t i = 0; i < parallel; i++) open_next(NULL);
        clients_run(&open_phase);
    } else if (sscanf(line, "loop %u %u %u %u %u %u %lf", &first, &count, &in_flight, &request, &total,
                      &per_request, &seconds) == 7) {
        begin(first, count);
        begin_requests(total, request, seconds);
        run.per_request = per_request;
        for (uint32_t i = 0; i < in_flight && i < total; i++) loop_next(NULL);
        clients_run(&loop_phase);
    } else if (sscanf(line, "fanout %u %u %u %u %u %u %lf", &first, &count, &request, &total, &window,
                      &senders, &seconds) == 7) {
        begin(first, count);
        begin_requests(total, request, seconds);
        run.window = window;
        run.senders = senders;
        run.sent_at = realloc(run.sent_at, (total + 1) * sizeof *run.sent_at);
        if (!run.sent_at) fail("no memory");
        fanout_fill();
        clients_run(&fanout_phase);
    } else if (sscanf(line, "pace %u %u %u %u %u %lf", &first, &count, &members, &request, &total, &seconds) == 6) {
        begin(first, count);
        begin_requests(total, request, seconds);
        run.members = members;
        run.rooms = count / members;
        run.sent_at = realloc(run.sent_at, (total + 1) * sizeof *run.sent_at);
        if (!run.sent_at) fail("no memory");
        run.began = since;
        clients_run(&pace_phase);
    } else if (sscanf(line, "close %u %u", &first, &count) == 2) {
        begin(first, count);
        for (uint32_t i = 0; i < count; i++) client_close(&run.first[i]);
    } else if (sscanf(line, "slow %u %u", &first, &count) == 2) {
        begin(first, count);
        for (uint32_t i = 0; i < count; i++) run.first[i].slow = true;
    } else if (sscanf(line, "stop %u %u", &first, &count) == 2) {
        begin(first, count);
        for (uint32_t i = 0; i < count; i++) client_stop(&run.first[i]);
    } else {
        fail("what is this: %s", line);
    }
    double passed = (double)(now_ns() - since) / 1e9;
    cpu = cpu_seconds() - cpu;
    qsort(latencies, latency_count, sizeof *latencies, compare);
    printf("{\"operations\": %u, \"deliveries\": %llu, \"seconds\": %.6f, \"load_cpu\": %.6f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           run.acked, (unsigned long long)run.deliveries, passed, cpu, percentile(0.5), percentile(0.99),
           percentile(1.0));
    fflush(stdout);
}
