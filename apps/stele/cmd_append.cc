// stele append

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include <stele/client.h>
#include "apps/common/exit_codes.h"
#include "apps/stele/cli.h"
#include "apps/stele/entry_source.h"
#include "apps/stele/output.h"

namespace stele::apps {
namespace {

/// Entries read ahead of the appends at most.
constexpr std::size_t kReadAheadMax = 4096;
constexpr std::size_t kReadAheadBytesMax = 16 << 20;
/// How long an interrupted append waits for answers.
constexpr std::chrono::seconds kInterruptedWait{2};

/// Appends what a reader thread, or the command line, gives it, and prints LSNs in input order.
class Appender {
 public:
  Appender(const Common& common, const AppendFlags& flags)
      : flags_(flags),
        client_(context_, options_for(common, flags)),
        output_(Format::raw, false),
        progress_timer_(context_),
        signals_(context_, SIGINT, SIGTERM),
        interrupted_timer_(context_) {}

  /// All at once, from the command line.
  int run(std::vector<std::string> entries) {
    for (std::string& entry : entries) input_.push_back(std::move(entry));
    ended_ = true;
    return run();
  }

  /// From a descriptor, as it comes.
  int run(int descriptor, char separator) {
    from_input_ = true;
    std::thread reader([this, descriptor, separator] { read_all(descriptor, separator); });
    const int exit_code = run();
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_one();
    // A reader that waits for a terminal cannot be woken; the program ends with it.
    reader.detach();
    return exit_code;
  }

 private:
  struct Waiting {
    std::uint64_t line;
    bool finished = false;
    Lsn lsn;
    std::optional<Errc> error;
    AppendResult result;
  };

  static ClientOptions options_for(const Common& common, const AppendFlags& flags) {
    ClientOptions options = stele::apps::options_for(common);
    options.window = flags.in_flight;
    options.stop_at_failure = true;
    options.waiting_bytes_max = SIZE_MAX;  // Bounded by --in-flight entries of bounded size.
    return options;
  }

  int run() {
    started_ = std::chrono::steady_clock::now();
    std::signal(SIGPIPE, SIG_IGN);  // Then writing fails, and what is in the log can be told.
    struct sigaction before {};     // nohup has SIGHUP ignored.
    if (::sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
      signals_.add(SIGHUP);
    }
    show_progress();
    wait_for_signal();
    asio::post(context_, [this] { pump(); });
    context_.run();
    output_.flush();
    clear_progress();
    return exit_code_;
  }

  void read_all(int descriptor, char separator) {
    EntrySource source(descriptor, separator);
    while (true) {
      auto entries = source.next();
      std::unique_lock lock(mutex_);
      if (!entries) read_error_ = entries.error();
      if (!entries || entries->empty()) {
        ended_ = true;
      } else {
        for (std::string& entry : *entries) {
          input_bytes_ += entry.size();
          input_.push_back(std::move(entry));
        }
      }
      asio::post(context_, [this] { pump(); });
      if (ended_) return;
      room_.wait(lock, [this] {
        return (input_.size() < kReadAheadMax && input_bytes_ < kReadAheadBytesMax) || stopped_;
      });
      if (stopped_) return;
    }
  }

  void wait_for_signal() {
    signals_.async_wait([this](asio::error_code error, int) {
      if (!error) interrupt();
    });
  }

  /// Begins nothing more, and waits a little for what is under way. A second signal ends the wait.
  void interrupt() {
    if (std::exchange(interrupted_, true)) return end_interrupted();
    wait_for_signal();
    interrupted_timer_.expires_after(kInterruptedWait);
    interrupted_timer_.async_wait([this](asio::error_code error) {
      if (!error) end_interrupted();
    });
    if (waiting_.empty()) end_interrupted();
  }

  void end_interrupted() {
    if (std::exchange(failed_, true)) return;
    output_.flush();
    clear_progress();
    exit_code_ = kFailed;
    if (waiting_.empty()) return end_failed();
    client_.close();  // Tells of each whether it may be in the log.
  }

