// Holds a pod's namespaces open: does nothing until it is told to stop.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void stop(int number) {
  (void)number;
  exit(0);
}

int main(void) {
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  for (;;) pause();
}
