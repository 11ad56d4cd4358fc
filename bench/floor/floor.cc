#include "bench/floor/floor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/cluster/process.h"
#include "log/store/files/direct_file.h"

namespace stele::bench {
namespace {

using Clock = std::chrono::steady_clock;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// A file of 4 MiB, written with zeros, whose pages are written again and synced one at a time.
class SyncedFile {
 public:
  explicit SyncedFile(const std::string& path) : file_(must(log::DirectFile::open(path, true))) {
    write(0, kBytes);
  }
  /// The next `bytes` bytes.
  void write_next(std::size_t bytes) {
    if (at_ + bytes > kBytes) at_ = 0;
    write(at_, bytes);
    at_ += bytes;
  }

 private:
  static constexpr std::size_t kBytes = 4 << 20;

  void write(std::uint64_t at, std::size_t bytes) {
    const std::array<std::span<const std::byte>, 1> parts{std::span(bytes_).first(bytes)};
    must(file_.write(at, parts));
    must(file_.sync());
  }

  log::DirectFile file_;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kBytes);
  std::size_t at_ = 0;
};

/// A file that grows by a piece at a time.
class GrowingFile {
 public:
  GrowingFile(const std::string& path, std::size_t piece)
      : file_(must(log::DirectFile::open(path, true))), piece_(piece, std::byte{1}) {}
  void append() {
    const std::array<std::span<const std::byte>, 1> parts{piece_};
    must(file_.write(end_, parts));
    must(file_.sync());
    end_ += piece_.size();
  }

 private:
  log::DirectFile file_;
  std::vector<std::byte> piece_;
  std::uint64_t end_ = 0;
};

/// A process at the other end of a connection over the loopback interface, which sends back what it
/// gets.
class Echo {
 public:
  explicit Echo(bool spinning) : flags_(spinning ? MSG_DONTWAIT : 0) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener, generic, length) != 0 || ::listen(listener, 1) != 0 ||
        ::getsockname(listener, generic, &length) != 0) {
      throw std::runtime_error("no socket on the loopback interface");
    }
    child_ = ::fork();
    socket_ = child_ == 0 ? ::accept(listener, nullptr, nullptr)
                          : ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (child_ != 0 && ::connect(socket_, generic, length) != 0) {
      throw std::runtime_error("no connection over the loopback interface");
    }
    ::close(listener);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (child_ != 0) return;
    std::array<char, kBytes> bytes{};
    while (receive(bytes)) send(bytes);
    ::_exit(0);
  }
  ~Echo() {
    ::close(socket_);
    ::waitpid(child_, nullptr, 0);
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;

  void round_trip() {
    std::array<char, kBytes> bytes{};
    send(bytes);
    if (!receive(bytes)) throw std::runtime_error("the other end has gone");
  }

 private:
  static constexpr std::size_t kBytes = 200;

  void send(const std::array<char, kBytes>& bytes) {
    if (::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) ::_exit(1);
  }
  bool receive(std::array<char, kBytes>& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t got = ::recv(socket_, bytes.data() + done, bytes.size() - done, flags_);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
      if (got > 0) done += static_cast<std::size_t>(got);
    }
    return true;
  }

  int flags_;
  int socket_ = -1;
  pid_t child_ = -1;
};

/// Runs `act` in a process that ends with it, with this one, or with what it throws.
template <class Act>
pid_t in_child(Act act) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process can be started");
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  try {
    act();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    ::_exit(1);
  }
  ::_exit(0);
}

std::string own_path(const std::string& directory) {
  return directory + "/floor." + std::to_string(::getpid());
}

}  // namespace

Figure figure(std::string what, std::string unit, const Histogram& histogram, double divisor) {
  return {std::move(what), std::move(unit), static_cast<double>(histogram.at(0.5)) / divisor,
          static_cast<double>(histogram.at(0.99)) / divisor};
}

