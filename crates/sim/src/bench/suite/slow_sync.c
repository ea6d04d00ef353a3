/* Preloaded into a server: every fdatasync takes longer, as on a slow disk. -DDELAY_US=n says by how much. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd)
{
    struct timespec delay = { DELAY_US / 1000000, (DELAY_US % 1000000) * 1000L };
    nanosleep(&delay, 0);
    return syscall(SYS_fdatasync, fd);
}
