/* Has a process believe that a second is twenty-five: the monotonic clock,
 * by which nginx and the library measure how long something takes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#define FASTER 25

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);

    if (!real) {
        real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    }
    int rc = real(clock, now);
    if (rc == 0 && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)) {
        long long ns = (now->tv_sec * 1000000000LL + now->tv_nsec) * FASTER;
        now->tv_sec = ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
    }
    return rc;
}
