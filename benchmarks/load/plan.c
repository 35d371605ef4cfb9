/* Reads a plan, the file that benchmarks/plan.py writes. Numbers are little-endian, as on the machines this
 * runs on; a blob is its size, 4 bytes, and its bytes. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Plan plan;

static char *position, *end;

static char *take(uint32_t size) {
    if ((size_t)(end - position) < size) fail("the plan is too short");
    char *taken = position;
    position += size;
    return taken;
}

static uint16_t take_u16(void) {
    uint16_t value;
    memcpy(&value, take(sizeof value), sizeof value);
    return value;
}

static uint32_t take_u32(void) {
    uint32_t value;
    memcpy(&value, take(sizeof value), sizeof value);
    return value;
}

static Blob take_blob(void) {
    Blob blob;
    blob.size = take_u32();
    blob.bytes = take(blob.size);
    return blob;
}

static Request take_request(void) {
    Request request = {take_blob(), 0, 0};
    const char *bytes = request.frame.bytes;
    uint32_t size = request.frame.size, stamped = 0;
    if (size < 6) fail("a request is too short");
    int length = bytes[1] & 0x7f;
    request.payload = (length < 126 ? 2 : length == 126 ? 4 : 10) + 4;
    const char *mask = bytes + request.payload - 4;
    for (uint32_t at = request.payload; at < size && !request.stamp; at++) {
        stamped = (bytes[at] ^ mask[(at - request.payload) % 4]) == STAMP ? stamped + 1 : 0;
        if (stamped == STAMP_SIZE) request.stamp = at + 1 - STAMP_SIZE;
    }
    return request;
}

static void *make(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) fail("no memory");
    return memory;
}

static void load_file(const char *name) {
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail("cannot read the plan %s", name);
    long size = ftell(file);
    char *bytes = make((size_t)size, 1);
    rewind(file);
    if (fread(bytes, 1, (size_t)size, file) != (size_t)size) fail("cannot read the plan %s", name);
    fclose(file);
    position = bytes;
    end = bytes + size;
}

void plan_read(const char *name) {
    load_file(name);
    plan.ack = take_blob();
    plan.delivery = take_blob();
    plan.ping = take_blob();
    plan.pong = take_blob();
    plan.count = take_u32();
    plan.clients = make(plan.count, sizeof *plan.clients);
    for (uint32_t i = 0; i < plan.count; i++) {
        Client *client = &plan.clients[i];
        client->fd = -1;
        client->port = take_u16();
        client->step_count = take_u16();
        client->request_count = take_u16();
        client->steps = make(client->step_count, sizeof *client->steps);
        for (int k = 0; k < client->step_count; k++) {
            client->steps[k].send = take_blob();
            client->steps[k].expect = take_blob();
        }
        client->requests = make(client->request_count, sizeof *client->requests);
        for (int k = 0; k < client->request_count; k++) client->requests[k] = take_request();
    }
    if (position != end) fail("the plan is too long");
}
