/* load PLAN: runs the phases that standard input names, one line each, until its end. */
#include "load.h"

#include <stdio.h>

int main(int argc, char **argv) {
    char line[200];
    if (argc != 2) fail("usage: load PLAN");
    plan_read(argv[1]);
    clients_start();
    while (fgets(line, sizeof line, stdin)) phase_run(line);
    return 0;
}