Histogram timed(int times, const std::function<void()>& act) {
  Histogram histogram;
  for (int i = 0; i < times; ++i) {
    const auto begin = Clock::now();
    act();
    histogram.record(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count()));
  }
  return histogram;
}

Figure at_once(int count, const std::function<Figure()>& act) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) throw std::runtime_error("no pipe");
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    children.push_back(in_child([&] {
      const Figure mine = act();
      const std::array<double, 2> figures{mine.p50, mine.p99};
      if (::write(pipe[1], figures.data(), sizeof figures) != sizeof figures) ::_exit(1);
    }));
  }
  ::close(pipe[1]);  // Should a process end early, the pipe does so, too.
  std::vector<double> p50s;
  std::vector<double> p99s;
  for (int i = 0; i < count; ++i) {
    std::array<double, 2> figures{};
    if (::read(pipe[0], figures.data(), sizeof figures) != sizeof figures) {
      throw std::runtime_error("a process has ended early");
    }
    p50s.push_back(figures[0]);
    p99s.push_back(figures[1]);
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  std::sort(p50s.begin(), p50s.end());
  std::sort(p99s.begin(), p99s.end());
  return {"", "us", p50s[p50s.size() / 2], p99s[p99s.size() / 2]};
}

Figure sync_figure(const std::string& directory, std::size_t bytes, int times) {
  SyncedFile file(own_path(directory));
  return figure("", "us", timed(times, [&] { file.write_next(bytes); }), 1000);
}

Figure append_sync_figure(const std::string& directory, std::size_t bytes, int times) {
  GrowingFile file(own_path(directory), bytes);
  return figure("", "us", timed(times, [&] { file.append(); }), 1000);
}

Copier::Copier(const std::string& directory) {
  constexpr std::size_t kPiece = 512 << 10;
  constexpr std::size_t kFromBytes = 64 << 20;
  constexpr std::size_t kToBytesMax = 256 << 20;
  constexpr double kBytesPerSecond = 200e6;
  const std::string from = directory + "/copied";
  {
    GrowingFile source(from, kPiece);
    for (std::size_t at = 0; at < kFromBytes; at += kPiece) source.append();
  }
  child_ = in_child([&] {
    int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (source < 0) source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);  // No O_DIRECT here.
    // The alignment that direct reads want.
    const auto piece = std::unique_ptr<void, decltype(&std::free)>(
        std::aligned_alloc(log::kPageBytes, kPiece), &std::free);
    std::optional<GrowingFile> target;
    const auto begin = Clock::now();
    for (std::size_t done = 0;; done += kPiece) {
      if (done % kToBytesMax == 0) target.emplace(own_path(directory), kPiece);
      const auto at = static_cast<off_t>(done % kFromBytes);
      if (::pread(source, piece.get(), kPiece, at) != kPiece) {
        throw std::runtime_error("cannot read " + from);
      }
      target->append();
      std::this_thread::sleep_until(
          begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                      static_cast<double>(done + kPiece) / kBytesPerSecond)));
    }
  });
}

Copier::~Copier() {
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

void Copier::check() {
  if (::waitpid(child_, nullptr, WNOHANG) == 0) return;
  child_ = -1;
  throw std::runtime_error("the process that copies has ended early");
}

Figure round_trip_figure(bool spinning, int times) {
  Echo echo(spinning);
  return figure("", "us", timed(times, [&] { echo.round_trip(); }), 1000);
}

Figure append_figure(const std::string& directory, int times) {
  return at_once(3, [&] {
    Echo echo(false);
    SyncedFile file(own_path(directory));
    return figure("", "us",
                  timed(times,
                        [&] {
                          echo.round_trip();
                          file.write_next(4096);
                          echo.round_trip();
                        }),
                  1000);
  });
}

double append_floor_us(const std::string& data) {
  constexpr int kTimes = 500;
  const test::TempDirectory directory(data);
  return append_figure(directory.path(), kTimes).p50;
}

}  // namespace stele::bench
