// A slow disk, preloaded into a node (LD_PRELOAD): a sync takes SLOW_DISK_SYNC_MS longer, and as long as
// SLOW_DISK_MB_PER_S (in 10^6 bytes) needs for what was written since the last one. One sync at a time.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static _Atomic long written;

static long count(long bytes) {
  if (bytes > 0) written += bytes;
  return bytes;
}

static int slow(int result) {
  const char* rate = getenv("SLOW_DISK_MB_PER_S");
  const char* sync_ms = getenv("SLOW_DISK_SYNC_MS");
  pthread_mutex_lock(&one);
  double seconds = sync_ms ? atof(sync_ms) / 1e3 : 0;
  const long bytes = __atomic_exchange_n(&written, 0, __ATOMIC_RELAXED);
  if (rate) seconds += (double)bytes / (atof(rate) * 1e6);
  const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, 0);
  pthread_mutex_unlock(&one);
  return result;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) {
  return count(REAL(pwrite)(file, bytes, size, at));
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off_t at) {
  return count(REAL(pwrite64)(file, bytes, size, at));
}
ssize_t pwritev(int file, const struct iovec* parts, int size, off_t at) {
  return count(REAL(pwritev)(file, parts, size, at));
}
ssize_t pwritev64(int file, const struct iovec* parts, int size, off_t at) {
  return count(REAL(pwritev64)(file, parts, size, at));
}
int fdatasync(int file) { return slow(REAL(fdatasync)(file)); }
int fsync(int file) { return slow(REAL(fsync)(file)); }
