// A slow disk, preloaded into a node (LD_PRELOAD): what is written since the last sync reaches it at
// SLOW_DISK_MB_PER_S (in 10^6 bytes), one after the other, and then every sync takes SLOW_DISK_SYNC_MS more. With
// SLOW_DISK_WHEN only while that file exists.
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

static double seconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int slow(int result) {
  static double free_at;  // Guarded by one.
  const char* rate = getenv("SLOW_DISK_MB_PER_S");
  const char* sync_ms = getenv("SLOW_DISK_SYNC_MS");
  const char* when = getenv("SLOW_DISK_WHEN");
  if (when && access(when, F_OK) != 0) return result;
  const double now = seconds_now();
  pthread_mutex_lock(&one);
  const long bytes = __atomic_exchange_n(&written, 0, __ATOMIC_RELAXED);
  if (free_at < now) free_at = now;
  if (rate) free_at += (double)bytes / (atof(rate) * 1e6);
  const double until = free_at + (sync_ms ? atof(sync_ms) / 1e3 : 0);
  pthread_mutex_unlock(&one);
  const struct timespec time = {(time_t)until, (long)((until - (double)(time_t)until) * 1e9)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, 0) != 0) {
  }
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