  void pump() {
    if (failed_) return;
    if (interrupted_) {
      if (waiting_.empty()) end_interrupted();
      return;
    }
    std::unique_lock lock(mutex_);
    while (waiting_.size() < flags_.in_flight && !input_.empty()) {
      const std::string entry = std::move(input_.front());
      input_.pop_front();
      input_bytes_ -= std::min(input_bytes_, entry.size());
      lock.unlock();
      append(entry);
      lock.lock();
    }
    if (input_.size() < kReadAheadMax / 2 && input_bytes_ < kReadAheadBytesMax) room_.notify_one();
    const bool all_done = ended_ && input_.empty() && waiting_.empty();
    lock.unlock();
    if (!all_done) return;
    if (read_error_) return fail_reading(*read_error_);
    end();
  }

  /// All lines before the one that cannot be read are in the log.
  void fail_reading(const Error& error) {
    output_.flush();
    clear_progress();
    const bool large = error.code == Errc::too_large;
    exit_code_ = complain(large ? error.code : Errc::invalid_argument,
                          "input line " + std::to_string(lines_ + 1) + ": " + error.detail);
    if (large) exit_code_ = kFailed;
    failed_ = true;
    end_failed();
  }

  void append(const std::string& entry) {
    const std::uint64_t line = ++lines_;
    waiting_.push_back({line, false, {}, {}, {}});
    client_.async_append(asio::buffer(entry), std::chrono::milliseconds(flags_.timeout_ms),
                         [this, line](asio::error_code error, AppendResult result) {
                           on_done(line, error, std::move(result));
                         });
  }

  void on_done(std::uint64_t line, asio::error_code error, AppendResult result) {
    Waiting& entry = waiting_[line - waiting_.front().line];
    entry.finished = true;
    entry.lsn = result.lsn;
    entry.result = std::move(result);
    if (error) entry.error = static_cast<Errc>(error.value());
    if (reporting_) return;
    reporting_ = true;  // Once a turn: what is acknowledged together is printed together.
    asio::post(context_, [this] { report(); });
  }

  void report() {
    reporting_ = false;
    if (over_) return;
    while (!waiting_.empty() && waiting_.front().finished) {
      const Waiting& first = waiting_.front();
      if (failed_) {
        note_other(first);
        waiting_.pop_front();
        continue;
      }
      if (first.error) {
        report_failure(first);
        waiting_.pop_front();
        continue;
      }
      output_.add_line(std::to_string(first.lsn.value));
      ++acknowledged_;
      waiting_.pop_front();
    }
    if (failed_) {
      if (waiting_.empty()) end_failed();
      return;
    }
    if (!output_.flush()) return fail_writing();
    pump();
  }

  /// Standard output cannot tell what was appended: standard error does, once all that is under way
  /// is answered.
  void fail_writing() {
    const int reason = errno;
    clear_progress();
    std::fprintf(stderr, "stele: io: cannot write the output: %s\n", std::strerror(reason));
    failed_ = true;
    exit_code_ = kFailed;
    if (waiting_.empty()) return end_failed();
    interrupted_timer_.expires_after(kInterruptedWait);
    interrupted_timer_.async_wait([this](asio::error_code error) {
      if (!error) client_.close();  // Tells of each whether it may be in the log.
    });
  }

  void report_failure(const Waiting& first) {
    failed_ = true;
    if (first.result.may_be_appended) unknown_ = first.line;
    output_.flush();
    clear_progress();
    const std::string fate =
        first.result.may_be_appended ? "it may yet be in the log" : "it is not in the log";
    exit_code_ = complain(*first.error, (from_input_ ? "input line " : "entry ") +
                                            std::to_string(first.line) + ": " +
                                            first.result.detail + "; " + fate);
  }

  /// What became of an entry after the one that failed.
  void note_other(const Waiting& entry) {
    if (!entry.error) {
      acknowledged_ = entry.line;  // And so is all before it.
    } else if (entry.result.may_be_appended) {
      unknown_ = entry.line;
    }
  }

  void end_failed() {
    const std::string lines = from_input_ ? "input lines " : "entries ";
    std::string told = acknowledged_ == 0
                           ? "nothing of the input is in the log"
                           : lines + "1 to " + std::to_string(acknowledged_) + " are in the log";
    if (unknown_ > acknowledged_) {
      told = acknowledged_ == 0 ? "" : told + "; ";
      told += lines + std::to_string(acknowledged_ + 1) + " to " + std::to_string(unknown_) +
              " may yet be, in this order; nothing after them is";
    } else if (acknowledged_ != 0) {
      told += ", and nothing after them";
    }
    std::fprintf(stderr, "stele: %s%s\n", interrupted_ ? "interrupted: " : "", told.c_str());
    end();
  }

  /// Closes the session, whether all went well or not. That takes a second at most; another signal
  /// ends the program before.
  void end() {
    over_ = true;
    progress_timer_.cancel();
    signals_.cancel();
    signals_.clear();  // From here on signals have their usual effect.
    interrupted_timer_.cancel();
    progress_ended_ = true;
    work_.reset();
    client_.close();
  }

  // A line for people who wait at a terminal; LSNs on the same terminal are progress enough.
  void show_progress() {
    const bool wanted = ::isatty(STDERR_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 0;
    if (!wanted || progress_ended_) return;
    progress_timer_.expires_after(std::chrono::milliseconds(500));
    progress_timer_.async_wait([this](asio::error_code error) {
      if (error) return;
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - started_;
      progress_shown_ = true;
      std::fprintf(stderr, "\r\033[K%llu appended, %.0f/s, %zu in flight",
                   static_cast<unsigned long long>(acknowledged_),
                   static_cast<double>(acknowledged_) / passed.count(), waiting_.size());
      show_progress();
    });
  }

  void clear_progress() {
    if (std::exchange(progress_shown_, false)) std::fputs("\r\033[K", stderr);
  }

  AppendFlags flags_;
  asio::io_context context_{1};
  // The reader thread may have nothing to say for a long time.
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  Client client_;
  Output output_;
  asio::steady_timer progress_timer_;
  asio::signal_set signals_;
  asio::steady_timer interrupted_timer_;
  bool interrupted_ = false;
  std::chrono::steady_clock::time_point started_;
  bool progress_shown_ = false;
  bool progress_ended_ = false;

  std::uint64_t lines_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::deque<Waiting> waiting_;  // In input order.
  bool reporting_ = false;
  bool failed_ = false;
  bool over_ = false;  // Everything has been said.
  bool from_input_ = false;
  std::uint64_t unknown_ = 0;  // The last line that may yet be in the log.
  int exit_code_ = kDone;

  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<std::string> input_;    // Guarded by mutex_.
  std::size_t input_bytes_ = 0;      // Guarded by mutex_.
  bool ended_ = false;               // Guarded by mutex_.
  bool stopped_ = false;             // Guarded by mutex_.
  std::optional<Error> read_error_;  // Guarded by mutex_.
};

Result<std::string> read_whole(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  std::string content;
  std::array<char, 64 << 10> chunk{};
  while (file) {
    const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get());
    content.append(chunk.data(), count);
    if (content.size() > EntrySource::kEntryBytesMax) {
      return fail(Errc::too_large, path + " has more than " +
                                       std::to_string(EntrySource::kEntryBytesMax) +
                                       " bytes, which is over any cluster's limit");
    }
    if (count < chunk.size()) break;
  }
  if (!file || std::ferror(file.get()) != 0) {
    return fail(Errc::invalid_argument, "cannot read " + path + ": " + std::strerror(errno));
  }
  return content;
}

}  // namespace

int append(const Common& common, const AppendFlags& flags) {
  // Output that nobody reads any more is an error like any other: the session is closed.
  std::signal(SIGPIPE, SIG_IGN);
  // Lives until the program ends: a reader thread may still wait for its input.
  static Appender* const appender = new Appender(common, flags);
  if (!flags.whole.empty()) {
    const auto content = read_whole(flags.whole);
    if (!content) return complain(content.error().code, content.error().detail);
    return appender->run({*content});
  }
  if (!flags.entries.empty()) return appender->run(flags.entries);

  int descriptor = STDIN_FILENO;
  if (!flags.file.empty() && flags.file != "-") {
    descriptor = ::open(flags.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      return complain(Errc::invalid_argument,
                      "cannot open " + flags.file + ": " + std::strerror(errno));
    }
  }
  return appender->run(descriptor, flags.null_separated ? '\0' : '\n');
}

}  // namespace stele::apps
